"""The weights of one encoder as the start of another: of other modalities, or another fusion of them.

A network is what the weights are of: an encoder's tower of one modality (`rgb_tower`, `hha_tower`), or the one backbone of both
(`shared`, `early`).
"""

import math

import numpy as np
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.models import resnet, vit
from keras_simsiam.models.dropout import ResumableDropout
from keras_simsiam.models.encoder import NORMALISATION

TOWERS = ("both", "rgb", "hha")  # of two, which start from the given weights
_STEMS = {7: "imagenet", 3: "cifar"}  # by the side of the first kernel
# Where each network looks for its weights: in its like, else in the tower of colour (Gupta et al. 2014 start the networks of
# HHA from ImageNet's), else in that of depth.
_SOURCES = {
    "rgb_tower": ("rgb_tower", "shared", "early", "hha_tower"),
    "hha_tower": ("hha_tower", "shared", "early", "rgb_tower"),
    "shared": ("shared", "early", "rgb_tower", "hha_tower"),
    "early": ("early", "shared", "rgb_tower", "hha_tower"),
}


def begin(encoder, source, *, given, towers="both"):
    """Give an encoder the weights of another, BatchNorm's moving statistics among them.

    The first kernel has to take the channels of the encoder's images. One of three channels also goes into a network of more: a
    fourth channel of HHA, the mask of what was measured, starts at zero. For `early` the kernel is repeated over the
    modalities and divided by √2: of two uncorrelated images of equal variance the sum then has the variance of one.
    Learned positions of a ViT are interpolated where the images have another size; fixed ones stay the encoder's.

    Args:
        encoder: what `build_encoder` makes; it is changed.
        source: another of the same backbone, stem and width, or patch and kind of positions.
        given: what named the source, for the lines: `init=runs/a`.
        towers: one of TOWERS; of an encoder with one network, `both`.

    Returns:
        A list of lines, what each network starts from.

    Raises:
        UserError: the source is not an encoder of this package, or another network.
    """
    theirs = _networks(source)
    if theirs is None:
        raise UserError(
            f"{given}: holds no encoder of this package, or one that `fusion` exchange_… has cut; give the encoder.keras of "
            "another run"
        )
    lines, taken = [], set()
    for name, network in _networks(encoder).items():
        if towers not in ("both", name.removesuffix("_tower")):
            lines.append(f"{name}: fresh")
            continue
        origin = next(origin for origin in _SOURCES[name] if origin in theirs)
        taken.add(origin)
        _refuse_another(given, _facts(theirs[origin]), _facts(network))
        weights = _weights(theirs[origin], source.get_layer("rgb_tower") if origin == "rgb_tower" else None)
        change = _fit_first_kernel(weights, network, given=given, origin=origin, name=name)
        _fit_positions(weights, network)
        _fill(network, weights, given)
        lines.append(f"{name}: all {len(weights)} layers of its {origin}{change}")
    if left := sorted(set(theirs) - taken):
        lines.append(f"not taken: its {', '.join(left)}")
    return lines


def _networks(encoder):
    """The networks of an encoder by name; None where it has none."""
    models = {layer.name: layer for layer in encoder.layers if isinstance(layer, keras.Model)}
    towers = {name: _network(model) for name, model in models.items() if name in ("rgb_tower", "hha_tower")}
    towers = {name: network for name, network in towers.items() if network is not None}  # a 3-D tower begins no other
    if towers:
        return towers
    is_early = "stacked" in {layer.name for layer in encoder.layers}
    network = _network(encoder)
    return None if network is None else {"early" if is_early else "shared": network}


def _network(model):
    """The backbone in a tower or an encoder; None where there is none, or several."""
    models = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    return models[0] if len(models) == 1 and _first(models[0]) is not None else None


def _first(network):
    """The convolution that takes the images."""
    return next((layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)), None)


