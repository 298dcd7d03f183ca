"""Features in one file: the numbers that evaluate.py measures, of a data set or of a folder of frames."""

import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf

from export import encoder as exporter
from keras_simsiam.commands import embed
from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation.data import Data
from keras_simsiam.evaluation.encoders.compared import compare
from keras_simsiam.evaluation.encoders.source import resolve
from keras_simsiam.evaluation.feature_store import Store
from keras_simsiam.models import resnet
from keras_simsiam.training import run
from tests.evaluation import small
from tfrecords import Dataset

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _shallow():
    """Half of ResNet-18's blocks: building its graph is most of the tests' time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(resnet.BACKBONES, "resnet18", ((1, 1, 1, 1), False))
        yield


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """A labelled data set without depth, and a run on it."""
    folder = tmp_path_factory.mktemp("colours")
    data_dir = small.write_dataset(folder / "data")
    return data_dir, small.make_run(folder / "run", data_dir)


@pytest.fixture(scope="module")
def depths(tmp_path_factory):
    """A data set with depth, and a run of colour and depth on it."""
    folder = tmp_path_factory.mktemp("depths")
    data_dir = small.write_dataset(folder / "data", depth=True)
    return data_dir, small.make_run(folder / "run", data_dir, modality="rgbd")


@pytest.fixture
def command(tmp_path, monkeypatch):
    """A function that runs the command in this process and gives what it has written."""

    def command(**given):
        given = {"output": str(tmp_path / "features.npz")} | given
        monkeypatch.setattr(embed, "from_flags", lambda cls: cls(**given))
        embed.main()
        with np.load(given["output"]) as content:
            return dict(content)

    return command


@pytest.mark.parametrize(
    "kind", ["colours", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("depths", "saved_model"))]
)
def test_the_features_are_those_that_are_evaluated_bit_for_bit(kind, command, request, tmp_path):
    data_dir, encoder = request.getfixturevalue("depths" if kind == "saved_model" else kind)
    if kind == "saved_model":
        source = resolve(encoder)
        exported = exporter.export(run.load_encoder(source.file), source.config.preprocessing, tmp_path / "served")
        encoder = str(exported)
    found = command(encoder=encoder, input=data_dir)
    dataset, compared = Dataset(data_dir), compare(resolve(encoder))
    data = Data(dataset, "train", "test", Store(tmp_path / "store", 1.0))
    names = compared.names[:1] if kind == "saved_model" else compared.names
    for split in ("train", "test"):
        expected = data.features(compared, split)[names[0]]
        rows = found["splits"] == split
        assert rows.sum() == dataset.splits[split].count
        np.testing.assert_array_equal(found["embeddings"][rows], expected.embeddings)
        np.testing.assert_array_equal(found["labels"][rows], expected.labels)
        np.testing.assert_array_equal(found["frames"][rows], expected.frames)
    assert found["embeddings"].dtype == np.float32 and found["labels"].dtype == np.int64
    assert "whitened" not in found  # a run of an earlier version, or an exported model, which whitens by itself


def test_a_run_that_keeps_its_whitening_has_the_features_whitened_too(colours, command, tmp_path):
    data_dir, encoder = colours
    workdir = shutil.copytree(encoder, tmp_path / "run")
    mean, matrix = np.float32(np.arange(32)), np.float32(np.diag(np.arange(32)))
    np.savez(workdir / "encoder.whitening.npz", mean=mean, matrix=matrix, shrinkage=0.0)
    found = command(encoder=str(workdir), input=data_dir)
    np.testing.assert_allclose(found["whitened"], (found["embeddings"] - mean) * np.arange(32), rtol=1e-4, atol=1e-4)


def test_what_one_needs_to_know_comes_with_them(colours, command, capsys, tmp_path):
    data_dir, encoder = colours
    output = tmp_path / "new" / "features.npz"
    found = command(encoder=encoder, input=data_dir, output=str(output), csv=str(tmp_path / "f.csv"), split="test")
    assert found["classes"].tolist() == small.CLASSES and set(found["splits"]) == {"test"}
    assert (str(found["encoder"]), str(found["modality"]), str(found["input"])) == (encoder, "rgb", data_dir)
    assert str(found["encoder_sha256"]) == files.sha256(f"{encoder}/encoder.keras")
    assert json.loads(str(found["preprocessing"]))["image_size"] == 16
    assert json.loads(str(found["versions"]))["tensorflow"] == tf.__version__
    with open(tmp_path / "f.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:4] == ["frame", "split", "label", "f0"] and len(rows) == 12
    np.testing.assert_array_equal(np.array([row[3:] for row in rows], np.float32), found["embeddings"])
    assert [row[:3] for row in rows] == [
        [f, "test", str(n)] for f, n in zip(found["frames"], found["labels"], strict=True)
    ]
    printed = capsys.readouterr().out
    assert printed.startswith(f"features: {output}: 12 frames, 32 numbers each")
    code = "\n".join(line.strip() for line in printed.splitlines() if line.startswith("  "))
    assert len(code.splitlines()) == 3
    known = {}
    exec(code, known)
    np.testing.assert_array_equal(known["embeddings"], found["embeddings"])
    assert {path.name for path in tmp_path.iterdir()} == {"new", "f.csv"} and os.listdir(output.parent) == [output.name]


def _folder(path, dataset, *, depth=True, camera=True):
    """The frames of a data set's train split as a folder of images."""
    for sample in dataset.samples("train").as_numpy_iterator():
        name = dataset.classes[sample["label"]] + "/" + sample["frame"].decode() + ".png"
        images = {"rgb": sample["rgb"][..., ::-1]}
        if depth:
            images["depth"] = np.round(sample["depth"] * 1000).astype(np.uint16)
        for kind, image in images.items():
            (path / kind / name).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path / kind / name), image)
    if camera:
        (path / "camera.json").write_text(json.dumps({"fx": 30, "fy": 30, "cx": 11.5, "cy": 9.5}))
    return str(path)


