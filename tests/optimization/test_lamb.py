"""LAMB of either stack against Algorithm 2 of You et al., in NumPy."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core import keras_compat
from keras_simsiam.core.errors import UserError
from keras_simsiam.optimization.lamb import lamb
from keras_simsiam.optimization.schedules import HalfCosine
from keras_simsiam.training.config import RunConfig

SHAPES = {"kernel": (4, 3), "bias": (3,), "zero": (2, 2)}
STEPS = 5


def _start():
    random = np.random.default_rng(0)
    return {
        name: np.float32(np.zeros(shape) if name == "zero" else random.normal(size=shape))
        for name, shape in SHAPES.items()
    }


def _gradients():
    random = np.random.default_rng(1)
    return [{name: np.float32(random.normal(size=shape)) for name, shape in SHAPES.items()} for _ in range(STEPS)]


def algorithm_2(weight, gradients, rates, decay, adapted):
    """The weight after a step with each gradient; `adapted`: with decay and trust ratio."""
    m = v = np.zeros_like(weight, np.float64)
    weight = weight.astype(np.float64)
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient.astype(np.float64) ** 2
        update = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-6)
        ratio = 1.0
        if adapted:
            update = update + decay * weight
            norms = np.linalg.norm(weight), np.linalg.norm(update)
            ratio = norms[0] / norms[1] if all(norms) else 1.0
        weight = weight - rate * ratio * update
    return weight


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("decay", ["weights", "all"])
def test_steps_are_those_of_the_paper(decay, graph):
    schedule = HalfCosine(0.1, 4, 2)
    variables = {name: tf.Variable(value, name=name) for name, value in _start().items()}
    optimizer = lamb(schedule, weight_decay=0.1, decay=decay)
    optimizer.build(list(variables.values()))

    def step(gradients):
        optimizer.apply_gradients([(gradients[name], variable) for name, variable in variables.items()])

    step = tf.function(step) if graph else step
    for gradients in _gradients():
        step({name: tf.constant(gradient) for name, gradient in gradients.items()})
    assert int(optimizer.iterations) == STEPS
    for name, start in _start().items():
        rates = [float(schedule(tf.constant(number))) for number in range(STEPS)]
        adapted = decay == "all" or len(SHAPES[name]) > 1
        expected = algorithm_2(start, [gradients[name] for gradients in _gradients()], rates, 0.1, adapted)
        np.testing.assert_allclose(variables[name], expected, rtol=1e-5, atol=1e-5)


def test_two_replicas_take_the_step_of_one(two_replicas):
    def after_a_step(strategy):
        with strategy.scope():
            variable = tf.Variable(_start()["kernel"])
            optimizer = lamb(0.1, weight_decay=0.1)
            optimizer.build([variable])
        share = tf.constant(_gradients()[0]["kernel"]) / strategy.num_replicas_in_sync

        @tf.function
        def step():
            strategy.run(lambda: keras_compat.apply_gradients(optimizer, [tf.identity(share)], [variable]))

        step()
        return variable.numpy()

    one, two = after_a_step(tf.distribute.get_strategy()), after_a_step(two_replicas)
    np.testing.assert_allclose(one, two, atol=1e-5)


@pytest.mark.skipif(keras_compat.KERAS_3, reason="Keras 3 has LAMB itself")
def test_without_tensorflow_addons(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_addons", None)
    with pytest.raises(UserError, match=r"^`optimizer=lamb` needs tensorflow-addons: pip install tensorflow-addons=="):
        lamb(0.1)


def test_a_rate_of_the_predictors_own_is_refused():
    with pytest.raises(UserError, match="`predictor_lr=10` has no meaning with `optimizer=lamb`"):
        RunConfig("data", "run", optimizer="lamb", predictor_lr="10")


def test_keras_fits_by_it():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(lamb(0.01), "mse", jit_compile=False)
    x = np.float32(np.random.default_rng(0).normal(size=(32, 3)))
    losses = model.fit(x, x[:, :1], batch_size=8, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
