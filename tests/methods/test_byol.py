"""BYOL's loss against its formula in NumPy, the stopped target, and its momentum's ramp."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods.byol import BYOL, ramp


def _method(toy, **kwargs):
    return BYOL(toy.encoder(), toy.linear(6, 5), toy.linear(5, 5), **({"steps": 10} | kwargs))


def test_loss_is_the_papers_formula(toy):
    method = _method(toy)
    for weight in method.target_projector.trainable_variables:
        weight.assign_add(tf.ones_like(weight) * 0.1)
    expected = 0
    for view, other in (toy.views(), toy.views()[::-1]):
        p = toy.normalized(toy.apply([method.encoder, method.projector, method.predictor], view))
        z = toy.normalized(toy.apply([method.target_encoder, method.target_projector], other))
        expected += np.mean(np.sum((p - z) ** 2, axis=1))
    assert float(method.objective(toy.batch())) == pytest.approx(expected, abs=1e-5)


def test_no_gradient_reaches_the_target(toy):
    method = _method(toy)
    with tf.GradientTape() as tape:
        loss = method.objective(toy.batch())
    copies = [variable for copy in method.copies for variable in copy.trainable_variables]
    gradients = tape.gradient(loss, copies + method.trained_variables)
    assert gradients[: len(copies)] == [None] * len(copies)
    assert all(gradient is not None for gradient in gradients[len(copies) :])


def test_the_momentum_rises_from_its_base_to_one():
    assert [float(ramp(0.996, step, 100)) for step in (0, 50, 100)] == pytest.approx([0.996, 0.998, 1], abs=1e-6)


def test_a_step_moves_the_target(toy):
    method = _method(toy, momentum=0.5)
    method.compile(keras.optimizers.SGD(0.5))
    before = method.target_encoder.get_weights()
    method.train_step(toy.batch())
    momentum = float(ramp(0.5, 1, 10))
    for old, online, moved in zip(
        before, method.encoder.get_weights(), method.target_encoder.get_weights(), strict=True
    ):
        np.testing.assert_allclose(moved, momentum * old + (1 - momentum) * online, atol=1e-6)
