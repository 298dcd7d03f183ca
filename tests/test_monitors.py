"""The callbacks that watch a run."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam import monitors


def test_effective_rank_of_known_spectra():
    random = np.random.default_rng(0)
    basis = np.linalg.qr(random.normal(size=(64, 8)))[0]
    isotropic = basis - basis.mean(axis=0)
    assert monitors.effective_rank(isotropic) == pytest.approx(8, abs=0.3)
    line = np.outer(np.linspace(-1, 1, 50), np.ones(16))
    assert monitors.effective_rank(line) == pytest.approx(1, abs=1e-3)
    assert monitors.effective_rank(np.ones((50, 16))) == 0


def test_collapse_is_said_once(capsys):
    warning = monitors.CollapseWarning()
    warning.on_epoch_end(0, {"loss": -0.5, "std_projection": 0.9})
    assert not capsys.readouterr().err
    for epoch in (1, 2):
        warning.on_epoch_end(epoch, {"loss": -1.0, "std_projection": 0.01, "std_prediction": 0.9})
    message = capsys.readouterr().err
    assert message.count("WARNING") == 1 and "epoch 2" in message and "std_projection=0.010" in message


def test_view_grid_has_a_row_a_sample_and_a_column_an_image():
    views = tuple(
        {"hha": tf.fill([3, 4, 4, 3], 0.2), "rgb": tf.fill([3, 4, 4, 3], 0.4 + index)} for index in (0.0, 0.4)
    )
    grid = monitors.view_grid(views, samples=2)
    assert grid.shape == (8, 16, 3)
    np.testing.assert_array_equal(grid[0, ::4, 0], [102, 51, 204, 51])  # RGB, HHA, RGB, HHA


def test_view_grid_shows_no_mask():
    views = tuple({"hha": tf.concat([tf.fill([2, 4, 4, 3], 0.2), tf.ones([2, 4, 4, 1])], -1)} for _ in range(2))
    np.testing.assert_array_equal(monitors.view_grid(views), np.full((8, 8, 3), 51))


def _identity():
    x = keras.Input((2,))
    model = keras.Model(x, {"embedding": keras.layers.Activation("linear")(x)})
    model.encoder = model
    return model


def test_knn_measures_every_few_epochs_and_the_last():
    def batches(points, labels):
        facts = {"label": tf.constant(labels, tf.int64), "frame": tf.constant(["a", "b"])}
        return tf.data.Dataset.from_tensors((tf.constant(points), facts))

    bank = batches([[1.0, 0], [0, 1]], [0, 1])
    queries = batches([[0.9, 0.1], [0.8, 0.2]], [0, 1])  # the second is nearer to class 0: wrong
    knn = monitors.KNN(bank, queries, 2, every=2, k=1, temperature=0.1, epochs=5)
    knn.set_model(_identity())
    measured = []
    for epoch in range(5):
        logs = {}
        knn.on_epoch_end(epoch, logs)
        measured.append(logs.get("knn"))
    assert measured == [None, 0.5, None, 0.5, 0.5]


def test_log_writes_a_line_an_epoch(tmp_path):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.25), "mse")
    log = monitors.Log(str(tmp_path / "metrics.jsonl"), tf.summary.create_file_writer(str(tmp_path / "tensorboard")))
    model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, verbose=0, callbacks=[log])
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[0]["learning_rate"] == 0.25 and lines[1]["loss"] < lines[0]["loss"]
    assert list((tmp_path / "tensorboard").iterdir())