@pytest.mark.slow
def test_a_folder_of_frames_gives_what_its_data_set_gives(depths, command, tmp_path):
    data_dir, encoder = depths
    path = _folder(tmp_path / "frames", Dataset(data_dir))
    given = {"rgb": "rgb/*/*", "depth": "depth/*/*", "labels": "folder", "units_per_metre": 1000.0}
    found = command(encoder=encoder, input=path, **given)
    expected = command(encoder=encoder, input=data_dir, split="train")
    assert found["classes"].tolist() == small.CLASSES and set(found["splits"]) == {""}
    order = [expected["frames"].tolist().index(name.rpartition("/")[2]) for name in found["frames"]]
    assert sorted(order) == list(range(36))
    np.testing.assert_array_equal(found["labels"], expected["labels"][order])
    # other neighbours in a batch
    np.testing.assert_allclose(found["embeddings"], expected["embeddings"][order], rtol=1e-4, atol=1e-5)


def test_a_folder_of_colour_needs_no_depth_and_no_camera(colours, command, capsys, tmp_path):
    data_dir, encoder = colours
    path = _folder(tmp_path / "frames", Dataset(data_dir), depth=False, camera=False)
    (tmp_path / "frames" / "rgb" / "apple" / "torn.png").write_bytes(b"no image")
    found = command(encoder=encoder, input=path, rgb="rgb/*/*")
    assert len(found["frames"]) == 36 and set(found["labels"]) == {-1} and found["classes"].size == 0
    printed = capsys.readouterr().out
    assert "left out: 1 frames\n" in printed and re.search(r"^  .*torn\.png", printed, re.M)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"input": "nowhere"}, "`input=nowhere`: no such folder; give a data set's, or one of frames"),
        (
            {"input": "."},
            "^. has no dataset.json, so it is read as a folder of frames: `rgb=rgb/\\*` matches no image below",
        ),
        ({"split": "dev"}, "data has no split 'dev': it has test, train$"),
        ({"rgb": "*"}, "^`rgb` is for a folder of frames, and .*data is a data set: leave it out"),
        ({"output": "."}, r"^`output=\.` cannot be written \(Is a directory\): choose another"),
        ({"output": "file/f.npz"}, r"^`output=file/f.npz` cannot be written \(.*\): choose another"),
        ({"csv": "f.npz"}, "^`csv=f.npz` is the file of `output` too: choose another"),
        ({"csv": "file/f.csv"}, r"^`csv=file/f.csv` cannot be written"),
        ({"encoder": "nowhere"}, "nowhere"),
        ({"modality": "rgbd", "encoder": "random"}, "^random is an encoder of rgbd, but .*data has no depth$"),
    ],
    ids=str,
)
def test_bad_input_is_one_line_and_leaves_nothing(colours, command, tmp_path, monkeypatch, given, message):
    data_dir, encoder = colours
    monkeypatch.chdir(tmp_path)
    pathlib.Path("file").write_text("a file")
    with pytest.raises(UserError, match=message) as error:
        command(**{"encoder": encoder, "input": data_dir, "output": "f.npz", "image_size": 16} | given)
    assert "\n" not in str(error.value) and os.listdir(tmp_path) == ["file"]


def test_a_folder_that_does_not_do(depths, command, tmp_path):
    data_dir, encoder = depths
    path = _folder(tmp_path / "frames", Dataset(data_dir), depth=False)
    with pytest.raises(UserError, match=r"frames: `depth=depth/\*` matches no image"):
        command(encoder=encoder, input=path, rgb="rgb/*/*")
    with pytest.raises(UserError, match=r"is an encoder of rgbd, but .*frames has no depth$"):
        command(encoder=encoder, input=path, rgb="rgb/*/*", depth="")
    with pytest.raises(
        UserError, match=r"^`split=train`: .*frames is a folder of frames, which has no splits: leave it out$"
    ):
        command(encoder=encoder, input=path, split="train")
    (tmp_path / "torn" / "rgb").mkdir(parents=True)
    (tmp_path / "torn" / "rgb" / "a.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"^none of the 1 frames of .*torn can be used: .*a\.png"):
        command(encoder="random", input=str(tmp_path / "torn"), image_size=16)


def test_the_example_of_the_page_runs(colours, command, tmp_path, monkeypatch, capsys):
    data_dir, encoder = colours
    command(encoder=encoder, input=data_dir)
    page = (ROOT / "docs" / "embed.md").read_text().partition("## In Python\n")[2].partition("\n## ")[0]
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    exec("\n".join(line[4:] for line in page.splitlines() if line.startswith("    ")), {})
    assert re.fullmatch(r"accuracy [\d.]+\nlike f\d+ are \['f\d+' 'f\d+' 'f\d+'\]\n", capsys.readouterr().out)


@pytest.mark.slow
def test_the_command(colours, tmp_path):
    data_dir, encoder = colours
    flags = [f"--encoder={encoder}", f"--input={data_dir}", f"--output={tmp_path}/features"]
    command = [sys.executable, "-m", "keras_simsiam.commands.embed", *flags]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "48 frames" in found.stdout and found.stderr == ""
    assert np.load(tmp_path / "features")["embeddings"].shape == (48, 32)
