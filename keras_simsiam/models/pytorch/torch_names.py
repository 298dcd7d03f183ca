"""What a ResNet's weights are called in PyTorch, and which ResNet the names and shapes of a checkpoint are of."""

import re
import typing

from keras_simsiam.core.errors import UserError
from keras_simsiam.models.resnet import BACKBONES

NORM = ("weight", "bias", "running_mean", "running_var")  # in the order of Keras's BatchNormalization
_STEMS = {7: "imagenet", 3: "cifar"}  # by the side of the first convolution
# a name that a network has once, and another that tells that it is one: of a ResNet, and of a ViT (torch_vit_names.py)
_MARKS = {"conv1.weight": "layer1.0.conv1.weight", "cls_token": "blocks.0.attn.qkv.weight"}
_MOVING_COPIES = ("encoder_k", "momentum_encoder")  # of MoCo and MoCo v3, averages of the encoder that is meant


class Architecture(typing.NamedTuple):
    """A ResNet, by the arguments of keras_simsiam.models.resnet."""

    backbone: str
    stem: str
    width: int


def find_prefix(names, wanted=None):
    """What stands before the names of the network, ResNet or ViT: `state_dict.module.encoder.` in SimSiam's checkpoints.

    Args:
        names: the checkpoint's.
        wanted: the prefix that the user gave, its last dot optional; None: the only one, MoCo's moving copy set aside.

    Returns:
        A prefix, empty or with a dot at its end.

    Raises:
        UserError: no network, none of that prefix, or several to choose from.
    """
    prefixes = []
    for first, second in _MARKS.items():
        found = [name.removesuffix(first) for name in names if name == first or name.endswith(f".{first}")]
        prefixes += sorted(prefix for prefix in found if prefix + second in names)
    if not prefixes:
        raise UserError(
            "no ResNet with the names of torchvision (conv1.weight, layer1.0.conv1.weight, …) and no ViT with those of "
            "timm (cls_token, blocks.0.attn.qkv.weight, …): give another"
        )
    listed = ", ".join(f"`prefix={prefix}`" for prefix in prefixes)
    if wanted is not None:
        wanted = wanted if wanted.endswith(".") or not wanted else f"{wanted}."
        if wanted not in prefixes:
            raise UserError(f"no network of that prefix: there is {listed}")
        return wanted
    originals = [prefix for prefix in prefixes if not set(prefix.split(".")) & set(_MOVING_COPIES)]
    if len(originals) != 1:
        raise UserError(f"several networks: choose {listed}")
    return originals[0]


def recognise(shapes):
    """The ResNet that a checkpoint holds.

    Args:
        shapes: dict from name, without its prefix, to shape.

    Returns:
        An `Architecture`; `check` says whether every weight exists and fits.

    Raises:
        UserError: it is no ResNet that keras_simsiam.models.resnet can build.
    """
    first = tuple(shapes["conv1.weight"])
    if len(first) != 4 or first[1] != 3 or first[2] not in _STEMS or first[2] != first[3]:
        raise UserError(
            f"conv1.weight has shape {list(first)}: only [N,3,7,7] and [N,3,3,3], of RGB images, can be taken"
        )
    matches = filter(None, map(re.compile(r"layer([1-4])\.(\d+)\.conv1\.weight").fullmatch, shapes))
    stages = [match[1] for match in matches]
    blocks = tuple(stages.count(stage) for stage in "1234")
    bottleneck = "layer1.0.conv3.weight" in shapes
    for name, built in BACKBONES.items():
        if built == (blocks, bottleneck):
            return Architecture(name, _STEMS[first[2]], first[0])
    kind = "bottlenecks" if bottleneck else "blocks of two convolutions"
    raise UserError(f"a ResNet of {'+'.join(map(str, blocks))} {kind}: only {', '.join(BACKBONES)} can be taken")


def layers(architecture):
    """The convolutions of a ResNet with the BatchNorm after each, in torchvision's order.

    Args:
        architecture: an `Architecture`.

    Returns:
        A list of (name of the convolution, name of the BatchNorm, the kernel's shape [out, in, height, width]).
    """
    blocks, bottleneck = BACKBONES[architecture.backbone]
    side = next(side for side, stem in _STEMS.items() if stem == architecture.stem)
    layers = [("conv1", "bn1", (architecture.width, 3, side, side))]
    channels = architecture.width
    for stage, count in enumerate(blocks):
        width = architecture.width * 2**stage
        for block in range(count):
            name, out = f"layer{stage + 1}.{block}", width * 4 if bottleneck else width
            sides, widths = ((1, 3, 1), (width, width, out)) if bottleneck else ((3, 3), (width, out))
            inputs = (channels, *widths)
            for place, (side, filters) in enumerate(zip(sides, widths, strict=True)):
                kernel = (filters, inputs[place], side, side)
                layers.append((f"{name}.conv{place + 1}", f"{name}.bn{place + 1}", kernel))
            if block == 0 and (stage > 0 or channels != out):
                layers.append((f"{name}.downsample.0", f"{name}.downsample.1", (out, channels, 1, 1)))
            channels = out
    return layers


def names(architecture):
    """The names of all weights.

    Args:
        architecture: an `Architecture`.
    """
    kernels = [f"{name}.weight" for name, _, _ in layers(architecture)]
    return kernels + [f"{norm}.{weight}" for _, norm, _ in layers(architecture) for weight in NORM]


def check(shapes, architecture):
    """Refuse a checkpoint whose network is not the recognised one, weight for weight.

    Args:
        shapes: dict from name, without its prefix, to shape.
        architecture: an `Architecture`.

    Returns:
        The names that are no part of the encoder, sorted: the classifier or projector, and what else is no convolution,
        BatchNorm or stage.

    Raises:
        UserError: weights are missing, have another shape, or have no place in the network; the first few are named.
    """
    expected = {}
    for convolution, norm, kernel in layers(architecture):
        expected[f"{convolution}.weight"] = kernel
        expected |= {f"{norm}.{weight}": kernel[:1] for weight in NORM}
    kind = f"a {architecture.backbone} of width {architecture.width}"
    return others(shapes, expected, kind, re.compile(r"(conv|bn|layer|downsample)\d*\."), "ResNet")


def others(shapes, expected, kind, inner, plain):
    """Refuse a checkpoint that has not the expected weights, or more in the network.

    Args:
        shapes: dict from name, without its prefix, to shape.
        expected: the same, of the network's weights.
        kind: what the network is, for the message.
        inner: pattern of the names that belong to the network, from their beginning.
        plain: what to give instead, `ResNet` or `ViT`.

    Returns:
        The names that are not expected and not `inner`, sorted.

    Raises:
        UserError: as of `check`.
    """

    def refuse(what, names):
        if names:
            rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise UserError(
                f"{what} {', '.join(names[:3])}{rest}: give the checkpoint of a plain {plain}, as it was saved"
            )

    refuse(f"of {kind} there is no", [name for name in expected if name not in shapes])
    refuse(
        f"not {kind}: of another shape",
        [
            f"{name} {list(shapes[name])}, not {list(shape)}"
            for name, shape in expected.items()
            if shapes[name] != shape
        ],
    )
    left = sorted(name for name in shapes if name not in expected and not name.endswith(".num_batches_tracked"))
    refuse(f"{kind} has no", [name for name in left if inner.match(name)])
    return left
