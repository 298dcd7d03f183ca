"""Barlow Twins' loss against its formula in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.methods.barlow import BarlowTwins, redundancy_reduction


def _numpy_loss(z1, z2, redundancy=0.0051):
    """By the d×d matrix, as the paper's Algorithm 1 writes it."""
    z1, z2 = ((z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5) for z in (z1, z2))
    c = z1.T @ z2 / len(z1)
    diagonal = np.eye(c.shape[0], dtype=bool)
    return np.sum((1 - c[diagonal]) ** 2) + redundancy * np.sum(c[~diagonal] ** 2)


@pytest.mark.parametrize("shape", [(3, 8), (32, 4)])
def test_loss_is_the_papers_formula(shape):
    z1, z2 = np.random.default_rng(0).normal(1, 2, (2, *shape))
    loss = redundancy_reduction(tf.constant(z1, tf.float32), tf.constant(z2, tf.float32), 0.5)
    assert float(loss) == pytest.approx(_numpy_loss(z1, z2, 0.5), rel=1e-5)


def test_the_method_scales_it_as_the_published_code(toy):
    method = BarlowTwins(toy.encoder(), toy.linear(6, 5))
    z1, z2 = (toy.apply([method.encoder, method.projector], view) for view in toy.views(batch=4))
    assert float(method.objective(toy.batch(batch=4))) == pytest.approx(0.024 * _numpy_loss(z1, z2), rel=1e-4)


def test_channels_that_agree_and_do_not_repeat_each_other_cost_nothing():
    z = np.float32([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    assert float(redundancy_reduction(tf.constant(z), tf.constant(3 * z + 7), 1.0)) == pytest.approx(0, abs=1e-4)
    repeated = np.repeat(z[:, :1], 2, axis=1)
    assert float(redundancy_reduction(tf.constant(repeated), tf.constant(repeated), 1.0)) == pytest.approx(2, abs=1e-4)


def test_equal_outputs_have_a_finite_gradient():
    z = tf.ones([4, 3])
    with tf.GradientTape() as tape:
        tape.watch(z)
        loss = redundancy_reduction(z, z, 0.0051)
    assert np.isfinite(tape.gradient(loss, z)).all() and float(loss) == pytest.approx(3)
