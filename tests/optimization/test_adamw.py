"""AdamW of either stack against Loshchilov & Hutter's Algorithm 2, in NumPy, as PyTorch has it."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.optimization.adamw import adamw
from keras_simsiam.optimization.schedules import HalfCosine
from keras_simsiam.training.config import RunConfig


def algorithm_2(weight, gradients, rates, decay):
    m = v = np.zeros_like(weight, np.float64)
    weight = weight.astype(np.float64)
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient.astype(np.float64) ** 2
        weight = weight * (1 - rate * decay)
        weight = weight - rate * m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return weight


@pytest.mark.parametrize("decay", ["weights", "all"])
def test_steps_are_those_of_the_paper(decay):
    random = np.random.default_rng(0)
    start = {"kernel": random.normal(size=(4, 3)), "bias": random.normal(size=3)}
    gradients = [{name: random.normal(size=value.shape) for name, value in start.items()} for _ in range(5)]
    variables = {name: tf.Variable(np.float32(value)) for name, value in start.items()}
    schedule = HalfCosine(0.1, 4, 2)
    optimizer = adamw(schedule, 0.1, variables=list(variables.values()), decay=decay)
    optimizer.build(list(variables.values()))
    for each in gradients:
        optimizer.apply_gradients([(tf.constant(np.float32(each[name])), variables[name]) for name in variables])
    rates = [float(schedule(tf.constant(step))) for step in range(5)]
    for name, variable in variables.items():
        decayed = 0.1 if decay == "all" or name == "kernel" else 0.0
        expected = algorithm_2(start[name], [each[name] for each in gradients], rates, decayed)
        np.testing.assert_allclose(variable, expected, rtol=1e-4, atol=1e-5)


def test_a_predictor_cannot_have_another_rate():
    with pytest.raises(UserError, match=r"^`predictor_lr=fixed` has no meaning with `optimizer=adamw`: leave it out$"):
        RunConfig("data", "run", optimizer="adamw", predictor_lr="fixed")
