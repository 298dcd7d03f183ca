"""SwAV's codes and loss against NumPy, the stopped codes, and prototypes that stand still at first."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods.swav import SwAV, sinkhorn


def _numpy_sinkhorn(scores, epsilon=0.05, iterations=3):
    """As the paper's appendix A writes it, without logarithms."""
    q = np.exp(scores.astype(np.float64) / epsilon).T
    q /= q.sum()
    k, b = q.shape
    for _ in range(iterations):
        q = q / q.sum(axis=1, keepdims=True) / k
        q = q / q.sum(axis=0, keepdims=True) / b
    return (q * b).T


def test_codes_are_the_papers():
    scores = np.random.default_rng(0).uniform(-1, 1, (6, 4)).astype(np.float32)
    np.testing.assert_allclose(sinkhorn(tf.constant(scores)), _numpy_sinkhorn(scores), atol=1e-5)


def test_clusters_share_the_batch():
    scores = np.random.default_rng(1).uniform(-0.2, 0.2, (12, 4)).astype(np.float32)
    codes = sinkhorn(tf.constant(scores), iterations=100).numpy()
    np.testing.assert_allclose(codes.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(codes.sum(axis=0), 3, atol=1e-3)


def _method(toy, **kwargs):
    return SwAV(toy.encoder(), toy.linear(6, 5), prototypes=4, **kwargs)


def _numpy_loss(toy, method, views):
    prototypes = method.prototypes.numpy().astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(prototypes, axis=0), 1, atol=1e-6)
    s1, s2 = (toy.normalized(toy.apply([method.encoder, method.projector], view)) @ prototypes for view in views)

    return 0.5 * _numpy_cross_entropy(_numpy_sinkhorn(s2), s1) + 0.5 * _numpy_cross_entropy(_numpy_sinkhorn(s1), s2)


def _numpy_cross_entropy(codes, scores):
    logits = scores / 0.1
    return -np.mean(np.sum(codes * (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))), axis=1))


def test_loss_is_the_papers_formula(toy):
    method = _method(toy)
    assert float(method.objective(toy.batch())) == pytest.approx(_numpy_loss(toy, method, toy.views()), abs=1e-4)


def test_small_views_are_predicted_from_and_not_assigned(toy):
    method = _method(toy)
    views = (*toy.views(batch=3), *toy.views(1, batch=3), *toy.views(2, batch=3))[:5]
    scores = [
        toy.normalized(toy.apply([method.encoder, method.projector], view)) @ method.prototypes.numpy()
        for view in views
    ]
    codes = [_numpy_sinkhorn(one) for one in scores[:2]]
    expected = np.mean([_numpy_cross_entropy(codes[i], scores[v]) for i in (0, 1) for v in range(5) if v != i])
    assert float(method.objective({"views": views})) == pytest.approx(expected, abs=1e-4)


def test_a_step_turns_the_prototypes_as_far_as_published(toy):
    """C ← C − lr · dL/dC of prototypes of length one, then back to that length (appendix A): not a step of their direction."""
    method, batch = _method(toy), toy.batch()
    method.compile(keras.optimizers.SGD(0.5))
    before = method.prototypes.numpy().astype(np.float64)
    z = [toy.normalized(toy.apply([method.encoder, method.projector], view)) for view in batch["views"]]
    method.train_step(batch)
    chances = [np.exp(one @ before / 0.1) for one in z]
    chances = [one / one.sum(axis=1, keepdims=True) for one in chances]
    codes = [_numpy_sinkhorn(one @ before) for one in z]
    gradient = sum(z[i].T @ (chances[i] - codes[1 - i]) for i in (0, 1)) / 2 / 0.1 / 2  # halves, τ, mean over 2
    np.testing.assert_allclose(method.prototypes, toy.normalized(before - 0.5 * gradient, axis=0), atol=1e-4)


def test_no_gradient_passes_through_the_codes():
    """With one view's scores fixed, its codes are the only way from it to the loss."""
    scores = tf.constant(np.random.default_rng(2).uniform(-1, 1, (3, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        codes = SwAV._codes(None, scores)
    assert tape.gradient(codes, scores) is None


@pytest.mark.parametrize(("frozen", "moves"), [(0, True), (1, False)])
def test_prototypes_can_stand_still_at_first(toy, frozen, moves):
    method = _method(toy, frozen_steps=frozen)
    method.compile(keras.optimizers.SGD(0.5))
    before = method.prototypes.numpy()
    method.train_step(toy.batch())
    assert np.allclose(before, method.prototypes) != moves
    method.train_step(toy.batch())
    assert not np.allclose(before, method.prototypes)
