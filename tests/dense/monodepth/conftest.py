"""An encoder of four convolutions: what is tried here depends on no ResNet, and small graphs are quick to make."""

import pytest
from tensorflow import keras


def build_tiny(image_size):
    """A model of colour with the outputs of an encoder, of stride 8, with BatchNorm."""
    x = images = keras.Input((image_size, image_size, 3), name="rgb")
    maps = {}
    for stage, stride in enumerate((1, 2, 2, 2), start=2):
        x = keras.layers.Conv2D(4 * stage, 3, stride, "same", activation="relu")(x)
        x = maps[f"c{stage}"] = keras.layers.BatchNormalization()(x)
    embedding = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model({"rgb": images}, {"embedding": embedding, "map": x, **maps}, name="encoder")


@pytest.fixture(scope="session")
def tiny():
    keras.utils.set_random_seed(0)  # else its weights would depend on the tests before
    return build_tiny(16)
