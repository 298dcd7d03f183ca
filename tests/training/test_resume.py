"""The train command killed at many moments: the same command ends with the very weights of a run left alone."""

import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from tests import runs

ROOT = pathlib.Path(__file__).parents[2]
# six steps an epoch; a checkpoint after the fourth, and at the end
FLAGS = [
    "--modality=rgb", "--image_size=32", "--width=4", "--batch_size=8", "--epochs=3", "--checkpoint_steps=4",
    "--head_dropout=0.1", "--knn_every=2", "--knn_k=5",
]  # fmt: skip

pytestmark = pytest.mark.slow


def _start(*command):
    return subprocess.Popen(
        [sys.executable, *map(str, command)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _finish(process):
    _out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err


def _train(data_dir, workdir, *changes):
    return _start("train.py", f"--data_dir={data_dir}", f"--workdir={workdir}", *FLAGS, *changes)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """48 frames to train on, a validation and a test split."""
    path = tmp_path_factory.mktemp("data") / "synthetic"
    sizes = ["--train_instances=4", "--test_instances=1", "--frames_per_instance=3", "--val_fraction=0.5"]
    _finish(_start("-m", "tfrecords.build", "--source=synthetic", "--split=instance", f"--output={path}", *sizes))
    return path


@pytest.fixture(scope="module")
def whole(data_dir, tmp_path_factory):
    """The folder of a run left alone, and the seconds it took."""
    workdir, began = tmp_path_factory.mktemp("runs") / "whole", time.monotonic()
    _finish(_train(data_dir, workdir))
    return workdir, time.monotonic() - began


def _assert_same(workdir, expected):
    metrics = [runs.logged(folder) for folder in (workdir, expected)]
    assert len(metrics[0]) == 3 and metrics[0] == metrics[1]
    for name in ("encoder.keras", "encoder_best.keras"):
        runs.assert_same_encoders(workdir / name, expected / name)


def _when(process, happened, number):
    """Sends a signal as soon as something has happened; returns what the process wrote to stderr."""
    while process.poll() is None and not happened():
        time.sleep(0.002)
    process.send_signal(number)
    return process.communicate(timeout=600)[1]


def _written(path):
    return lambda: path.exists() and path.stat().st_size


def test_killed_again_and_again(data_dir, whole, tmp_path):
    """Right after a checkpoint in mid-epoch, about an epoch's line and checkpoint, while one is written, and at random."""
    expected, seconds = whole
    workdir = tmp_path / "run"
    folder = workdir / "checkpoints"
    seed = random.randrange(1 << 16)
    print(f"seed {seed}")  # pytest shows it where the test fails
    moments = [
        _written(folder / "ckpt-4.index"),
        _written(workdir / "metrics.jsonl"),
        lambda: (folder / "partial" / "ckpt-10.index").exists() or (folder / "ckpt-10.index").exists(),
    ]
    for moment in moments:
        err = _when(_train(data_dir, workdir), moment, signal.SIGKILL)
        assert "Traceback" not in err and "WARNING: unreadable" not in err
    end = time.monotonic() + random.Random(seed).uniform(0, seconds)
    _when(_train(data_dir, workdir), lambda: time.monotonic() > end, signal.SIGKILL)
    _finish(_train(data_dir, workdir))
    _assert_same(workdir, expected)


def _saved_after(folder, step):
    """Whether there is a checkpoint of a later step; a certain one may have been replaced before anybody looks."""
    return lambda: any(int(path.stem.split("-")[1]) > step for path in folder.glob("ckpt-*.index"))


def test_asked_to_stop(data_dir, whole, tmp_path):
    """SIGTERM, then Ctrl-C: one line, the status that is convention, and the same command goes on, here with a cache."""
    expected, _ = whole
    workdir = tmp_path / "run"
    saved = 0
    for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        err = _when(
            process := _train(data_dir, workdir, "--cache=memory"), _saved_after(workdir / "checkpoints", saved), number
        )
        assert process.returncode == status and "Traceback" not in err, err
        message, _, last = err.splitlines()[-1].partition(f"; saved {workdir}/checkpoints/ckpt-")
        saved = int(last.removesuffix("; the same command goes on from there"))
        assert message == f"stopped by {number.name}" and saved < 18
    _finish(_train(data_dir, workdir, "--cache=memory"))
    _assert_same(workdir, expected)
