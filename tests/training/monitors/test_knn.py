"""The kNN monitor: when it measures, and what."""

import types

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.probes.effective_rank import effective_rank
from keras_simsiam.training import monitors
from keras_simsiam.training.checkpoints import Position


def _batches(points, labels):
    numbers = tf.range(len(labels), dtype=tf.int64)
    facts = {"label": tf.constant(labels, tf.int64), "instance": numbers, "frame": tf.strings.as_string(numbers)}
    return tf.data.Dataset.from_tensors((tf.constant(points, tf.float32), facts))


def _identity():
    x = keras.Input((2,))
    return types.SimpleNamespace(encoder=keras.Model(x, {"embedding": keras.layers.Activation("linear")(x)}))


def _measured(model, queries, labels, every=2, epochs=5, position=None):
    position = position or Position()
    bank = _batches([[1.0, 0], [0, 1]], [0, 1])
    knn = monitors.KNN(bank, _batches(queries, labels), 2, every, 1, 0.1, epochs, position, parts=1)
    knn.set_model(model)
    knn.on_train_begin()
    measured = [{} for _ in range(epochs)]
    for epoch, logs in enumerate(measured):
        knn.on_epoch_end(epoch, logs)
    return measured


def test_knn_measures_every_few_epochs_and_the_last():
    # the second query is nearer to class 0: wrong
    measured = _measured(_identity(), [[0.9, 0.1], [0.8, 0.2]], [0, 1])
    assert [logs.get("knn") for logs in measured] == [None, 0.5, None, 0.5, 0.5]
    assert ["effective_rank" in logs for logs in measured] == [False, True, False, True, True]
    assert not any("effective_rank_projection" in logs for logs in measured)  # there is no projector


def test_what_the_untrained_network_had_is_in_the_first_epochs_logs_also_after_a_stop():
    position = Position()
    measured = _measured(_identity(), [[0.9, 0.1], [0.8, 0.2]], [0, 1], position=position)
    untrained = {"knn": 0.5, "knn_whitened": 0.5, "effective_rank": pytest.approx(1.0, abs=1e-3)}
    assert measured[0] == {f"first_{name}": value for name, value in untrained.items()}
    assert not any(name.startswith("first_") for logs in measured[1:] for name in logs)

    resumed = Position()
    resumed.deserialize(position.serialize())
    resumed.step = 3  # stopped in the first epoch: what is trained by then is not measured in its place
    again = _measured(_identity(), [[0.9, 0.1], [0.1, 0.9]], [0, 1], position=resumed)
    assert again[0]["first_knn"] == 0.5 and again[1]["knn"] == 1.0

    earlier_version = Position()
    earlier_version.deserialize("[0, 3, 0.0, -0.01]")
    assert earlier_version.first_loss == -0.01
    assert not _measured(_identity(), [[0.9, 0.1]], [0], position=earlier_version)[0]


def test_the_rank_of_the_projection_is_that_of_inference():
    points = np.random.default_rng(0).normal(size=(40, 2))
    model = _identity()
    # in training the dropout would leave other numbers, and BatchNorm another scale
    layers = keras.Input((2,)), keras.layers.Dropout(0.9), keras.layers.BatchNormalization()
    projector = keras.Sequential(layers)
    projector.layers[1].set_weights([np.ones(2), np.zeros(2), np.zeros(2), np.array([1.0, 10_000.0])])
    model.projector = projector
    (logs,) = _measured(model, points, [0] * 40, epochs=1)
    expected = effective_rank(points / [1, 100])
    assert logs["effective_rank_projection"] == pytest.approx(expected, rel=1e-2) and expected < 1.1
    assert logs["effective_rank"] > 1.9
    assert projector.layers[1].get_weights()[2].tolist() == [0, 0]  # the moving mean has not moved


def test_a_projector_of_one_modality_sees_each_half_of_an_embedding():
    points = np.random.default_rng(0).normal(size=(40, 2))
    model = _identity()
    model.projector = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3)])
    (logs,) = _measured(model, points, [0] * 40, epochs=1)
    expected = effective_rank(model.projector(points.reshape(80, 1)).numpy())
    assert logs["effective_rank_projection"] == pytest.approx(expected)
