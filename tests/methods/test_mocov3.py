"""MoCo v3's loss against its formula in NumPy, the stopped keys, and the momentum of their network."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods.byol import ramp
from keras_simsiam.methods.mocov3 import MoCoV3, in_batch_nce


def _method(toy, **kwargs):
    return MoCoV3(toy.encoder(), toy.linear(6, 5), toy.linear(5, 5), **({"steps": 10} | kwargs))


def _numpy_nce(query, key, temperature):
    similarity = np.exp(query @ key.T / temperature)
    return -2 * temperature * np.mean(np.log(np.diag(similarity) / similarity.sum(axis=1)))


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_loss_is_the_papers_formula(toy, temperature):
    method = _method(toy, temperature=temperature)
    for weight in method.target_projector.trainable_variables:
        weight.assign_add(tf.ones_like(weight) * 0.1)
    views, expected = toy.views(batch=4), 0
    for view, other in (views, views[::-1]):
        query = toy.normalized(toy.apply([method.encoder, method.projector, method.predictor], view))
        key = toy.normalized(toy.apply([method.target_encoder, method.target_projector], other))
        expected += _numpy_nce(query, key, temperature)
    assert float(method.objective(toy.batch(batch=4))) == pytest.approx(expected, abs=1e-5)


def test_no_gradient_reaches_the_keys(toy):
    method = _method(toy)
    with tf.GradientTape() as tape:
        loss = method.objective(toy.batch())
    copies = [variable for copy in method.copies for variable in copy.trainable_variables]
    gradients = tape.gradient(loss, copies + method.trained_variables)
    assert gradients[: len(copies)] == [None] * len(copies)
    assert all(gradient is not None for gradient in gradients[len(copies) :])


def test_a_step_moves_the_key_network(toy):
    method = _method(toy, momentum=0.5)
    method.compile(keras.optimizers.SGD(0.5))
    before = method.target_encoder.get_weights()
    method.train_step(toy.batch())
    momentum = float(ramp(0.5, 1, 10))
    for old, online, moved in zip(
        before, method.encoder.get_weights(), method.target_encoder.get_weights(), strict=True
    ):
        np.testing.assert_allclose(moved, momentum * old + (1 - momentum) * online, atol=1e-6)


def test_keys_come_from_all_replicas(two_replicas):
    """The mean over replicas is the loss of the whole batch."""
    pair = np.random.default_rng(2).normal(size=(2, 4, 5)).astype(np.float32)
    halves = two_replicas.experimental_distribute_values_from_function(
        lambda context: tf.constant(pair[:, 2 * context.replica_id_in_sync_group :][:, :2])
    )
    step = tf.function(lambda half: in_batch_nce(half[0], half[1], 0.2))
    losses = two_replicas.experimental_local_results(two_replicas.run(step, [halves]))
    assert np.mean(losses) == pytest.approx(float(in_batch_nce(*tf.constant(pair), 0.2)), abs=1e-5)
