"""Networks small enough for NumPy to follow, and views for them."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from tests.methods.small import batch_of


class Toy:
    """Linear networks on views of 2×2 pixels, what NumPy makes of them, and a batch of two."""

    def linear(self, inputs, outputs):
        x = keras.Input((inputs,))
        return keras.Model(x, keras.layers.Dense(outputs)(x))

    def encoder(self, seed=0):
        keras.utils.set_random_seed(seed)
        x = keras.Input((2, 2, 3), name="rgb")
        return keras.Model({"rgb": x}, {"embedding": keras.layers.Dense(6)(keras.layers.Flatten()(x))})

    def views(self, seed=0, batch=2):
        random = np.random.default_rng(seed)
        return tuple({"rgb": tf.constant(random.uniform(size=(batch, 2, 2, 3)), tf.float32)} for _ in range(2))

    def batch(self, seed=0, batch=2):
        """The views of `views` as training has them: without labels, places from 0 on."""
        return batch_of(self.views(seed, batch))

    def apply(self, models, view):
        """NumPy's outputs of linear models in a row."""
        x = view["rgb"].numpy().reshape(len(view["rgb"]), -1).astype(np.float64)
        for model in models:
            dense = model.layers[-1]
            x = x @ dense.kernel.numpy() + dense.bias.numpy()
        return x

    def normalized(self, x, axis=1):
        return x / np.linalg.norm(x, axis=axis, keepdims=True)


@pytest.fixture
def toy():
    return Toy()
