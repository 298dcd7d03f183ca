"""PyTorch's SGD: against NumPy under a cosine schedule, and learning rates by variable."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.optimizers import TorchSGD
from keras_simsiam.schedules import HalfCosine, scaled_rate


def test_follows_numpy_under_a_cosine_schedule():
    random = np.random.default_rng(0)
    weight = tf.Variable(random.normal(size=(3, 4)), dtype=tf.float32)
    schedule = HalfCosine(0.3, epochs=20, steps_per_epoch=5)
    optimizer = TorchSGD(schedule, momentum=0.9, weight_decay=0.01)
    expected, velocity = weight.numpy().astype(np.float64), np.zeros((3, 4))
    for step in range(100):
        gradient = random.normal(size=(3, 4))
        velocity = 0.9 * velocity + gradient + 0.01 * expected
        expected = expected - 0.3 * 0.5 * (1 + np.cos(np.pi * (step // 5) / 20)) * velocity
        optimizer.apply_gradients([(tf.constant(gradient, tf.float32), weight)])
    np.testing.assert_allclose(weight, expected, atol=1e-5)


def test_the_learning_rate_is_outside_the_velocity():
    """The toy that tells PyTorch's SGD from Keras's: gradient 1 twice, the rate falling from 1 to 0.1."""
    weight = tf.Variable(0.0)
    optimizer = TorchSGD(1.0, momentum=0.9)
    optimizer.apply_gradients([(tf.constant(1.0), weight)])
    optimizer.learning_rate = 0.1
    optimizer.apply_gradients([(tf.constant(1.0), weight)])
    assert float(weight) == pytest.approx(-1 - 0.1 * 1.9)  # Keras's SGD: −1 − (0.9 + 0.1) = −2


def test_overrides_by_identity_not_by_name():
    first, second, third = (tf.Variable(0.0, name="same") for _ in range(3))
    optimizer = TorchSGD(
        HalfCosine(0.1, 2, 1), momentum=0.0, overrides=[([second], 1.0), ([third], HalfCosine(10.0, 2, 1))]
    )
    for _ in range(2):
        optimizer.apply_gradients([(tf.constant(1.0), variable) for variable in (first, second, third)])
    # rates of the two epochs: 0.1, 0.05 | 1, 1 | 10, 5
    np.testing.assert_allclose([first, second, third], [-0.15, -2.0, -15.0], atol=1e-5)


def test_in_a_function_and_from_its_config():
    weight = tf.Variable([1.0, 2.0])
    optimizer = TorchSGD.from_config(TorchSGD(0.5, momentum=0.0, weight_decay=0.1).get_config())
    step = tf.function(lambda gradient: optimizer.apply_gradients([(gradient, weight)]))
    step(tf.constant([1.0, 1.0]))
    np.testing.assert_allclose(weight, [1 - 0.5 * 1.1, 2 - 0.5 * 1.2], atol=1e-6)


def test_schedule_changes_once_an_epoch_and_ends_near_zero():
    schedule = HalfCosine(0.2, epochs=10, steps_per_epoch=3)
    rates = np.array([float(schedule(step)) for step in range(30)])
    assert rates[0] == pytest.approx(0.2) and rates[15] == pytest.approx(0.1)
    np.testing.assert_allclose(rates.reshape(10, 3).std(axis=1), 0, atol=1e-8)
    again = HalfCosine.from_config(schedule.get_config())
    assert float(again(17)) == float(schedule(17))


def test_linear_scaling_rule():
    assert scaled_rate(0.05, 64) == 0.0125
