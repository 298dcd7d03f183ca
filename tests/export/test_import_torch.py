"""Imported encoders, against what PyTorch computes with the same weights (recorded by tests/golden/torch_resnets.py)."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from export import import_torch
from export.import_torch import Settings
from keras_simsiam.core.errors import UserError
from keras_simsiam.models.pytorch import torch_pickle
from keras_simsiam.models.pytorch.torch_pickle import Tensor
from keras_simsiam.training import run

GOLDEN = Path(__file__).parents[1] / "golden"
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CHECKPOINTS = {"simsiam": "torch_simsiam.pth", "cifar": "torch_cifar.safetensors"}


def settings(checkpoint, workdir, **changes):
    return Settings(str(checkpoint), str(workdir), **{"prefix": None, "image_size": 40} | IMAGENET | changes)


@pytest.fixture(scope="module")
def recorded():
    with np.load(GOLDEN / "torch_resnets.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_features_are_pytorchs(name, recorded, tmp_path):
    """Padding, stride, ε and normalisation count here, at sides that are odd (40, 20, 10, 5, 3, 2)."""
    workdir = str(tmp_path / "run")
    facts = import_torch.import_encoder(settings(GOLDEN / CHECKPOINTS[name], workdir))
    assert facts["prefix"] == ("state_dict.module.encoder." if name == "simsiam" else "")
    found = run.load_encoder(workdir)({"rgb": recorded["images"].astype(np.float32) / 255}, training=False)
    for key in ("c2", "c3", "c4", "c5", "embedding"):
        np.testing.assert_allclose(found[key], recorded[f"{name}_{key}"], rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(found["map"], found["c5"])


def test_a_network_without_normalisation_takes_the_images_as_they_are(recorded, tmp_path):
    """The published SimCLR weights want images in 0..1."""
    constants = {"mean": (0, 0, 0), "std": (1, 1, 1)}
    import_torch.import_encoder(settings(GOLDEN / CHECKPOINTS["cifar"], tmp_path / "run", **constants))
    encoder = run.load_encoder(str(tmp_path / "run"))
    images = recorded["images"].astype(np.float32) / 255
    normalised = (images - np.float32(IMAGENET["mean"])) / np.float32(IMAGENET["std"])
    embedding = encoder({"rgb": normalised})["embedding"]
    np.testing.assert_allclose(embedding, recorded["cifar_embedding"], rtol=0, atol=1e-4)
    assert np.abs(encoder({"rgb": images})["embedding"] - embedding).max() > 0.1


def test_the_run_directory_says_what_it_is(tmp_path):
    workdir = tmp_path / "run"
    facts = import_torch.import_encoder(settings(GOLDEN / CHECKPOINTS["cifar"], workdir, image_size=None))
    assert facts["architecture"] == {"backbone": "resnet18", "stem": "cifar", "width": 2}
    assert facts["prefix"] == "" and facts["left_out"] == ["fc"]
    written = json.loads((workdir / "imported.json").read_text())
    assert written == facts | {"mean": list(facts["mean"]), "std": list(facts["std"])}
    config = run.load_config(str(workdir))
    assert (config.modality, config.image_size, config.backbone, config.width) == ("rgb", 32, "resnet18", 2)
    shapes = [weight.shape for weight in run.load_encoder(str(workdir)).weights]
    assert shapes == [
        weight.shape for weight in run.untrained_encoder(config).weights
    ]  # what evaluate.py puts beside it


def test_refusals_leave_nothing(tmp_path, monkeypatch):
    checkpoint, workdir = GOLDEN / CHECKPOINTS["simsiam"], tmp_path / "run"
    for wrong, message in [
        (settings(GOLDEN / "torch_types.pth", workdir), "`checkpoint=.*torch_types.pth`: no ResNet"),
        (settings(checkpoint, workdir, prefix="module"), "`checkpoint=.*: no network of that prefix"),
        (settings(checkpoint, workdir, image_size=0), "`image_size=0`: must be at least 1"),
        (settings(checkpoint, workdir, std=(1, 0, 1)), "`std`: give three numbers above 0"),
        (settings(checkpoint, workdir, mean=(1, 0)), "`mean`: give three numbers, of"),
        (settings(checkpoint, workdir, mean=(1, 0, np.nan)), "`mean`: give three numbers"),
        (settings(checkpoint, workdir, heads=6), "`heads=6` has no meaning for a ResNet"),
        (settings(tmp_path / "none.pth", workdir), "none.pth: cannot be read"),
    ]:
        with pytest.raises(UserError, match=message) as refused:
            import_torch.import_encoder(wrong)
        assert "\n" not in str(refused.value) and not workdir.exists()

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("keras_simsiam.core.files.write_text", fail)
    with pytest.raises(UserError, match="No space left"):
        import_torch.import_encoder(settings(GOLDEN / CHECKPOINTS["cifar"], workdir))
    assert not workdir.exists()


def test_weights_that_are_not_finite_are_refused(tmp_path, monkeypatch):
    found = torch_pickle.read(str(GOLDEN / CHECKPOINTS["simsiam"]))
    name = "state_dict.module.encoder.layer4.2.bn3.running_var"
    found[name] = Tensor(found[name].shape, lambda: np.full(found[name].shape, np.inf))
    monkeypatch.setattr(torch_pickle, "read", lambda path: found)
    with pytest.raises(UserError, match=r"layer4\.2\.bn3.running_var has numbers that are not finite"):
        import_torch.import_encoder(settings("file.pth", tmp_path / "run"))


def test_a_workdir_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for workdir in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(UserError, match="is there already"):
            import_torch.import_encoder(settings(GOLDEN / CHECKPOINTS["cifar"], workdir))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"] and (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.slow
def test_the_command_and_those_that_take_its_run_directory(tmp_path):
    """PyTorch is not to be imported, installed or not."""
    shutil.copy(GOLDEN / CHECKPOINTS["cifar"], tmp_path / "file.safetensors")
    root = Path(import_torch.__file__).parents[1]

    def call(*arguments):
        blocked = "import sys; sys.modules['torch'] = None; import runpy; name = sys.argv.pop(1); "
        start = [sys.executable, "-c", blocked + "runpy.run_module(name, run_name='__main__', alter_sys=True)"]
        return subprocess.run([*start, *arguments], cwd=root, capture_output=True, text=True)

    command = ("export.import_torch", f"--checkpoint={tmp_path}/file.safetensors", f"--workdir={tmp_path}/run")
    done = call(*command, "--image_size=40")
    assert done.returncode == 0, done.stderr
    assert "backbone=resnet18 stem=cifar width=2" in done.stdout and "left out: fc" in done.stdout
    exported = call("export.encoder", f"--workdir={tmp_path}/run", f"--output={tmp_path}/serving")
    assert exported.returncode == 0, exported.stderr
    refused = call(*command)
    assert refused.returncode == 1 and refused.stderr.startswith("error: ") and refused.stderr.count("\n") == 1
