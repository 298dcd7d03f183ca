"""An encoder of colour made of a checkpoint that PyTorch has written."""

import typing

import numpy as np
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.models.encoder import NORMALISATION, build_encoder
from keras_simsiam.models.pytorch import safetensors_file, torch_names, torch_pickle

_SIZES = {"imagenet": 224, "cifar": 32}  # what a stem was made for


class Loaded(typing.NamedTuple):
    """What a checkpoint was found to hold."""

    encoder: keras.Model  # of modality `rgb`
    architecture: torch_names.Architecture
    prefix: str  # what stood before the network's names
    left_out: list[str]  # what the names of other weights begin with


def load(path, *, prefix=None, image_size=None, mean=NORMALISATION["rgb"][0], std=NORMALISATION["rgb"][1]):
    """Make an encoder of a checkpoint.

    Args:
        path: what torch.save wrote, or a .safetensors file.
        prefix: as for `torch_names.find_prefix`.
        image_size: the side of the views in pixels; None: what the stem was made for.
        mean: as for `fill`.
        std: as for `fill`.

    Returns:
        `Loaded`.

    Raises:
        UserError: the checkpoint cannot be read, or is of another network.
    """
    entries = (safetensors_file if path.endswith(".safetensors") else torch_pickle).read(path)
    prefix = torch_names.find_prefix(entries, prefix)
    tensors = {name.removeprefix(prefix): tensor for name, tensor in entries.items() if name.startswith(prefix)}
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    architecture = torch_names.recognise(shapes)
    heads = torch_names.check(shapes, architecture)
    weights = _weights(path, tensors, architecture)
    size = image_size or _SIZES[architecture.stem]
    encoder = build_encoder("rgb", architecture.backbone, size, stem=architecture.stem, width=architecture.width)
    fill(encoder, weights, architecture, mean=mean, std=std)
    return Loaded(encoder, architecture, prefix, sorted({name.split(".")[0] for name in heads}))


def fill(encoder, weights, architecture, *, mean, std):
    """Put PyTorch's weights into an encoder.

    Args:
        encoder: what `build_encoder` makes of modality `rgb` and the architecture.
        weights: dict from PyTorch's name to a float32 array, a kernel being [out, in, height, width].
        architecture: `torch_names.Architecture`.
        mean: of an input in 0..1, three numbers: what the network was trained with (torchvision's `Normalize`).
        std: the same, above 0.
    """
    tower = encoder.get_layer("rgb_tower")
    normalisation = next(layer for layer in tower.layers if isinstance(layer, keras.layers.Rescaling))
    normalisation.scale = [1 / s for s in std]
    normalisation.offset = [-m / s for m, s in zip(mean, std, strict=True)]
    network = tower.get_layer(architecture.backbone).layers
    convolutions, norms = (
        sorted((layer for layer in network if isinstance(layer, kind)), key=_made)
        for kind in (keras.layers.Conv2D, keras.layers.BatchNormalization)
    )
    names = torch_names.layers(architecture)
    for convolution, norm, (name, norm_name, _) in zip(convolutions, norms, names, strict=True):
        convolution.set_weights([weights[f"{name}.weight"].transpose(2, 3, 1, 0)])
        norm.set_weights([weights[f"{norm_name}.{weight}"] for weight in torch_names.NORM])


def _made(layer):
    """When a layer was made among those of its kind, by the number that Keras puts behind its name.

    models/resnet.py makes them in torchvision's order. A functional model lists them in another, where branches meet.
    """
    number = layer.name.rpartition("_")[2]
    return int(number) if number.isdecimal() else 0


def _weights(path, tensors, architecture):
    """The encoder's arrays, float32, by their names."""
    names = [f"{name}.weight" for name, _, _ in torch_names.layers(architecture)]
    names += [f"{norm}.{weight}" for _, norm, _ in torch_names.layers(architecture) for weight in torch_names.NORM]
    weights = {name: np.asarray(tensors[name].load(), np.float32) for name in names}
    wrong = [name for name, array in weights.items() if not np.all(np.isfinite(array))]
    if wrong:
        raise UserError(f"{path}: {wrong[0]} has numbers that are not finite: its training has diverged, give another")
    return weights
