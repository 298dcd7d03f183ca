"""VICReg's loss against its formula in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.methods.vicreg import VICReg, variance_and_covariance


def _numpy_terms(z):
    """By the d×d matrix, as the paper's Algorithm 1 writes it."""
    variance = np.mean(np.maximum(0, 1 - np.sqrt(z.var(axis=0, ddof=1) + 1e-4)))
    covariances = np.cov(z, rowvar=False)
    return variance, np.sum((covariances - np.diag(np.diag(covariances))) ** 2) / z.shape[1]


@pytest.mark.parametrize("shape", [(3, 8), (32, 4)])
@pytest.mark.parametrize("deviation", [0.3, 2])
def test_terms_are_the_papers(shape, deviation):
    z = np.random.default_rng(0).normal(1, deviation, shape)
    terms = [float(term) for term in variance_and_covariance(tf.constant(z, tf.float32))]
    assert terms == pytest.approx(_numpy_terms(z), rel=1e-5, abs=1e-6)


def test_loss_is_the_published_codes(toy):
    method = VICReg(toy.encoder(), toy.linear(6, 5))
    z1, z2 = (toy.apply([method.encoder, method.projector], view) for view in toy.views(batch=4))
    (v1, c1), (v2, c2) = _numpy_terms(z1), _numpy_terms(z2)
    expected = 25 * np.mean((z1 - z2) ** 2) + 25 * (v1 + v2) / 2 + c1 + c2
    assert float(method.objective(toy.batch(batch=4))) == pytest.approx(expected, rel=1e-5)


def test_only_a_collapse_costs_variance_and_only_redundancy_covariance():
    apart = tf.constant([[2.0, 2], [2, -2], [-2, 2], [-2, -2]])
    assert [float(term) for term in variance_and_covariance(apart)] == pytest.approx([0, 0], abs=1e-5)
    repeated = tf.repeat(apart[:, :1], 2, axis=1)
    assert [float(term) for term in variance_and_covariance(repeated)] == pytest.approx([0, (16 / 3) ** 2], rel=1e-5)
    assert [float(term) for term in variance_and_covariance(tf.ones([4, 2]))] == pytest.approx([0.99, 0], abs=1e-6)
