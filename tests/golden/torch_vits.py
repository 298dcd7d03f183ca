"""Writes what PyTorch computes with the ViTs of tests/export/test_import_torch_vit.py. Not run by any test.

python -m tests.golden.torch_vits tests/golden    (with torch 2.13.0; the features are those of DINO's published code)

torch_vits.npz has the images, uint8 [N,S,S,3], and each network's class token, [N,D], and maps, [N,h,w,D/EVERY]. NumPy draws
the weights, so that no checkpoint has to be kept.
"""

import sys
from pathlib import Path

import numpy as np

from keras_simsiam.models.vit import sincos

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
BLOCKS = 4  # and not 12, which take seconds to trace
EVERY = 16  # channels of a map, of which one is kept
# name -> width, heads, patch, side of the image that the positions are for, whether they are MoCo v3's, sides to compute
NETWORKS = {"dino": (192, 3, 8, 40, False, (40, 24, 56)), "moco_v3": (384, 12, 16, 32, True, (32,))}


def weights(name):
    """The weights of a network at random: a dict from timm's name to float32."""
    width, _, patch, side, fixed, _ = NETWORKS[name]
    random, tokens = np.random.default_rng(len(name)), 1 + (side // patch) ** 2

    def uniform(*shape):
        return np.float32(random.uniform(-1, 1, shape) * (1.5 / np.prod(shape[1:])) ** 0.5)

    def norm(layer):
        scale, offset = random.uniform(0.5, 1.5, width), random.normal(0, 0.3, width)
        return {f"{layer}.weight": np.float32(scale), f"{layer}.bias": np.float32(offset)}

    def dense(layer, *shape):
        return {f"{layer}.weight": uniform(*shape), f"{layer}.bias": np.float32(random.normal(0, 0.2, shape[0]))}

    found = {"cls_token": np.float32(random.normal(0, 0.5, (1, 1, width)))}
    learned = np.float32(random.normal(0, 0.5, (1, tokens, width)))
    found["pos_embed"] = sincos(side // patch, width) if fixed else learned
    found |= dense("patch_embed.proj", width, 3, patch, patch)
    for block in range(BLOCKS):
        found |= norm(f"blocks.{block}.norm1") | norm(f"blocks.{block}.norm2")
        found |= dense(f"blocks.{block}.attn.qkv", 3 * width, width)
        found |= dense(f"blocks.{block}.attn.proj", width, width)
        found |= dense(f"blocks.{block}.mlp.fc1", 4 * width, width)
        found |= dense(f"blocks.{block}.mlp.fc2", width, 4 * width)
    return found | norm("norm")


def features(state, images, heads):
    """The class token and the maps of normalised images, torch tensors [N,3,S,S], by PyTorch's operations."""
    import torch
    from torch.nn import functional

    state = {name: torch.tensor(value) for name, value in state.items()}
    width, _, patch, _ = state["patch_embed.proj.weight"].shape

    def dense(x, name):
        return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(x, name):
        return functional.layer_norm(x, (width,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    def attention(x, name):
        split = dense(x, f"{name}.qkv").unflatten(2, (3, heads, width // heads)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*split)
        return dense(mixed.transpose(1, 2).flatten(2), f"{name}.proj")

    def mlp(x, name):
        return dense(functional.gelu(dense(x, f"{name}.fc1")), f"{name}.fc2")

    weight, bias = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    x = functional.conv2d(images, weight, bias, stride=patch)
    grid, table = x.shape[-1], state["pos_embed"]
    nominal = int((table.shape[1] - 1) ** 0.5)
    if grid != nominal:
        patches = table[:, 1:].reshape(1, nominal, nominal, width).permute(0, 3, 1, 2)
        factor = (grid + 0.1) / nominal
        patches = functional.interpolate(patches, scale_factor=(factor, factor), mode="bicubic")
        table = torch.cat([table[:, :1], patches.permute(0, 2, 3, 1).reshape(1, grid**2, width)], 1)
    x = torch.cat([state["cls_token"].expand(len(images), 1, width), x.flatten(2).transpose(1, 2)], 1) + table
    found = {}
    for block in range(BLOCKS):
        name = f"blocks.{block}"
        x = x + attention(norm(x, f"{name}.norm1"), f"{name}.attn")
        x = x + mlp(norm(x, f"{name}.norm2"), f"{name}.mlp")
        normalised = norm(x, "norm")
        found[f"c{2 + block}"] = normalised[:, 1:].reshape(len(images), grid, grid, width)[..., ::EVERY]
    return found | {"embedding": normalised[:, 0]}


def normalised(images):
    """uint8 [N,S,S,3] as torchvision's Normalize gives it, [N,3,S,S]."""
    import torch

    return ((torch.tensor(images) / 255 - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2)


def main(folder):
    random, recorded = np.random.default_rng(0), {}
    for name, (_, heads, _, _, _, sides) in NETWORKS.items():
        for side in sides:
            images = random.integers(0, 256, (2, side, side, 3), np.uint8)
            found = {key: value.numpy() for key, value in features(weights(name), normalised(images), heads).items()}
            recorded |= {f"{name}_{side}_{key}": value for key, value in (found | {"images": images}).items()}
    np.savez_compressed(folder / "torch_vits.npz", **recorded)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
