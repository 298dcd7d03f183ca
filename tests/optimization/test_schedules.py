"""The learning rate over a run, against its formula by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.optimization.schedules import HalfCosine, scaled_rate


def _rates(schedule, steps):
    return np.array([float(schedule(step)) for step in range(steps)])


def test_changes_once_an_epoch_and_ends_near_zero():
    rates = _rates(HalfCosine(0.2, epochs=10, steps_per_epoch=3), 30)
    assert rates[0] == pytest.approx(0.2) and rates[15] == pytest.approx(0.1)
    np.testing.assert_allclose(rates.reshape(10, 3).std(axis=1), 0, atol=1e-8)


def test_per_step_it_is_the_cosine_of_every_step():
    rates = _rates(HalfCosine(0.2, epochs=10, steps_per_epoch=3, cosine_per="step"), 30)
    np.testing.assert_allclose(rates, [0.1 * (1 + math.cos(math.pi * step / 30)) for step in range(30)], atol=1e-7)


def test_warms_up_from_zero_step_by_step_then_falls_over_the_rest():
    """Two epochs of three steps each to rise, then six to fall: at every step, and once an epoch."""
    rising = [0.3 * step / 6 for step in range(6)]
    falling = [0.15 * (1 + math.cos(math.pi * step / 18)) for step in range(18)]
    rates = _rates(HalfCosine(0.3, 8, 3, warmup_epochs=2, cosine_per="step"), 24)
    np.testing.assert_allclose(rates, rising + falling, atol=1e-7)
    falling = [0.15 * (1 + math.cos(math.pi * epoch / 6)) for epoch in range(6) for _ in range(3)]
    np.testing.assert_allclose(_rates(HalfCosine(0.3, 8, 3, warmup_epochs=2), 24), rising + falling, atol=1e-7)


def test_a_warm_up_of_a_fraction_of_an_epoch():
    """One and a half epochs of four steps: six steps to rise, the rest of that epoch at the top, then whole epochs."""
    rates = _rates(HalfCosine(1.0, 4, 4, warmup_epochs=1.5), 16)
    np.testing.assert_allclose(rates[:8], [0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1, 1], atol=1e-6)
    expected = [0.5 * (1 + math.cos(math.pi * (epoch - 1.5) / 2.5)) for epoch in (2, 3)]
    np.testing.assert_allclose(rates[[8, 11, 12, 15]], np.repeat(expected, 2), atol=1e-6)


def test_the_same_in_a_function_and_from_its_config():
    schedule = HalfCosine(0.3, 8, 3, warmup_epochs=2.5, cosine_per="step")
    again = tf.function(HalfCosine.from_config(schedule.get_config()))
    for step in (0, 7, 8, 23):
        assert float(again(tf.constant(step, tf.int64))) == pytest.approx(float(schedule(step)), abs=1e-7)


def test_linear_scaling_rule():
    assert scaled_rate(0.05, 64) == 0.0125
