"""Each sample's moving average, over three steps in NumPy; the stopped branch; the same rows from two replicas."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods.moving_average import MovingAverage
from tests.methods.small import batch_of

SAMPLES = 6


def _method(toy, **kwargs):
    method = MovingAverage(toy.encoder(), toy.linear(6, 5), samples=SAMPLES, **kwargs)
    method.compile(keras.optimizers.SGD(0.5))
    return method


@pytest.mark.parametrize("in_graph", [False, True])
def test_the_papers_formula_over_three_steps(toy, in_graph):
    method = _method(toy)
    step = tf.function(method.train_step) if in_graph else method.train_step
    averages = method.averages.numpy().astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(averages, axis=1), 1, atol=1e-6)
    for seed, index in enumerate([[4, 1], [1, 0], [4, 5]]):  # 1 and 4 come twice, 2 and 3 never
        views = toy.views(seed)
        z1, z2 = (toy.normalized(toy.apply([method.encoder, method.projector], view)) for view in views)
        averages[index] = 0.8 * averages[index] + 0.2 * z2
        expected = -np.mean(np.sum(z1 * toy.normalized(averages[index]), axis=1))
        method.reset_metrics()
        assert float(step(batch_of(views, index=index))["loss"]) == pytest.approx(expected, abs=1e-5)
        np.testing.assert_allclose(method.averages, averages, atol=1e-5)


def test_no_gradient_passes_through_the_average(toy):
    """With momentum 0 the average is the second view's output: its gradient would be the first view's formula's other half."""
    method, (first, second) = _method(toy, momentum=0.0), toy.views()
    weights = method.encoder.trainable_variables
    with tf.GradientTape() as tape:
        loss = method.objective(batch_of((first, second), index=[2, 3]))
    fixed = tf.constant(toy.normalized(toy.apply([method.encoder, method.projector], second)), tf.float32)
    with tf.GradientTape() as by_hand:
        z = method.projector(method.encoder(first)["embedding"])
        expected = -tf.reduce_mean(tf.reduce_sum(tf.math.l2_normalize(z, axis=1) * fixed, axis=1))
    for one, other in zip(tape.gradient(loss, weights), by_hand.gradient(expected, weights), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert not any(variable is method.averages for variable in method.trained_variables)


def test_two_replicas_keep_the_same_rows_as_one(toy, two_replicas):
    batches = [batch_of(toy.views(seed, 4), index=index) for seed, index in enumerate([[3, 0, 5, 1], [5, 2, 1, 4]])]
    dataset = tf.data.Dataset.from_tensor_slices(tf.nest.map_structure(lambda *rows: tf.stack(rows), *batches))
    with two_replicas.scope():
        over_two = _method(toy)
    over_one = _method(toy)
    over_one.averages.assign(over_two.averages.numpy())
    before = over_one.averages.numpy()
    for method in (over_two, over_one):
        method.fit(dataset, verbose=0)
    for values in two_replicas.experimental_local_results(over_two.averages):
        np.testing.assert_allclose(values, over_one.averages, atol=1e-6)
    assert (np.abs(over_one.averages - before).max(axis=1) > 1e-3).all()
    for one, other in zip(over_one.trainable_variables, over_two.trainable_variables, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
