"""Small data sets, runs as training leaves them, and measurements made up."""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.evaluation.encoders.compared import TRAINED, UNTRAINED
from keras_simsiam.probes import scores
from keras_simsiam.training import run
from keras_simsiam.training.config import open_workdir
from tfrecords.example import Frame
from tfrecords.writer import Writer

COLOURS = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])


def write_dataset(path, permuted=False):
    """Frames of three objects: three recordings of eight frames each; the third recording is the test split."""
    random = np.random.default_rng(0)
    labels = {"train": [0, 1, 2], "test": [2, 0, 1] if permuted else [0, 1, 2]}
    with Writer(str(path)) as writer:
        for index in range(72):
            thing, video, number = index % 3, index // 24 + 1, index // 3 % 8
            image = (COLOURS[thing] + random.integers(-90, 50, (20, 24, 3)).clip(0, 255)).clip(0, 255).astype(np.uint8)
            depth_png = tf.io.encode_png(tf.fill([20, 24, 1], tf.constant(1000 + number, tf.uint16))).numpy()
            split = "test" if video == 3 else "train"
            name = f"thing_{thing}_{video}_{number}"
            png = tf.io.encode_png(image).numpy()
            writer.add(split, Frame(name, png, depth_png, (30.0, 30.0, 11.5, 9.5), label=labels[split][thing]))
        writer.commit({"classes": ["apple", "leaf", "plum"], "instances": []})
    return str(path)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """Features are not kept in the cache of whoever runs the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "things")


@pytest.fixture
def permuted_data_dir(tmp_path):
    return write_dataset(tmp_path / "permuted", permuted=True)


@pytest.fixture
def finish():
    """A function that leaves a run directory as training would, with an untrained encoder; cheap without one."""

    def finish(config, with_encoder=True):
        open_workdir(config)
        with open(f"{config.workdir}/metrics.jsonl", "w") as file:
            for epoch in (1, 2):
                file.write(json.dumps({"epoch": epoch, "loss": -0.1 * epoch, "std_projection": 0.9, "knn": 0.5}) + "\n")
        if with_encoder:
            run.untrained_encoder(config).save(f"{config.workdir}/encoder.keras")
        else:
            with open(f"{config.workdir}/encoder.keras", "wb") as file:
                file.write(b"an encoder")

    return finish


@pytest.fixture
def made_up():
    """A function that makes a measurement whose trained encoder is right on so many of 40 frames, by condition."""

    def make(right, validation=0.5, conditions=("clean",)):
        labels = np.arange(40) % 2

        def found(count, names):
            predicted = np.where(np.arange(40) < count, labels, 1 - labels)
            return {name: predicted.tolist() for name in names}

        by_encoder = {TRAINED: found(right, conditions), UNTRAINED: found(10, ["clean"])}
        accuracy = {
            encoder: {name: scores.summarise(labels, np.array(values), 2) for name, values in by_condition.items()}
            for encoder, by_condition in by_encoder.items()
        }
        return {
            "knn": {"protocol": "of neighbours"},
            "linear": {"protocol": "of a line"},
            "robustness": {"accuracy_by_condition": {"knn": accuracy, "linear": accuracy}},
            "identity": {"data": "0"},
            "seed": 0,
            "parameters": 1000,
            "frames": [f"thing_1_{index}" for index in range(40)],
            "labels": labels.tolist(),
            "predictions": {"knn": by_encoder, "linear": by_encoder},
            "validation": validation,
            "history": [{"epoch": 1, "loss": -0.5, "std_projection": 0.9, "knn": 0.4, "images_per_second": 100.0}],
        }

    return make
