"""The commands as a user types them: bad input in one line, and the whole way from frames to a SavedModel."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tfrecords.example import Frame
from tfrecords.writer import Writer

ROOT = pathlib.Path(__file__).parent.parent
SMALL = ["--image_size=32", "--width=4", "--batch_size=8", "--epochs=2", "--knn_every=1", "--knn_k=5"]

pytestmark = pytest.mark.slow


def _run(*command):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, *map(str, command)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "synthetic"
    sizes = ["--train_instances=2", "--test_instances=1", "--frames_per_instance=3"]
    result = _run("-m", "tfrecords.build", "--source=synthetic", f"--output={path}", *sizes)
    assert result.returncode == 0, result.stderr
    return path


def _train(data_dir, workdir, *changes):
    return _run("train.py", "--flagfile=rgbd.flags", f"--data_dir={data_dir}", f"--workdir={workdir}", *SMALL, *changes)


def test_from_frames_to_a_savedmodel(data_dir, tmp_path):
    workdir = tmp_path / "run"
    trained = _train(data_dir, workdir)
    assert trained.returncode == 0, trained.stderr
    assert "encoder.keras" in trained.stdout and "tensorboard --logdir" in trained.stdout
    assert "img/s" in trained.stderr

    evaluated = _run("evaluate.py", f"--encoder={workdir}", f"--data_dir={data_dir}", "--task=knn,linear")
    assert evaluated.returncode == 0, evaluated.stderr
    assert "untrained encoder" in evaluated.stdout
    results = json.loads((workdir / "evaluation" / "results.json").read_text())
    assert (
        {"trained encoder", "untrained encoder"}
        <= set(results["knn"]["accuracy"])
        == set(results["linear"]["accuracy"])
    )

    exported = _run("-m", "export.encoder", f"--workdir={workdir}", f"--output={tmp_path / 'serving'}")
    assert exported.returncode == 0, exported.stderr
    assert (tmp_path / "serving" / "1" / "saved_model.pb").exists()
    card = json.loads((tmp_path / "serving" / "1" / "assets.extra" / "model_card.json").read_text())
    scores = card["scores"]["evaluation"]["accuracy"]["trained encoder"]
    for task in ("knn", "linear"):
        assert scores[task]["top1"] == results[task]["accuracy"]["trained encoder"]["top1"]

    again = _train(data_dir, workdir)
    assert again.returncode == 0 and "trained: 2 epochs" in again.stdout
    flagfile = _run("train.py", f"--flagfile={workdir / 'flags.txt'}")
    assert flagfile.returncode == 0, flagfile.stderr


@pytest.mark.parametrize(
    "changes, message",
    [
        (["--data_dir=/no/such/folder"], "no data set in /no/such/folder"),
        (["--modality=infrared"], "flag --modality=infrared"),
        (["--batch_size=1000"], "error: --batch_size=1000: the training split has 48 frames"),
        (["--predictor_lr=sometimes"], "error: --predictor_lr=sometimes"),
        (["--optimizer=lars"], "error: --optimizer=lars has no L2 on BatchNorm and biases"),
        (["--warmup_epochs=2"], "error: --warmup_epochs=2: must be below --epochs=2"),
        (["--cosine_per=month"], "flag --cosine_per=month"),
        (["--precision=float16"], "flag --precision=float16"),
        (["--precision=mixed_float16"], "error: --precision=mixed_float16: there is no GPU here"),
        (["--jit_compile", "--distribution=mirrored"], "error: --jit_compile is for one device"),
        (["--no_such_flag=1"], "Unknown command line flag 'no_such_flag'"),
        (["stray"], "error: 'stray' is not a flag"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(data_dir, tmp_path, monkeypatch, changes, message):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    result = _train(data_dir, tmp_path / "run", *changes)
    assert result.returncode != 0
    assert message in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        (
            "train.py",
            {"keras_simsiam.views.augmentation:": "--sensor_noise:", "keras_simsiam.models.encoder:": "--width:"},
        ),
        ("evaluate.py", {"evaluate.py:": "--encoder:", "keras_simsiam.evaluation.tasks.knn:": "--knn_k:"}),
    ],
)
def test_help_lists_the_settings_by_their_rooms(command, settings):
    listed = _run(command, "--help").stdout
    for room, flag in settings.items():
        assert flag in listed.split(f"\n{room}\n")[1].split("\n\n")[0]


def test_depth_is_not_trained_on_where_there_is_none(tmp_path):
    colours = _colours(tmp_path / "colours")
    refused = _train(colours, tmp_path / "run")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == f"error: --modality=rgbd: {colours} has no depth; use --modality=rgb"
    assert not (tmp_path / "run").exists()


def _colours(path, splits=("train", "val"), classes=("dark", "light"), depth=False, labelled=8):
    """A data set of frames of one grey each, eight a split."""
    with Writer(str(path)) as writer:
        for split in splits:
            for index in range(8):
                png = cv2.imencode(".png", np.full((40, 40, 3), 30 * index, np.uint8))[1].tobytes()
                metres = cv2.imencode(".png", np.full((40, 40), 1000, np.uint16))[1].tobytes() if depth else None
                label = index // 4 if classes and index < labelled else -1
                writer.add(split, Frame(f"{split}/{index}", png, metres, (40.0, 40.0, 20.0, 20.0), label=label))
        writer.commit({"classes": list(classes), "instances": []})
    return path


def test_knn_of_another_data_set(data_dir, tmp_path):
    """Trains without labels and without a split to test on; greys are told apart by an encoder of any training."""
    unlabelled = _colours(tmp_path / "unlabelled", ["train"], [], depth=True)
    greys = _colours(tmp_path / "greys")
    trained = _train(unlabelled, tmp_path / "run", "--modality=rgb", f"--knn_data_dir={greys}")
    assert trained.returncode == 0, trained.stderr
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(0 <= line["knn"] <= 1 for line in lines)
    names = (tmp_path / "run" / "tensorboard" / "metadata.tsv").read_text().splitlines()
    assert names[1] == "dark\tval/0" and names[-1] == "light\tval/7"
    shutil.move(greys, tmp_path / "moved")
    again = _train(unlabelled, tmp_path / "run", "--modality=rgb", f"--knn_data_dir={tmp_path / 'moved'}")
    assert again.returncode == 0 and "already trained" in again.stdout


@pytest.mark.parametrize("labelled", [6, 0])
def test_knn_leaves_out_frames_without_a_label(tmp_path, labelled):
    trained = _train(_colours(tmp_path / "some", labelled=labelled), tmp_path / "run", "--modality=rgb")
    assert trained.returncode == 0, trained.stderr
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert ("knn" in last) == bool(labelled)
    names = tmp_path / "run" / "tensorboard" / "metadata.tsv"
    if labelled:
        assert [line.split("\t")[0] for line in names.read_text().splitlines()[1:]] == ["dark"] * 4 + ["light"] * 2
    else:
        assert not names.exists()


@pytest.mark.parametrize(
    "other, message",
    [
        ({}, "has no depth, which --modality=rgbd looks at: give a data set with depth"),
        ({"depth": True, "classes": []}, "has no labels, by which kNN judges: give a labelled data set"),
        ({"depth": True, "splits": ["train"]}, "has the splits train: kNN needs train, and val or test"),
        ({"depth": True, "splits": ["val"]}, "has the splits val: kNN needs train, and val or test"),
        (
            {"depth": True, "labelled": 0},
            "has a split without any label, by which kNN judges: give a labelled data set",
        ),
    ],
    ids=str,
)
def test_a_data_set_that_does_not_do_for_knn_is_refused(data_dir, tmp_path, other, message):
    path = _colours(tmp_path / "other", **other)
    refused = _train(data_dir, tmp_path / "run", f"--knn_data_dir={path}")
    assert refused.returncode == 1 and refused.stderr.splitlines()[-1] == f"error: --knn_data_dir={path} {message}"
    assert not (tmp_path / "run").exists()


def test_a_corrupt_shard_is_named_or_left_out(data_dir, tmp_path):
    corrupt = shutil.copytree(data_dir, tmp_path / "corrupt")
    shard = corrupt / "train-00000.tfrecord"
    content = bytearray(shard.read_bytes())
    content[len(content) * 3 // 4] ^= 1
    shard.write_bytes(content)
    refused = _train(corrupt, tmp_path / "run")
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert refused.stderr.splitlines()[-1].startswith(f"error: {shard} is corrupt, record ")

    resumed = _train(corrupt, tmp_path / "run", "--on_corrupt=skip")
    assert resumed.returncode == 0, resumed.stderr
    warnings = [line for line in resumed.stderr.splitlines() if "WARNING" in line]
    assert len(warnings) == 1 and f"the rest of {shard}, where record " in warnings[0]

    command = ["evaluate.py", f"--encoder={tmp_path / 'run'}", f"--data_dir={corrupt}", "--task=knn"]
    refused = _run(*command)
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert refused.stderr.splitlines()[-1].startswith(f"error: {shard} is corrupt, record ")
    skipped = _run(*command, "--on_corrupt=skip")
    assert skipped.returncode == 0, skipped.stderr


def test_a_cache_changes_no_number(data_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    runs = {}
    for kind in ("none", "memory", "disk"):
        result = _train(data_dir, tmp_path / kind, f"--cache={kind}")
        assert result.returncode == 0, result.stderr
        lines = (tmp_path / kind / "metrics.jsonl").read_text().splitlines()
        runs[kind] = [dict(json.loads(line), images_per_second=0, memory_mb=0) for line in lines]
    assert runs["none"] == runs["memory"] == runs["disk"]
    assert len(list((tmp_path / "cache" / "keras_simsiam").glob("*.frames"))) == 1

    refused = _train(data_dir, tmp_path / "small", "--cache=memory", "--cache_gb=0.001")
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert "error: --cache_gb=0.001: this data set needs 0." in refused.stderr.splitlines()[-1]


def test_two_replicas_train_as_one(data_dir, tmp_path):
    """MirroredStrategy over two logical CPU devices: the loss of the same global batches, with synchronised BatchNorm."""
    code = f"""
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_simsiam.training import run
from keras_simsiam.training.config import RunConfig
from keras_simsiam.training.data import Data
from tfrecords import Dataset
dataset = Dataset({str(data_dir)!r})
data = Data(dataset.records("train"), dataset.decode, dataset.splits["train"].count)
for distribution in ("one", "mirrored"):
    config = RunConfig({str(data_dir)!r}, {str(tmp_path)!r} + "/" + distribution, modality="rgb", image_size=32, width=4,
                       batch_size=16, epochs=1, distribution=distribution)
    print("LOSS", run.fit(config, data)["loss"], run.load_encoder(config.workdir).count_params())
"""
    result = _run("-c", code)
    assert result.returncode == 0, result.stderr
    one, mirrored = (line.split()[1:] for line in result.stdout.splitlines() if line.startswith("LOSS"))
    assert float(mirrored[0]) == pytest.approx(float(one[0]), abs=2e-3)
    assert one[1] == mirrored[1]
