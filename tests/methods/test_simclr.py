"""NT-Xent against its formula in NumPy, alone and over two replicas."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.methods.simclr import SimCLR, nt_xent


def _numpy_nt_xent(z1, z2, temperature):
    z = np.concatenate([z1, z2])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    similarity, count, losses = np.exp(z @ z.T / temperature), len(z1), []
    for i in range(2 * count):
        others = sum(similarity[i, k] for k in range(2 * count) if k != i)
        losses.append(-np.log(similarity[i, (i + count) % (2 * count)] / others))
    return np.mean(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_loss_is_the_papers_formula(toy, temperature):
    method = SimCLR(toy.encoder(), toy.linear(6, 5), temperature=temperature)
    z1, z2 = (toy.apply([method.encoder, method.projector], view) for view in toy.views())
    assert float(method.objective(toy.batch())) == pytest.approx(_numpy_nt_xent(z1, z2, temperature), abs=1e-5)


def test_both_views_get_gradients(toy):
    z = [tf.constant(np.random.default_rng(seed).normal(size=(2, 5)), tf.float32) for seed in (0, 1)]
    with tf.GradientTape() as tape:
        tape.watch(z)
        loss = nt_xent(*z, 0.5)
    assert all(float(tf.reduce_min(tf.norm(gradient, axis=1))) > 1e-3 for gradient in tape.gradient(loss, z))


def test_negatives_come_from_all_replicas(two_replicas):
    """The mean over replicas is the loss of the whole batch, and so are its gradients."""
    z = np.random.default_rng(2).normal(size=(2, 4, 5)).astype(np.float32)

    def step(half):
        with tf.GradientTape() as tape:
            tape.watch(half)
            loss = nt_xent(half[0], half[1], 0.5)
        return loss, tape.gradient(loss, half)

    halves = two_replicas.experimental_distribute_values_from_function(
        lambda context: tf.constant(z[:, 2 * context.replica_id_in_sync_group :][:, :2])
    )
    losses, gradients = (
        two_replicas.experimental_local_results(x) for x in tf.function(two_replicas.run)(step, [halves])
    )
    whole = tf.constant(z)
    with tf.GradientTape() as tape:
        tape.watch(whole)
        loss = nt_xent(whole[0], whole[1], 0.5)
    assert np.mean(losses) == pytest.approx(float(loss), abs=1e-5)
    # each replica's loss is a mean over its half: their gradients together are those of twice the whole's mean
    np.testing.assert_allclose(np.concatenate(gradients, axis=1) / 2, tape.gradient(loss, whole), atol=1e-5)