def _facts(network):
    """What decides a network's weights, by the names of its flags."""
    height, _, _, width = _first(network).kernel.shape
    if network.name in resnet.BACKBONES:
        return {"backbone": network.name, "stem": _STEMS.get(height, height), "width": width}
    tokens = [layer.positions for layer in network.layers if isinstance(layer, vit.Tokens)]
    return {"backbone": network.name, "patch": height, "positions": tokens[0] if tokens else None}


def _refuse_another(given, theirs, ours):
    for name, value in ours.items():
        if theirs.get(name) != value:
            raise UserError(f"{given} has {name} {theirs.get(name)}, this run `{name}={value}`: give both the same")


def _layers(network):
    """Those with weights, but for the state of random generators."""
    return [layer for layer in network.layers if layer.weights and not isinstance(layer, ResumableDropout)]


def _weights(network, tower):
    """The arrays of each layer with weights, as they are where the input has its modality's NORMALISATION.

    Args:
        network: the backbone.
        tower: of colour, which holds the network, or None: an imported one may have been trained by other constants.
    """
    weights = [layer.get_weights() for layer in _layers(network)]
    if tower is None:
        return weights
    normalisation = next(layer for layer in tower.layers if isinstance(layer, keras.layers.Rescaling))
    mean, std = map(np.array, NORMALISATION["rgb"])
    ratio = normalisation.scale * std  # their input is ratio · ours + shift
    shift = normalisation.offset + np.multiply(normalisation.scale, mean)
    if np.allclose(ratio, 1, atol=1e-5) and np.allclose(shift, 0, atol=1e-5):
        return weights
    place = _layers(network).index(_first(network))
    kernel = weights[place][0]
    constant = (kernel * shift[:, None]).sum(axis=(0, 1, 2))  # what the shift adds to each output
    weights[place][0] = (kernel * ratio[:, None]).astype(kernel.dtype)
    if len(weights[place]) > 1:
        weights[place][1] += constant.astype(kernel.dtype)  # a bias
    else:
        weights[place + 1][2] -= constant.astype(kernel.dtype)  # the moving mean of the BatchNorm that follows
    return weights


def _fit_first_kernel(weights, network, *, given, origin, name):
    """Make the first kernel of `weights` one of the network's channels; what was done to it, for the line."""
    first = _first(network)
    place = _layers(network).index(first)
    kernel, channels = weights[place][0], first.kernel.shape[2]
    if kernel.shape[2] == channels:
        return ""
    images = 2 if name == "early" else 1
    masks = channels - 3 * images  # 1 where HHA has a fourth channel, the last one
    if kernel.shape[2] != 3 or masks not in (0, 1):
        raise UserError(
            f"{given}: the first kernel of its {origin} takes {kernel.shape[2]} channels, this run's {name} {channels} "
            "(`holes=mask` gives HHA a fourth)"
        )
    mask = np.zeros_like(kernel[:, :, :masks])
    weights[place][0] = np.concatenate([kernel / math.sqrt(images)] * images + [mask], axis=2).astype(kernel.dtype)
    repeated = ", the first kernel for colour and for HHA, over √2" if images == 2 else ""
    return repeated + (", the mask's kernel zero" if masks else "")


def _fit_positions(weights, network):
    """Make the positions in `weights`, where a ViT has them, ones of the network's grid."""
    for place, layer in enumerate(_layers(network)):
        if isinstance(layer, vit.Tokens) and weights[place][1].shape[1] != 1 + layer.grid**2:
            fixed = layer.positions == "sincos"
            weights[place][1] = np.array(layer.table if fixed else vit.resized(weights[place][1], layer.grid))


def _fill(network, weights, given):
    layers = _layers(network)
    if len(layers) != len(weights):
        raise UserError(f"{given} has {len(weights)} layers with weights, this run {len(layers)}: another network")
    for layer, arrays in zip(layers, weights, strict=True):
        theirs, ours = ([list(array.shape) for array in arrays] for arrays in (arrays, layer.get_weights()))
        if theirs != ours:
            raise UserError(f"{given} has {theirs} in the place of {layer.name}, this run {ours}: another network")
        layer.set_weights(arrays)
