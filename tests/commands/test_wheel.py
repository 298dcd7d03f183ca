"""The wheel in an empty folder, without the checkout: from frames to a SavedModel by `keras-simsiam`."""

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = (
    *("keras_simsiam", "tfrecords", "export", "recipes"),
    *("rgbd.flags", "pyproject.toml", "README.md", "LICENSE", "requirements.txt"),
)

pytestmark = pytest.mark.slow


def _pip(*arguments):
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that the wheel was installed in, and nothing else."""
    pytest.importorskip("setuptools")
    pytest.importorskip("pip")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a build leaves its files where it was called
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, source)
    _pip("install", "--no-deps", "--no-index", "--target", folder / "site", *folder.glob("*.whl"))
    return folder / "site"


@pytest.fixture(scope="module")
def call(installed, tmp_path_factory):
    """A function that runs the console script in an empty folder and gives what it prints; it must succeed."""
    folder = tmp_path_factory.mktemp("elsewhere")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    environment = kept | {"PYTHONPATH": str(installed), "XDG_CACHE_HOME": str(folder / "cache")}

    def call(*arguments, status=0):
        command = [sys.executable, installed / "bin" / "keras-simsiam", *arguments]
        found = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert found.returncode == status, found.stderr
        assert "Traceback" not in found.stderr and str(ROOT) not in found.stdout + found.stderr
        return found.stdout if status == 0 else found.stderr

    call.folder = folder
    return call


def test_it_holds_three_packages(installed):
    folders = {path.name for path in installed.iterdir() if path.is_dir() and not path.name.endswith(".dist-info")}
    assert folders - {"bin"} == {"keras_simsiam", "tfrecords", "export"}
    for name in ("rgbd.flags", *(path.name for path in (ROOT / "recipes").glob("*.flags"))):
        assert (installed / "keras_simsiam" / "recipes" / name).is_file()


def test_from_frames_to_a_savedmodel(call):
    assert "\n  train " in call("--help")
    assert "\nkeras-simsiam train:\n" in call("train", "--help")

    sizes = ["--train_instances=2", "--test_instances=1", "--frames_per_instance=3", "--workers=2"]
    call("build", "--source=synthetic", "--output=data", *sizes)
    assert "verified" in call("inspect", "data", "--verify")

    small = ["--epochs=1", "--width=4", "--image_size=32", "--batch_size=8", "--precision=float32"]
    trained = call("train", "--recipe=small", *small, "--data_dir=data", "--workdir=runs/demo")
    assert "\n  keras-simsiam evaluate --encoder=runs/demo --data_dir=data --task=knn,linear\n" in trained
    assert "\n  keras-simsiam export --workdir=runs/demo --output=serving/demo\n" in trained
    written = (call.folder / "runs" / "demo" / "flags.txt").read_text().splitlines()
    assert {"--hha_jitter=true", "--epochs=1", "--width=4"} <= set(written)

    assert "untrained encoder" in call("evaluate", "--encoder=runs/demo", "--data_dir=data", "--task=knn,linear")
    assert "72 frames" in call("embed", "--encoder=runs/demo", "--input=data", "--output=features.npz")
    with np.load(call.folder / "features.npz") as features:
        assert np.isfinite(features["embeddings"]).all() and set(features["splits"]) == {"train", "test"}

    assert "SavedModel: " in call("export", "--workdir=runs/demo", "--output=serving/demo")
    assert (call.folder / "serving" / "demo" / "1" / "saved_model.pb").exists()
    assert "1 runs, 1 evaluations" in (call("report", "--workdir=.") and (call.folder / "report.html").read_text())


def test_recipes_include_each_other_inside_the_package(call):
    """No data set is there: the recipe is read first."""
    said = call("train", "--recipe", "rgbd_rgb", "--data_dir=nowhere", "--workdir=runs/rgb", status=1)
    assert said.startswith("error: no data set in nowhere") and "`keras-simsiam build --source=" in said
    said = call("train", "--recipe=nonsense", "--data_dir=nowhere", "--workdir=runs/rgb", status=1)
    assert "there is no such recipe; choose one of byol_imagenet, " in said and len(said.splitlines()) == 1
