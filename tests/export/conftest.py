"""What the tests of an exported model share: a tiny encoder's version folder, and frames to send it."""

import cv2
import numpy as np
import pytest
from tensorflow import keras

from export import encoder as command
from keras_simsiam.views.preprocessing import Preprocessing

SIZE = 16
PREPROCESSING = Preprocessing("rgbd", SIZE)


@pytest.fixture(scope="session")
def encoder():
    """An encoder of colour and HHA, 16 pixels a side, of random weights."""
    keras.utils.set_random_seed(0)
    view = {part: keras.Input((SIZE, SIZE, 3), name=part) for part in ("rgb", "hha")}
    features = keras.layers.Conv2D(4, 3, strides=2)(keras.layers.Concatenate()(list(view.values())))
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    return keras.Model(view, {"embedding": pooled, "c5": features, "map": features})


@pytest.fixture(scope="session")
def version(encoder, tmp_path_factory):
    """The folder of its exported version."""
    return command.export(encoder, PREPROCESSING, tmp_path_factory.mktemp("serving") / "rgbd_encoder")


@pytest.fixture(scope="session")
def make_frame():
    """A function from height, width and seed to a frame in files, as serving_default takes it, dict."""

    def make(height=30, width=40, seed=0):
        random = np.random.default_rng(seed)
        slope = 2500 - 1000 * np.mgrid[:height, :width][0] / height
        depth = (slope + random.normal(0, 5, (height, width))).astype(np.uint16)
        rgb = random.integers(0, 256, (height, width, 3), np.uint8)
        return {
            "image": cv2.imencode(".png", rgb[..., ::-1])[1].tobytes(),
            "depth": cv2.imencode(".png", depth)[1].tobytes(),
            "units_per_metre": 1000.0,
            "intrinsics": (50.0, 50.0, width / 2 - 0.5, height / 2 - 0.5),
            "gravity": (0.0, 0.9, 0.43588989),
        }

    return make


@pytest.fixture(scope="session")
def batch():
    """A function from frames to the tensors of a request, dict of arrays."""

    def stack(*frames):
        kinds = {"image": object, "depth": object}
        return {name: np.array([frame[name] for frame in frames], kinds.get(name, np.float32)) for name in frames[0]}

    return stack
