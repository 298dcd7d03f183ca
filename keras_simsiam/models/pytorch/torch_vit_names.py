"""What a ViT's weights are called in timm and in the code of DINO and MoCo v3, and which ViT a checkpoint is of."""

import math
import re
import typing

import numpy as np

from keras_simsiam.core.errors import UserError
from keras_simsiam.models import vit
from keras_simsiam.models.pytorch.torch_names import others
from keras_simsiam.models.vit import BACKBONES, sincos

# names in the network that no plain ViT has are refused: tokens more, LayerScale, another norm
_INNER = re.compile(r"(blocks|patch_embed|norm|norm_pre|reg_token|register_tokens|dist_token)\b")

_PARTS = ("weight", "bias")


class VisionTransformer(typing.NamedTuple):
    """A ViT, by the arguments of keras_simsiam.models.vit."""

    backbone: str
    patch: int
    positions: str


def recognise(shapes, positions, heads=None):
    """The ViT that a checkpoint holds.

    No shape tells the number of heads. Of width 384 it is MoCo v3's 12 where the positions are fixed with its layout, 6
    where not, as of DINO, DeiT and timm.

    Args:
        shapes: dict from name, without its prefix, to shape.
        positions: the checkpoint's `pos_embed`, float [1,1+n²,D].
        heads: the number of heads; None: as said above.

    Returns:
        (a `VisionTransformer`, the side in pixels of the images that its positions are for). `check` says whether every
        weight exists and fits.

    Raises:
        UserError: it is not a ViT that keras_simsiam.models.vit can build.
    """
    kernel = tuple(shapes.get("patch_embed.proj.weight", ()))
    if len(kernel) != 4 or kernel[1] != 3 or kernel[2] != kernel[3]:
        raise UserError(
            f"patch_embed.proj.weight has shape {list(kernel)}: only [D,3,P,P], of patches of RGB images, can be taken"
        )
    width, patch = kernel[0], kernel[2]
    by_heads = {count: name for name, (channels, count) in BACKBONES.items() if channels == width}
    if not by_heads:
        known = ", ".join(f"{channels} ({name})" for name, (channels, _) in BACKBONES.items())
        raise UserError(f"a ViT of width {width}: only {known} can be taken")
    blocks = len({match[1] for match in map(re.compile(r"blocks\.(\d+)\.").match, shapes) if match})
    if blocks != vit.DEPTH:
        raise UserError(f"a ViT of {blocks} blocks: only {vit.DEPTH} can be taken")
    grid = math.isqrt(max(0, positions.size // width - 1))
    if positions.shape != (1, 1 + grid**2, width) or not grid:
        raise UserError(
            f"pos_embed has shape {list(positions.shape)}: only [1,1+N²,{width}], of a class token and N² patches"
        )
    fixed = np.allclose(positions, sincos(grid, width), rtol=0, atol=1e-4)
    if heads is None:
        heads = 12 if fixed and 12 in by_heads else min(by_heads)
    if heads not in by_heads:
        raise UserError(f"`heads={heads}`: of width {width} choose {' or '.join(map(str, by_heads))}")
    return VisionTransformer(by_heads[heads], patch, "sincos" if fixed else "learned"), grid * patch


def layers(architecture):
    """The layers of a ViT that have a kernel or scale and a bias or offset.

    Args:
        architecture: a `VisionTransformer`.

    Returns:
        A dict from a layer's name to the shape of its `weight`; its `bias` has the first of these numbers.
    """
    width, patch = BACKBONES[architecture.backbone][0], architecture.patch
    layers = {"patch_embed.proj": (width, 3, patch, patch), "norm": (width,)}
    for block in range(vit.DEPTH):
        layers |= {
            f"blocks.{block}.norm1": (width,),
            f"blocks.{block}.attn.qkv": (3 * width, width),
            f"blocks.{block}.attn.proj": (width, width),
            f"blocks.{block}.norm2": (width,),
            f"blocks.{block}.mlp.fc1": (4 * width, width),
            f"blocks.{block}.mlp.fc2": (width, 4 * width),
        }
    return layers


def names(architecture):
    """The names of all weights.

    Args:
        architecture: a `VisionTransformer`.
    """
    return ["cls_token", "pos_embed", *(f"{layer}.{part}" for layer in layers(architecture) for part in _PARTS)]


def check(shapes, architecture):
    """Refuse a checkpoint whose network is not the recognised one, weight for weight; `recognise` has seen `pos_embed`.

    Args:
        shapes: dict from name, without its prefix, to shape.
        architecture: a `VisionTransformer`.

    Returns:
        The names that are no part of the encoder, sorted: the classifier or projector, and what else is outside the network.

    Raises:
        UserError: weights are missing, have another shape, or have no place in the network; the first few are named.
    """
    width = BACKBONES[architecture.backbone][0]
    expected = {"cls_token": (1, 1, width), "pos_embed": shapes["pos_embed"]}
    for layer, shape in layers(architecture).items():
        expected |= {f"{layer}.weight": shape, f"{layer}.bias": shape[:1]}
    return others(shapes, expected, f"a {architecture.backbone}", _INNER, "ViT")
