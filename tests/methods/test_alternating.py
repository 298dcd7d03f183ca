"""Targets that stand still for a block of steps, against NumPy; and one step a block, which is SimSiam."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods.alternating import Alternating
from keras_simsiam.methods.simsiam import SimSiam
from keras_simsiam.models.heads import predictor, projector
from keras_simsiam.optimization.optimizers import TorchSGD
from tests.methods.small import batch_of


def _method(toy, steps, **kwargs):
    method = Alternating(toy.encoder(), toy.linear(6, 5), toy.linear(5, 5), steps=steps, **kwargs)
    method.compile(keras.optimizers.SGD(0.5))
    return method


def _weights(models):
    return [weight for model in models for weight in model.get_weights()]


def _numpy_loss(toy, method, frozen, views, symmetric):
    """−cosine of each view's prediction by today's weights and the other's projection by those of `frozen`, two layers."""
    (we, be, wp, bp), total = [weight.astype(np.float64) for weight in frozen], 0
    for view, other in (views, views[::-1])[: 1 + symmetric]:
        p = toy.normalized(toy.apply([method.encoder, method.projector, method.predictor], view))
        z = toy.normalized((other["rgb"].numpy().reshape(len(p), -1) @ we + be) @ wp + bp)
        total -= np.mean(np.sum(p * z, axis=1)) / (1 + symmetric)
    return total


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("symmetric", [True, False])
def test_targets_come_from_the_beginning_of_each_block(toy, symmetric, in_graph):
    method = _method(toy, 2, symmetric=symmetric)
    step = tf.function(method.train_step) if in_graph else method.train_step
    for index in range(5):
        if index % 2 == 0:
            frozen = _weights([method.encoder, method.projector])
        expected = _numpy_loss(toy, method, frozen, toy.views(index), symmetric)
        method.reset_metrics()
        assert float(step(toy.batch(index))["loss"]) == pytest.approx(expected, abs=1e-5)
        assert np.abs(_weights([method.encoder])[0] - frozen[0]).max() > 1e-4  # today's weights have gone on


def test_no_gradient_reaches_the_targets(toy):
    method = _method(toy, 3)
    with tf.GradientTape() as tape:
        loss = method.objective(toy.batch())
    copies = [variable for copy in method.copies for variable in copy.trainable_variables]
    gradients = tape.gradient(loss, copies + method.trained_variables)
    assert gradients[: len(copies)] == [None] * len(copies)
    assert all(gradient is not None for gradient in gradients[len(copies) :])


def _trained(make, steps=4):
    """The weights after some steps of a network with a convolution, BatchNorm and SimSiam's own heads."""
    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 3), name="rgb")
    features = keras.layers.ReLU()(keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3)(x)))
    encoder = keras.Model({"rgb": x}, {"embedding": keras.layers.GlobalAveragePooling2D()(features)})
    method = make(encoder, projector(8, 16, 16), predictor(16, 4))
    method.compile(TorchSGD(0.05, weight_decay=1e-4))
    step = tf.function(method.train_step)
    for index in range(steps):
        step(batch_of([{"rgb": tf.random.stateless_uniform([8, 8, 8, 3], [index, view])} for view in range(2)]))
    return _weights([method.encoder, method.projector, method.predictor])


@pytest.mark.slow
def test_one_step_a_block_is_simsiam_bit_for_bit():
    plain, one = _trained(SimSiam), _trained(lambda *networks: Alternating(*networks, steps=1))
    assert all((a == b).all() for a, b in zip(plain, one, strict=True))
    three = _trained(lambda *networks: Alternating(*networks, steps=3))
    assert not np.allclose(plain[0], three[0], atol=1e-6)


def test_replicas_refresh_together(toy, two_replicas):
    """Two steps a block, on two replicas as on one; after the second the copies are the networks again."""
    batches = [toy.batch(seed, batch=4) for seed in range(3)]
    dataset = tf.data.Dataset.from_tensor_slices(tf.nest.map_structure(lambda *rows: tf.stack(rows), *batches))
    with two_replicas.scope():
        over_two = _method(toy, 2)
    over_one = _method(toy, 2)
    for method in (over_two, over_one):
        method.fit(dataset.take(2), verbose=0)
        copied, today = _weights(method.copies), _weights([method.encoder, method.projector])
        assert all((a == b).all() for a, b in zip(copied, today, strict=True))
        method.fit(dataset.skip(2), verbose=0)
        assert np.abs(_weights(method.copies)[0] - _weights([method.encoder])[0]).max() > 1e-4
    for one, other in zip(over_one.trainable_variables, over_two.trainable_variables, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
