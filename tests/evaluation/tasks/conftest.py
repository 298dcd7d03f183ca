"""A small data set on a turntable, and two small encoders of it, as the tasks are given them."""

import types

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.evaluation.data import Data
from keras_simsiam.evaluation.encoders.compared import TRAINED, UNTRAINED, ComparedEncoders
from keras_simsiam.evaluation.encoders.source import EncoderSource
from keras_simsiam.evaluation.feature_store import Store
from keras_simsiam.training.config import RunConfig
from keras_simsiam.views.preprocessing import Preprocessing

CLASSES = ("apple", "leaf", "plum")
COLOURS = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])
SIZE = 16


def _samples(split, count, depth):
    """Frames of recordings of ten, one of each class after the other, coloured by their class."""
    random = np.random.default_rng(len(split))
    numbers = np.arange(count)
    labels = numbers % 3
    images = COLOURS[labels][:, None, None] + random.integers(-40, 40, (count, 20, 24, 3))
    facts = {
        "rgb": np.clip(images, 0, 255).astype(np.uint8),
        "intrinsics": np.tile(np.array([30, 30, 11.5, 9.5], np.float32), (count, 1)),
        "gravity": np.tile(np.array([0, 1, 0], np.float32), (count, 1)),
        "label": labels,
        "instance": labels,
        "frame": [f"{CLASSES[i % 3]}_1_{1 if split == 'train' else 2}_{i // 3 + 1}" for i in numbers],
    }
    if depth:
        facts["depth"] = random.uniform(0.8, 1.2, (count, 20, 24)).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices(facts)


class InMemory:
    """What the evaluation asks of a data set (`keras_simsiam.core.dataset.Dataset`), of samples that are at hand."""

    path, classes = "nowhere", CLASSES

    def __init__(self, samples, has_depth):
        self._samples, self.has_depth = samples, has_depth
        self.splits = {
            name: types.SimpleNamespace(count=len(of_split), unlabelled=0) for name, of_split in samples.items()
        }

    def samples(self, split):
        return self._samples[split]

    def identity(self, split):
        return split


@pytest.fixture
def make_data(tmp_path):
    """A function from (train frames, test frames, depth, change of the test split, validation frames) to a `Data`."""

    def make(train=36, test=30, depth=False, change=lambda samples: samples, val=0):
        sizes = {"train": train, "test": test} | ({"val": val} if val else {})
        splits = {name: _samples(name, count, depth) for name, count in sizes.items()}
        splits["test"] = change(splits["test"])
        folder = tmp_path / f"features{len(list(tmp_path.iterdir()))}"
        return Data(InMemory(splits, depth), "train", "test", Store(folder, 1), 16)

    return make


def _encoder(names, seed):
    keras.utils.set_random_seed(seed)
    view = {name: keras.Input((SIZE, SIZE, 3), name=name) for name in names}
    x = keras.layers.Concatenate()(list(view.values())) if len(view) > 1 else view[names[0]]
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(6, 3, 2)(x))
    return keras.Model(view, {"embedding": keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))})


@pytest.fixture
def make_compared():
    """A function from a modality to two `ComparedEncoders`."""

    def make(modality="rgb"):
        names = {"rgb": ["rgb"], "rgbd": ["rgb", "hha"]}[modality]
        return ComparedEncoders(
            EncoderSource("file", "nowhere", config=RunConfig("", "", min_crop=0.5)),
            Preprocessing(modality, SIZE),
            {TRAINED: "1", UNTRAINED: "2"},
            lambda: {TRAINED: _encoder(names, 1), UNTRAINED: _encoder(names, 2)},
        )

    return make


@pytest.fixture
def output(tmp_path):
    folder = tmp_path / "output"
    folder.mkdir()
    return folder
