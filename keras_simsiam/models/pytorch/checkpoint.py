"""An encoder of colour made of a checkpoint that PyTorch has written."""

import typing

import numpy as np
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.models import vit
from keras_simsiam.models.encoder import NORMALISATION, build_encoder
from keras_simsiam.models.pytorch import safetensors_file, torch_names, torch_pickle, torch_vit_names

_SIZES = {"imagenet": 224, "cifar": 32}  # what a stem was made for


class Loaded(typing.NamedTuple):
    """What a checkpoint was found to hold."""

    encoder: keras.Model  # of modality `rgb`
    architecture: torch_names.Architecture | torch_vit_names.VisionTransformer
    prefix: str  # what stood before the network's names
    left_out: list[str]  # what the names of other weights begin with


def load(path, *, prefix=None, image_size=None, heads=None, mean=NORMALISATION["rgb"][0], std=NORMALISATION["rgb"][1]):
    """Make an encoder of a checkpoint.

    Args:
        path: what torch.save wrote, or a .safetensors file.
        prefix: as for `torch_names.find_prefix`.
        image_size: the side of the views in pixels; None: what the stem, or a ViT's positions, were made for.
        heads: of a ViT, as for `torch_vit_names.recognise`.
        mean: as for `fill`.
        std: as for `fill`.

    Returns:
        `Loaded`.

    Raises:
        UserError: the checkpoint cannot be read, or is of another network; a patch does not divide the image; `heads` of a
            ResNet.
    """
    entries = (safetensors_file if path.endswith(".safetensors") else torch_pickle).read(path)
    prefix = torch_names.find_prefix(entries, prefix)
    tensors = {name.removeprefix(prefix): tensor for name, tensor in entries.items() if name.startswith(prefix)}
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if "cls_token" in tensors:
        architecture, size, others = _recognise_vit(tensors, shapes, heads)
    else:
        architecture, size, others = _recognise_resnet(shapes, heads)
    weights = _weights(path, tensors, architecture)
    encoder = build_encoder("rgb", image_size=image_size or size, **architecture._asdict())
    fill(encoder, weights, architecture, mean=mean, std=std)
    return Loaded(encoder, architecture, prefix, sorted({name.split(".")[0] for name in others}))


def _recognise_resnet(shapes, heads):
    """(architecture, side of an image by default, names that are left out) of a ResNet."""
    if heads is not None:
        raise UserError(f"`heads={heads}` has no meaning for a ResNet: leave it out")
    architecture = torch_names.recognise(shapes)
    return architecture, _SIZES[architecture.stem], torch_names.check(shapes, architecture)


def _recognise_vit(tensors, shapes, heads):
    """The same of a ViT."""
    if "pos_embed" not in tensors:
        raise UserError("of a ViT there is no pos_embed: only fixed or learned positions can be taken")
    positions = np.asarray(tensors["pos_embed"].load(), np.float32)
    architecture, size = torch_vit_names.recognise(shapes, positions, heads)
    return architecture, size, torch_vit_names.check(shapes, architecture)


def fill(encoder, weights, architecture, *, mean, std):
    """Put PyTorch's weights into an encoder.

    Args:
        encoder: what `build_encoder` makes of modality `rgb` and the architecture. A ViT's may be of another image size than
            the checkpoint's: its positions are interpolated, as DINO does.
        weights: dict from PyTorch's name to a float32 array, a kernel being [out, in, height, width].
        architecture: `torch_names.Architecture` or `torch_vit_names.VisionTransformer`.
        mean: of an input in 0..1, three numbers: what the network was trained with (torchvision's `Normalize`).
        std: the same, above 0.
    """
    tower = encoder.get_layer("rgb_tower")
    normalisation = next(layer for layer in tower.layers if isinstance(layer, keras.layers.Rescaling))
    normalisation.scale = [1 / s for s in std]
    normalisation.offset = [-m / s for m, s in zip(mean, std, strict=True)]
    network = tower.get_layer(architecture.backbone)
    if isinstance(architecture, torch_vit_names.VisionTransformer):
        _fill_vit(network, weights, architecture)
    else:
        _fill_resnet(network, weights, architecture)


def _fill_resnet(network, weights, architecture):
    convolutions, norms = (
        sorted((layer for layer in network.layers if isinstance(layer, kind)), key=_made)
        for kind in (keras.layers.Conv2D, keras.layers.BatchNormalization)
    )
    names = torch_names.layers(architecture)
    for convolution, norm, (name, norm_name, _) in zip(convolutions, norms, names, strict=True):
        convolution.set_weights([weights[f"{name}.weight"].transpose(2, 3, 1, 0)])
        norm.set_weights([weights[f"{norm_name}.{weight}"] for weight in torch_names.NORM])


def _fill_vit(network, weights, architecture):
    tokens = network.get_layer("tokens")
    table = weights["pos_embed"]
    if table.shape[1] != 1 + tokens.grid**2:
        table = vit.resized(table, tokens.grid)
    tokens.set_weights([weights["cls_token"], table])
    for name in torch_vit_names.layers(architecture):
        kernel = weights[f"{name}.weight"]
        # [out, in, height, width], or [out, in]; of a norm, its scale
        kernel = kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel.T
        network.get_layer(name.replace(".", "_")).set_weights([kernel, weights[f"{name}.bias"]])


def _made(layer):
    """When a layer was made among those of its kind, by the number that Keras puts behind its name.

    models/resnet.py makes them in torchvision's order. A functional model lists them in another, where branches meet.
    """
    number = layer.name.rpartition("_")[2]
    return int(number) if number.isdecimal() else 0


def _weights(path, tensors, architecture):
    """The encoder's arrays, float32, by their names."""
    of_vit = isinstance(architecture, torch_vit_names.VisionTransformer)
    names = (torch_vit_names if of_vit else torch_names).names(architecture)
    weights = {name: np.asarray(tensors[name].load(), np.float32) for name in names}
    wrong = [name for name, array in weights.items() if not np.all(np.isfinite(array))]
    if wrong:
        raise UserError(f"{path}: {wrong[0]} has numbers that are not finite: its training has diverged, give another")
    return weights
