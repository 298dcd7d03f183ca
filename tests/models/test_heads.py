"""Projector and predictor as published, and as the RGB-D paper has them."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.models.heads import predictor, projector, side_by_side


def _kinds(model):
    return [type(layer).__name__ for layer in model.layers if type(layer).__name__ not in ("InputLayer", "Activation")]


def test_projector_as_published():
    model = projector(16, hidden=32, outputs=24, layers=3)
    hidden = ["Dense", "BatchNormalization", "ReLU"]
    assert _kinds(model) == [*hidden, *hidden, "Dense", "BatchNormalization"]
    last = next(layer for layer in reversed(model.layers) if isinstance(layer, keras.layers.BatchNormalization))
    assert not last.center and not last.scale
    assert model(tf.zeros([2, 16])).shape == (2, 24)


def test_projector_of_the_cifar_runs_has_two_layers():
    assert _kinds(projector(16, 32, 24, layers=2)).count("Dense") == 2


def test_predictor_as_published():
    model = predictor(24, hidden=8)
    assert _kinds(model) == ["Dense", "BatchNormalization", "ReLU", "Dense"]
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.use_bias for layer in dense] == [False, True]


def test_heads_of_the_rgbd_paper_have_relu_and_dropout():
    model = projector(16, 32, 24, batch_norms=False, dropout=0.5)
    assert _kinds(model) == ["Dense", "ReLU", "ResumableDropout", "Dense", "ReLU", "ResumableDropout", "Dense"]
    x = tf.ones([2, 16])
    assert not np.allclose(model(x, training=True), model(x, training=True))
    np.testing.assert_array_equal(model(x, training=False), model(x, training=False))


def test_initialisers_are_pytorchs():
    dense = predictor(400, hidden=100).layers[-2]
    for weight in (dense.kernel, dense.bias):
        assert np.abs(weight).max() <= 0.1
        assert np.std(weight) == pytest.approx(0.1 / np.sqrt(3), rel=0.1)


def test_outputs_are_float32_in_every_precision():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    assert projector(16, 32, 24)(tf.zeros([2, 16])).dtype == tf.float32


def test_side_by_side_each_head_has_its_half():
    heads = projector(3, 8, 5), projector(3, 8, 5)
    both, x = side_by_side(*heads), tf.random.stateless_normal([7, 6], [0, 1])
    assert (both.name, both.input_shape, both.output_shape) == ("projector", (None, 6), (None, 10))
    for training in (True, False):
        alone = [head(half, training=training) for head, half in zip(heads, tf.split(x, 2, axis=1), strict=True)]
        np.testing.assert_allclose(both(x, training=training), tf.concat(alone, 1), atol=1e-6)
    assert not np.allclose(*alone)
    names = [id(variable) for variable in both.trainable_variables]
    assert set(names) == {id(variable) for head in heads for variable in head.trainable_variables}
