"""What is kept of each epoch."""

import json
import os
import resource

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.optimization.optimizers import TorchSGD
from keras_simsiam.optimization.schedules import HalfCosine
from keras_simsiam.training import monitors


def _fit(folder, optimizer, monkeypatch=None, epochs=2):
    """The lines of metrics.jsonl after a run of two steps an epoch on a linear model; to patch: the last layer predicts."""
    model = keras.Sequential([keras.layers.Dense(2), keras.layers.Dense(1)])
    model.build((None, 2))
    if monkeypatch:
        variables = model.layers[1].trainable_variables
        monkeypatch.setattr(keras.Sequential, "predictor_variables", variables, raising=False)
    model.compile(optimizer(model), "mse")
    log = monitors.Log(str(folder / "metrics.jsonl"), tf.summary.create_file_writer(str(folder / "tensorboard")))
    data = np.ones((4, 2)), np.ones((4, 1))
    model.fit(*data, batch_size=2, epochs=epochs, verbose=0, callbacks=[log])
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def _points(folder, tag):
    """A curve's (step, value) as they were written."""
    (events,) = folder.iterdir()
    return [
        (event.step, float(tf.make_ndarray(value.tensor)))
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
        if value.tag == tag
    ]


def test_a_line_an_epoch_and_a_point_an_epoch(tmp_path):
    lines = _fit(tmp_path, lambda _: keras.optimizers.SGD(0.025))
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[0]["learning_rate"] == pytest.approx(0.025) and lines[1]["loss"] < lines[0]["loss"]
    points = _points(tmp_path / "tensorboard", "loss")
    assert points == [(line["epoch"], pytest.approx(line["loss"])) for line in lines]


def test_tensorboards_curves_begin_with_the_untrained_network(tmp_path):
    log = monitors.Log(str(tmp_path / "metrics.jsonl"), tf.summary.create_file_writer(str(tmp_path / "tensorboard")))
    log.rates = {}
    log.on_epoch_end(0, {"knn": 0.75, "first_knn": 0.5})
    assert _points(tmp_path / "tensorboard", "knn") == [(0, 0.5), (1, 0.75)]
    assert monitors.read(log.jsonl) == [{"epoch": 1, "knn": 0.75, "first_knn": 0.5}]


def test_the_rates_are_those_of_the_epoch(tmp_path, monkeypatch):
    rates = [HalfCosine(initial, epochs=2, steps_per_epoch=2) for initial in (0.02, 0.2)]
    lines = _fit(tmp_path, lambda _: TorchSGD(rates[0]), monkeypatch=monkeypatch)
    assert [line["learning_rate"] for line in lines] == pytest.approx([0.02, 0.01])
    assert not any("predictor_learning_rate" in line for line in lines)  # it has none of its own


@pytest.mark.parametrize("own", ["schedule", "fixed"])
def test_a_predictor_with_a_rate_of_its_own(own, tmp_path, monkeypatch):
    rate = HalfCosine(0.02, epochs=2, steps_per_epoch=2)
    override = HalfCosine(0.2, epochs=2, steps_per_epoch=2) if own == "schedule" else 0.02
    lines = _fit(
        tmp_path,
        lambda model: TorchSGD(rate, overrides=[(model.layers[1].trainable_variables, override)]),
        monkeypatch=monkeypatch,
    )
    assert [line["learning_rate"] for line in lines] == pytest.approx([0.02, 0.01])
    expected = [0.2, 0.1] if own == "schedule" else [0.02, 0.02]
    assert [line["predictor_learning_rate"] for line in lines] == pytest.approx(expected)


def test_what_was_written_is_read_and_a_cut_line_is_not(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert monitors.read(str(path)) == []
    path.write_text('{"epoch": 1, "loss": 0.5}\n{"epoch": 2, "lo')
    assert monitors.read(str(path)) == [{"epoch": 1, "loss": 0.5}]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a file on a disk that is full")
def test_a_full_disk_is_one_line(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"metrics\.jsonl cannot be written \(No space left on device\): make room, .*"):
        _fit(tmp_path, lambda _: keras.optimizers.SGD(0.025), epochs=1)


@pytest.fixture
def no_more_bytes():
    """A function after which no file of this process grows."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_events_that_cannot_be_written_are_one_line(tmp_path, no_more_bytes):
    log = monitors.Log(str(tmp_path / "metrics.jsonl"), tf.summary.create_file_writer(str(tmp_path / "tensorboard")))
    log.rates = {}
    no_more_bytes()
    with pytest.raises(
        UserError, match=r"TensorBoard's events cannot be written \(.*File too large\): make room, [^\n]*$"
    ):
        log.on_epoch_end(0, {"loss": 1.0})
