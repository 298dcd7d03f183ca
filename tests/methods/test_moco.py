"""InfoNCE against its formula in NumPy, the queue, and the copy of the network that moves slowly."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.keras_compat import tf_variable
from keras_simsiam.methods.moco import MoCoV2


def _method(toy, **kwargs):
    return MoCoV2(toy.encoder(), toy.linear(6, 5), **({"queue_size": 7, "temperature": 0.2} | kwargs))


def test_loss_is_the_papers_formula(toy):
    method, (first, second) = _method(toy), toy.views()
    query = toy.normalized(toy.apply([method.encoder, method.projector], first))
    key = toy.normalized(toy.apply([method.key_encoder, method.key_projector], second))
    queue = method.queue.numpy()
    expected = [
        -np.log(np.exp(q @ k / 0.2) / (np.exp(q @ k / 0.2) + np.exp(queue @ q / 0.2).sum()))
        for q, k in zip(query, key, strict=True)
    ]
    assert float(method.objective(toy.batch())) == pytest.approx(np.mean(expected), abs=1e-5)


def test_the_queue_keeps_the_newest_keys_in_turn(toy):
    method, start = _method(toy), None
    start = method.queue.numpy()
    keys = []
    for seed in range(4):
        batch = toy.batch(seed)
        method.objective(batch)
        keys.append(toy.normalized(toy.apply([method.key_encoder, method.key_projector], batch["views"][1])))
    keys = np.concatenate(keys)  # 8 keys into 7 places
    np.testing.assert_allclose(method.queue[1:], keys[1:7], atol=1e-5)
    np.testing.assert_allclose(method.queue[0], keys[7], atol=1e-5)
    assert int(method.place) == 1 and not np.allclose(start, method.queue)


def test_no_gradient_reaches_the_keys(toy):
    method = _method(toy)
    with tf.GradientTape() as tape:
        loss = method.objective(toy.batch())
    copies = [variable for copy in method.copies for variable in copy.trainable_variables]
    assert tape.gradient(loss, copies) == [None] * len(copies)
    assert not {id(v) for v in copies} & {id(v) for v in method.trained_variables}
    assert len(method.trained_variables) == 4


def test_a_step_moves_the_keys_network_by_its_momentum(toy):
    method = _method(toy, momentum=0.9)
    method.compile(keras.optimizers.SGD(0.5))
    before = [weight.copy() for copy in method.copies for weight in copy.get_weights()]
    method.train_step(toy.batch())
    now = [weight for model in (method.encoder, method.projector) for weight in model.get_weights()]
    after = [weight for copy in method.copies for weight in copy.get_weights()]
    assert max(np.abs(a - b).max() for a, b in zip(before, now, strict=True)) > 1e-3
    for old, online, moved in zip(before, now, after, strict=True):
        np.testing.assert_allclose(moved, 0.9 * old + 0.1 * online, atol=1e-6)


def test_replicas_share_queue_and_copy(toy, two_replicas):
    with two_replicas.scope():
        method = _method(toy, queue_size=8, momentum=0.9)
        method.compile(keras.optimizers.SGD(0.5))
    batch = toy.batch(batch=4)
    keys = toy.normalized(toy.apply([method.key_encoder, method.key_projector], batch["views"][1]))
    dataset = tf.data.Dataset.from_tensors(batch)
    method.fit(dataset, epochs=1, verbose=0)
    np.testing.assert_allclose(method.queue.numpy()[:4], keys, atol=1e-5)
    for variable in (method.queue, tf_variable(method.copies[0].trainable_variables[0])):
        values = [value.numpy() for value in two_replicas.experimental_local_results(variable)]
        np.testing.assert_array_equal(values[0], values[1])
