"""SimSiam's loss against its formula in NumPy, and the stopped branch."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods.simsiam import SimSiam, negative_cosine
from tests.methods.small import batch_of


def _linear(inputs, outputs):
    x = keras.Input((inputs,))
    return keras.Model(x, keras.layers.Dense(outputs)(x))


def _method(**kwargs):
    """SimSiam whose encoder, projector and predictor are linear, so that NumPy can follow them."""
    keras.utils.set_random_seed(0)
    x = keras.Input((2, 2, 3), name="rgb")
    encoder = keras.Model({"rgb": x}, {"embedding": keras.layers.Dense(6)(keras.layers.Flatten()(x))})
    return SimSiam(encoder, _linear(6, 5), _linear(5, 5), **kwargs)


def _views(seed=0):
    random = np.random.default_rng(seed)
    return tuple({"rgb": tf.constant(random.uniform(size=(2, 2, 2, 3)), tf.float32)} for _ in range(2))


def _numpy_loss(method, views):
    def apply(model, x):
        dense = model.layers[-1]
        return x @ dense.kernel.numpy() + dense.bias.numpy()

    def distance(p, z):
        return -np.mean(np.sum(p * z, 1) / np.linalg.norm(p, axis=1) / np.linalg.norm(z, axis=1))

    z1, z2 = (apply(method.projector, apply(method.encoder, view["rgb"].numpy().reshape(2, -1))) for view in views)
    p1, p2 = apply(method.predictor, z1), apply(method.predictor, z2)
    return 0.5 * distance(p1, z2) + 0.5 * distance(p2, z1)


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_loss_is_the_papers_formula(stop_gradient):
    method = _method(stop_gradient=stop_gradient)
    assert float(method.objective(batch_of(_views()))) == pytest.approx(_numpy_loss(method, _views()), abs=1e-6)


def test_asymmetric_loss_predicts_the_second_view_only():
    method, (first, second) = _method(symmetric=False), _views()
    both = _method()
    one_way = float(method.objective(batch_of((first, second))))
    assert one_way != pytest.approx(float(method.objective(batch_of((second, first)))), abs=1e-3)
    expected = (one_way + float(method.objective(batch_of((second, first))))) / 2
    assert float(both.objective(batch_of((first, second)))) == pytest.approx(expected, abs=1e-6)


def test_loss_stays_callable_after_compile():
    method = _method()
    method.compile(keras.optimizers.SGD())
    assert float(method.objective(batch_of(_views()))) == pytest.approx(_numpy_loss(method, _views()), abs=1e-6)


def test_negative_cosine_of_known_vectors():
    p, z = tf.constant([[2.0, 0], [1, 1]]), tf.constant([[3.0, 0], [0, 5]])
    assert float(negative_cosine(p, z)) == pytest.approx(-(1 + 2**-0.5) / 2)


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_gradient_through_the_projections_side_is_exactly_zero(stop_gradient):
    """With a predictor that ignores its input no gradient can come by the prediction's side."""
    method = _method(stop_gradient=stop_gradient)
    method.predictor.layers[-1].kernel.assign(tf.zeros([5, 5]))
    method.predictor.layers[-1].bias.assign([1.0, 2, 3, 4, 5])
    with tf.GradientTape() as tape:
        loss = method.objective(batch_of(_views()))
    weights = method.encoder.trainable_variables + method.projector.trainable_variables
    largest = max(float(tf.reduce_max(tf.abs(gradient))) for gradient in tape.gradient(loss, weights))
    assert (largest == 0.0) if stop_gradient else (largest > 1e-4)


def test_the_loss_is_symmetric_in_its_views():
    method = _method()
    first, second = _views()
    assert float(method.objective(batch_of((first, second)))) == pytest.approx(
        float(method.objective(batch_of((second, first)))), abs=1e-6
    )
