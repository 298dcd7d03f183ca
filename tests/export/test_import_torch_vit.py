"""Imported ViTs, against what PyTorch computes with the same weights (recorded by tests/golden/torch_vits.py)."""

import json
from pathlib import Path

import numpy as np
import pytest

from export import import_torch, torch_pickle
from export.import_torch import Settings
from export.torch_pickle import Tensor
from keras_simsiam.core.errors import UserError
from keras_simsiam.training import run
from tests.golden.torch_vits import EVERY, MEAN, NETWORKS, STD, weights

GOLDEN = Path(__file__).parents[1] / "golden" / "torch_vits.npz"
PREFIXES = {"dino": "teacher.backbone.", "moco_v3": "state_dict.module.base_encoder."}


@pytest.fixture(scope="module")
def recorded():
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


@pytest.fixture
def checkpoint(monkeypatch):
    """A function that makes the checkpoint of a network's name, with these changes, what every file holds."""

    def put(name, **changes):
        prefix = PREFIXES[name]
        state = weights(name) | changes
        tensors = {prefix + key: Tensor(value.shape, lambda value=value: value) for key, value in state.items()}
        head = np.zeros((3, 3), np.float32)
        tensors[prefix.replace("backbone.", "") + "head.mlp.0.weight"] = Tensor(head.shape, lambda: head)
        if name == "moco_v3":
            moving = {key.replace("base_", "momentum_"): value for key, value in tensors.items()}
            tensors |= moving
        monkeypatch.setattr(torch_pickle, "read", lambda path: tensors)
        monkeypatch.setattr("keras_simsiam.core.files.sha256", lambda path: "0")

    return put


def imported(workdir, **changes):
    settings = {"prefix": None, "image_size": None, "mean": tuple(MEAN), "std": tuple(STD)} | changes
    return import_torch.import_encoder(Settings("file.pth", str(workdir), **settings))


@pytest.mark.parametrize("name, size", [(name, size) for name, network in NETWORKS.items() for size in network[-1]])
def test_features_are_pytorchs(name, size, recorded, checkpoint, tmp_path):
    """Heads, ε, GELU, positions and their interpolation, and the order of rows and columns count here."""
    checkpoint(name)
    facts = imported(tmp_path / "run", image_size=None if size == NETWORKS[name][3] else size)
    assert facts["prefix"] == PREFIXES[name]
    images = recorded[f"{name}_{size}_images"].astype(np.float32) / 255
    found = run.load_encoder(str(tmp_path / "run"))({"rgb": images}, training=False)
    for key in ("c2", "c3", "c4", "c5", "embedding"):
        every = 1 if key == "embedding" else EVERY
        np.testing.assert_allclose(found[key][..., ::every], recorded[f"{name}_{size}_{key}"], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(found["map"], found["c5"])


def test_the_run_directory_says_what_it_is(checkpoint, tmp_path):
    """Also that of MoCo v3's ViT-S, whose 12 heads no shape tells."""
    checkpoint("moco_v3")
    facts = imported(tmp_path / "run")
    assert facts["architecture"] == {"backbone": "vit_s_12heads", "patch": 16, "positions": "sincos"}
    assert (
        facts["left_out"] == ["head"] and json.loads((tmp_path / "run" / "imported.json").read_text())["sha256"] == "0"
    )
    config = run.load_config(str(tmp_path / "run"))
    assert (config.image_size, config.backbone, config.patch) == (32, "vit_s_12heads", 16)
    shapes = [weight.shape for weight in run.load_encoder(str(tmp_path / "run")).weights]
    assert shapes == [weight.shape for weight in run.untrained_encoder(config).weights]


def test_heads_are_those_that_are_asked_for(checkpoint, tmp_path):
    checkpoint("moco_v3")
    assert imported(tmp_path / "run", heads=6)["architecture"]["backbone"] == "vit_s"


@pytest.mark.parametrize(
    "changes, given, message",
    [
        (
            {},
            {"image_size": 30},
            "`image_size=30`: `patch=8` does not divide it; use a multiple such as 32, or another",
        ),
        ({}, {"heads": 4}, "`heads=4`: of width 192 choose 3"),
        ({"pos_embed": np.zeros((1, 27, 192))}, {}, r"pos_embed has shape \[1, 27, 192\]: only"),
        ({"pos_embed": np.zeros((1, 1, 192))}, {}, r"pos_embed has shape \[1, 1, 192\]: only"),
        ({"blocks.12.norm1.bias": np.zeros(192)}, {}, "a ViT of 13 blocks: only 12"),
        ({"patch_embed.proj.weight": np.zeros((256, 3, 8, 8))}, {}, r"a ViT of width 256: only 192 \(vit_ti\), 384"),
        ({"patch_embed.proj.weight": np.zeros((192, 4, 8, 8))}, {}, r"shape \[192, 4, 8, 8\]: only \[D,3,P,P\]"),
        (
            {"blocks.0.ls1.gamma": np.zeros(192)},
            {},
            "a vit_ti has no blocks.0.ls1.gamma: give the checkpoint of a plain",
        ),
        ({"blocks.3.mlp.fc1.bias": np.zeros(7)}, {}, r"another shape blocks.3.mlp.fc1.bias \[7\], not \[768\]"),
        ({"norm.weight": np.full(192, np.nan)}, {}, "norm.weight has numbers that are not finite"),
    ],
)
def test_refuses_what_does_not_fit(changes, given, message, checkpoint, tmp_path):
    checkpoint("dino", **changes)
    with pytest.raises(UserError, match=message) as refused:
        imported(tmp_path / "run", **given)
    assert "\n" not in str(refused.value) and not (tmp_path / "run").exists()
