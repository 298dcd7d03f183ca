"""Imported ViTs, against what PyTorch computes with the same weights (recorded by tests/golden/torch_vits.py)."""

import json
from pathlib import Path

import numpy as np
import pytest

from export import import_torch
from export.import_torch import Settings
from keras_simsiam.core.errors import UserError
from keras_simsiam.models import vit
from keras_simsiam.models.encoder import build_encoder
from keras_simsiam.models.pytorch import checkpoint as checkpoints
from keras_simsiam.models.pytorch import torch_pickle, torch_vit_names
from keras_simsiam.models.pytorch.torch_pickle import Tensor
from keras_simsiam.training import run
from tests.golden.torch_vits import BLOCKS, EVERY, MEAN, NETWORKS, STD, weights

GOLDEN = Path(__file__).parents[1] / "golden" / "torch_vits.npz"
PREFIXES = {"dino": "teacher.backbone.", "moco_v3": "state_dict.module.base_encoder."}


@pytest.fixture(scope="module")
def recorded():
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


@pytest.fixture(autouse=True)
def _fewer_blocks(monkeypatch):
    monkeypatch.setattr(vit, "DEPTH", BLOCKS)


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


def check_features(encoder, recorded, name, size):
    found = encoder({"rgb": recorded[f"{name}_{size}_images"].astype(np.float32) / 255}, training=False)
    for key in ("c2", "c3", "c4", "c5", "embedding"):
        every = 1 if key == "embedding" else EVERY
        np.testing.assert_allclose(found[key][..., ::every], recorded[f"{name}_{size}_{key}"], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(found["map"], found["c5"])


@pytest.mark.parametrize(
    "name, architecture",
    [
        ("dino", {"backbone": "vit_ti", "patch": 8, "positions": "learned"}),
        ("moco_v3", {"backbone": "vit_s_12heads", "patch": 16, "positions": "sincos"}),
    ],
)
def test_features_are_pytorchs(name, architecture, recorded, checkpoint, tmp_path):
    """Heads, ε, GELU, positions and the order of rows and columns count here. No shape tells MoCo v3's 12 heads."""
    checkpoint(name)
    facts = imported(tmp_path / "run")
    assert (facts["architecture"], facts["prefix"]) == (architecture, PREFIXES[name])
    assert facts["left_out"] == (["head"] if name == "moco_v3" else [])  # DINO's is outside the prefix
    assert json.loads((tmp_path / "run" / "imported.json").read_text())["sha256"] == "0"
    config = run.load_config(str(tmp_path / "run"))
    assert {"image_size": NETWORKS[name][3], **architecture}.items() <= vars(config).items()
    check_features(run.load_encoder(str(tmp_path / "run")), recorded, name, config.image_size)


def test_positions_are_interpolated_as_dino_does(recorded):
    architecture = torch_vit_names.VisionTransformer("vit_ti", 8, "learned")
    constants = {"mean": MEAN, "std": STD}
    any_size = build_encoder("rgb", image_size=40, any_size=True, **architecture._asdict())
    checkpoints.fill(any_size, weights("dino"), architecture, **constants)
    for size in (40, 24, 56):
        check_features(any_size, recorded, "dino", size)
    of_its_own = build_encoder("rgb", image_size=24, **architecture._asdict())
    checkpoints.fill(of_its_own, weights("dino"), architecture, **constants)
    check_features(of_its_own, recorded, "dino", 24)


@pytest.mark.parametrize(
    "name, heads, backbone", [("moco_v3", 6, "vit_s"), ("dino", 3, "vit_ti"), ("dino", None, "vit_ti")]
)
def test_heads_are_those_that_are_asked_for(name, heads, backbone):
    state = weights(name)
    shapes = {key: value.shape for key, value in state.items()}
    assert torch_vit_names.recognise(shapes, state["pos_embed"], heads)[0].backbone == backbone


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
        ({"blocks.4.norm1.bias": np.zeros(192)}, {}, "a ViT of 5 blocks: only 4 can"),
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
