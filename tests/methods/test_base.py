"""The collapse measure and the train step every method shares."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods.base import spread
from keras_simsiam.methods.simsiam import SimSiam
from keras_simsiam.models.encoder import build_encoder
from keras_simsiam.models.heads import predictor, projector
from keras_simsiam.optimizers import TorchSGD


def test_spread_of_a_constant_batch_is_zero():
    assert float(spread(tf.ones([8, 16]))) == pytest.approx(0, abs=1e-6)


def test_spread_of_the_identity_is_its_formula():
    # each column of the l2-normalised identity has one 1 among d: std √(1/d − 1/d²), times √d
    assert float(spread(tf.eye(16))) == pytest.approx(np.sqrt(1 - 1 / 16), abs=1e-5)


def test_spread_of_isotropic_outputs_is_near_one_whatever_their_scale():
    outputs = tf.random.stateless_normal([512, 64], [0, 1])
    assert float(spread(outputs)) == pytest.approx(1, abs=0.02)
    assert float(spread(100 * outputs)) == pytest.approx(float(spread(outputs)), abs=1e-5)


def _method(**kwargs):
    keras.utils.set_random_seed(0)
    encoder = build_encoder("rgb", "resnet18", 16, width=4, stem="cifar")
    method = SimSiam(encoder, projector(32, 32, 32), predictor(32, 16), **kwargs)
    method.compile(TorchSGD(0.05))
    return method


def _dataset():
    views = tuple({"rgb": tf.random.stateless_uniform([8, 16, 16, 3], [1, index])} for index in range(2))
    return tf.data.Dataset.from_tensors(views).repeat(6)


def test_train_step_learns_and_reports():
    history = _method().fit(_dataset(), epochs=3, verbose=0).history
    assert set(history) == {"loss", "std_projection", "std_prediction"}
    assert history["loss"][-1] < history["loss"][0] - 0.1
    assert history["std_projection"][-1] > 0.3


def test_both_views_pass_batchnorm_apart():
    """Two forwards update the moving statistics twice; one forward over both views would update them once."""
    method = _method()
    norm = next(
        layer for layer in method.encoder.get_layer("rgb_tower").get_layer("resnet18").layers if "batch" in layer.name
    )
    views = next(iter(_dataset()))
    method.loss(views)
    seen = norm.moving_mean.numpy()
    again = _method()
    norm = next(
        layer for layer in again.encoder.get_layer("rgb_tower").get_layer("resnet18").layers if "batch" in layer.name
    )
    again.encoder(views[0], training=True)
    again.encoder(views[1], training=True)
    np.testing.assert_allclose(norm.moving_mean, seen, atol=1e-6)
