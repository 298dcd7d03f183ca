"""A file of weights where keras.applications keeps those of ImageNet, with random ones."""

import h5py
import numpy as np
from tensorflow import keras

from keras_simsiam.models import imagenet


def write(home):
    """Makes it in the folder `home`, and gives the ResNet-50 that it is of.

    By hand, in the format of Keras 2, which keras.applications reads on both stacks and Keras 3 no longer writes.
    """
    network = keras.applications.ResNet50(include_top=False, weights=None)
    random = np.random.default_rng(0)
    network.set_weights([weight + random.uniform(0, 0.02, weight.shape) for weight in network.get_weights()])
    folder = home / ".keras" / "models"
    folder.mkdir(parents=True)
    layers = [layer for layer in network.layers if layer.weights]
    with h5py.File(folder / imagenet.WEIGHTS, "w") as file:
        file.attrs["layer_names"] = [layer.name for layer in layers]
        for layer in layers:
            names = [f"{layer.name}/{place}" for place in range(len(layer.weights))]
            file.create_group(layer.name).attrs["weight_names"] = names
            for name, weight in zip(names, layer.get_weights(), strict=True):
                file[layer.name][name] = weight
    return network
