"""The front door: every name has a docstring whose example runs, and the program in examples/ trains and scores."""

import doctest
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import keras_simsiam as ks
from keras_simsiam.models import resnet
from keras_simsiam.training import run
from keras_simsiam.training.config import RunConfig, open_workdir
from tfrecords.example import Frame
from tfrecords.writer import Writer

ROOT = Path(__file__).parent.parent
NAMES = [name for name in ks.__all__ if name != "__version__"]


@pytest.fixture(scope="module", autouse=True)
def _small():
    """Half of ResNet-18's blocks: building its graph is most of the examples' time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(resnet.BACKBONES, "resnet18", ((1, 1, 1, 1), False))
        yield


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Sixteen frames to train on and eight to test on, of two classes, with depth."""
    path = tmp_path_factory.mktemp("api") / "data"
    random = np.random.default_rng(0)
    with Writer(str(path)) as writer:
        for index in range(24):
            colour = random.integers(0, 120, (24, 32, 3)) + 100 * (index % 2)
            depth = (random.integers(900, 1100, (24, 32, 1)) + 200 * (index % 2)).astype(np.uint16)
            images = tf.io.encode_png(colour.astype(np.uint8)).numpy(), tf.io.encode_png(depth).numpy()
            frame = Frame(f"frame_{index}", *images, (30.0, 30.0, 15.5, 11.5), label=index % 2)
            writer.add("train" if index < 16 else "test", frame)
        writer.commit({"classes": ["box", "ball"], "instances": []})
    return str(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data_dir):
    """A run directory as training leaves it."""
    config = RunConfig(
        data_dir, str(tmp_path_factory.mktemp("api") / "trained"), modality="rgb", image_size=32, width=4, stem="cifar"
    )
    open_workdir(config)
    run.untrained_encoder(config).save(f"{config.workdir}/encoder.keras")
    return config.workdir


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_each_name_runs(name, data_dir, trained, tmp_path):
    documented = getattr(ks, name)
    assert ">>> " in documented.__doc__, f"ks.{name} has no example"
    known = {"ks": ks, "np": np, "tf": tf, "data_dir": data_dir, "trained": trained, "workdir": str(tmp_path / "run")}
    example = doctest.DocTestParser().get_doctest(inspect.getdoc(documented), known, name, None, None)
    said = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example, out=said.append)
    assert not said, "".join(said)


def test_every_name_is_on_the_page_and_has_a_place():
    page = (ROOT / "docs" / "api.md").read_text()
    for name in NAMES:
        assert f"`ks.{name}" in page, f"docs/api.md does not say what ks.{name} is for"
        module, attribute = ks._FRONT_DOOR[name]
        assert getattr(importlib.import_module(module), attribute) is getattr(ks, name)
    assert set(NAMES) <= set(dir(ks))
    with pytest.raises(AttributeError, match="no attribute 'simsiam'"):
        _ = ks.simsiam


def test_importing_the_front_door_imports_nothing_else():
    code = (
        "import sys, keras_simsiam; print(sorted(m for m in sys.modules if m in ('tensorflow', 'tfrecords', 'absl')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_settings_describe_themselves():
    assert "\n    min_crop: Smallest area of a random crop, as a share of the frame.\n" in ks.Augmentation.__doc__
    for name in ("modality", "min_crop", "fusion", "compare", "base_lr", "precision", "seed", "workdir"):
        assert f"\n    {name}: " in ks.RunConfig.__doc__


def test_a_program_that_calls_wrongly_hears_of_arguments(data_dir):
    for call in (
        lambda: ks.RunConfig(data_dir, "run", holes="wish"),
        lambda: ks.RunConfig(data_dir, "run", epochs=0),
        lambda: ks.build_encoder("rgb", "vgg", 32),
        lambda: ks.build_encoder("infrared", "resnet18", 32),
        lambda: ks.Preprocessing("infrared", 32),
    ):
        with pytest.raises(ks.UserError) as error:
            call()
        assert "--" not in str(error.value) and str(error.value).startswith("`")
    with pytest.raises(ValueError, match=r"^batch_size=64: the data set has 16 records$"):
        dataset = ks.Dataset(data_dir)
        ks.view_batches(dataset.samples("train"), preprocessing=ks.Preprocessing("rgb", 32), batch_size=64)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["shards", "arrays"])
def test_the_example_program_trains_and_scores(source, data_dir, monkeypatch, capsys):
    example = importlib.import_module("examples.simsiam")
    for name, value in (("IMAGE_SIZE", 32), ("BATCH", 8), ("EPOCHS", 1)):
        monkeypatch.setattr(example, name, value)
    example.main(*(example.from_shards(data_dir) if source == "shards" else example.from_arrays(32)))
    assert "of 8 test frames" in capsys.readouterr().out
    assert len((ROOT / "examples" / "simsiam.py").read_text().splitlines()) <= 60
