import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tfrecords import Dataset
from tfrecords.unfinished import FOLDER

pytestmark = pytest.mark.slow

SMALL = ("--source=synthetic", "--train_instances=1", "--test_instances=1", "--frames_per_instance=1")
# Two shards of training frames and one of test frames, some seconds of work.
LONGER = ("--source=synthetic", "--train_instances=4", "--test_instances=2", "--frames_per_instance=4")


def _command(*flags):
    return [sys.executable, "-m", "tfrecords.build", *flags]


def _build(*flags):
    return subprocess.run(_command(*flags), capture_output=True, text=True, timeout=120)


def _files(folder):
    return {name: (folder / name).read_bytes() for name in os.listdir(folder)}


def _wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files that one worker makes of LONGER, uninterrupted."""
    output = tmp_path_factory.mktemp("whole") / "data"
    result = _build(*LONGER, "--workers=1", f"--output={output}")
    assert (result.returncode, result.stderr) == (0, "")
    assert sorted(os.listdir(output)) == [
        "dataset.json",
        "test-00000.tfrecord",
        "train-00000.tfrecord",
        "train-00001.tfrecord",
    ]
    return _files(output)


def test_builds_the_same_bytes_from_the_same_seed(tmp_path):
    results = [_build(*SMALL, "--seed=3", f"--output={tmp_path / name}") for name in "ab"]
    assert [result.returncode for result in results] == [0, 0]
    assert results[0].stderr == ""
    for line in ("frames: train 8, test 8", "classes: 8 (bowl, box,", f"written to: {tmp_path / 'a'}"):
        assert line in results[0].stdout
    assert _files(tmp_path / "a") == _files(tmp_path / "b")
    dataset = Dataset(str(tmp_path / "a"))
    assert sum(1 for _ in dataset.samples("train")) == dataset.splits["train"].count == 8
    source = json.loads((tmp_path / "a" / "dataset.json").read_text())["source"]
    assert source["name"] == "synthetic" and source["arguments"]["seed"] == 3


def test_the_number_of_workers_changes_nothing(whole, tmp_path):
    assert _build(*LONGER, "--workers=3", f"--output={tmp_path / 'data'}").returncode == 0
    assert _files(tmp_path / "data") == whole


def _washington(washington_frame):
    for instance in ("apple_1", "apple_2"):
        for video in (1, 2, 4):
            washington_frame(instance, video, 1)
    return "--source=washington", f"--input={washington_frame.root}"


def test_builds_washington(washington_frame, tmp_path):
    result = _build(*_washington(washington_frame), f"--output={tmp_path / 'data'}")
    assert result.returncode == 0, result.stderr
    assert "frames: train 3, test 3" in result.stdout
    assert "gravity measured: 6 videos" in result.stdout


def test_gravity_estimated_by_tensorflow_in_the_workers(washington_frame, tmp_path):
    flags = (*_washington(washington_frame), "--gravity=estimate", "--workers=2")
    result = _build(*flags, f"--output={tmp_path / 'data'}")
    assert (result.returncode, result.stderr) == (0, "")
    assert "gravity known: 6 frames" in result.stdout


def test_a_damaged_frame_is_left_out_or_with_strict_the_end(washington_frame, tmp_path):
    flags = _washington(washington_frame)
    path = os.path.join(washington_frame.root, "apple", "apple_1", "apple_1_4_1_depthcrop.png")
    os.truncate(path, 100)
    result = _build(*flags, f"--output={tmp_path / 'data'}")
    assert (result.returncode, result.stderr) == (0, "")
    assert f"skipped: 1 frames, listed in {tmp_path / 'data' / 'skipped.jsonl'}" in result.stdout
    line = json.loads((tmp_path / "data" / "skipped.jsonl").read_text())
    assert line["frame"] == "apple_1_4_1" and line["reason"].startswith(f"{path} is not a readable image")
    result = _build(*flags, "--strict", f"--output={tmp_path / 'strict'}")
    assert result.returncode == 1
    assert result.stderr == f"error: {line['reason']}\n"
    assert not (tmp_path / "strict").exists()


def test_mistakes_end_in_one_line(washington_frame, tmp_path):
    output = f"--output={tmp_path / 'data'}"
    stem = washington_frame("apple_1", 1, 1)
    os.remove(f"{stem}_depthcrop.png")
    for flags, message in (
        (["--source=washington"], "error: --source=washington needs --input: give it"),
        ([*SMALL, "--every=2"], "error: --every has no meaning for --source=synthetic: leave it out"),
        ([*SMALL, "stray"], "error: 'stray' is not a flag"),
        (
            ["--source=washington", f"--input={washington_frame.root}"],
            f"error: none of the 1 frames can be used: {stem}_depthcrop.png is missing",
        ),
    ):
        result = _build(*flags, output)
        assert result.returncode == 1
        assert result.stderr.startswith(message) and result.stderr.count("\n") == 1
        assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_at_random_moments_it_ends_as_if_it_never_was(whole, tmp_path, seed):
    output = tmp_path / "data"
    delays = random.Random(seed)
    for _ in range(2):
        with subprocess.Popen(_command(*LONGER, "--workers=2", f"--output={output}")) as process:
            _wait_for(lambda: any(output.glob(f"{FOLDER}/.train-*")))
            time.sleep(delays.uniform(0, 4))
            process.kill()
        # Mostly there are none; in the last moments, when they are shown one by one, each is complete.
        for path in output.glob("*.tfrecord"):
            assert path.read_bytes() == whole[path.name]
        if (output / "dataset.json").exists():
            # The very last moment: the data set is there, and the hidden folder is not gone yet.
            shutil.rmtree(output / FOLDER, ignore_errors=True)
            break
    else:
        assert _build(*LONGER, "--workers=1", f"--output={output}").returncode == 0
    assert _files(output) == whole


@pytest.mark.parametrize(("sent", "to"), [(signal.SIGTERM, "the build"), (signal.SIGKILL, "a worker")])
def test_a_stopped_build_can_be_taken_up_again(whole, tmp_path, sent, to):
    output = tmp_path / "data"
    command = _command(*LONGER, "--workers=2", f"--output={output}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        _wait_for(lambda: any(output.glob(f"{FOLDER}/t*.tfrecord.json")))
        os.kill(process.pid if to == "the build" else _children(process.pid)[0], sent)
        _, message = process.communicate(timeout=60)
    assert process.returncode == 1
    assert message.startswith("interrupted" if to == "the build" else "error: a worker process was killed")
    assert message.count("\n") == 1
    assert os.listdir(output) == [FOLDER]
    left = {path.name: path.stat().st_ino for path in (output / FOLDER).iterdir()}
    # a shard counts once its facts stand beside it; one that was renamed a moment before the end is written again
    finished = [name.removesuffix(".json") for name in left if name.endswith(".tfrecord.json")]
    assert finished and not any(name.startswith(".") for name in left)
    assert _build(*LONGER, f"--output={output}").returncode == 0
    assert _files(output) == whole
    for name in finished:
        assert (output / name).stat().st_ino == left[name]


def _children(process):
    with open(f"/proc/{process}/task/{process}/children") as file:
        return [int(word) for word in file.read().split()]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of so many bytes, where this user may mount one, and a function that makes it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options):
        return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True)

    if mount("size=1200k").returncode:
        pytest.skip("mounting needs privileges")
    yield folder, lambda: mount("remount,size=64m")
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(whole, small_disk):
    folder, enlarge = small_disk
    output = folder / "data"
    result = _build(*LONGER, "--workers=1", f"--output={output}")
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {output}/{FOLDER}/") and result.stderr.count("\n") == 1
    assert "cannot be written (No space left on device): make room" in result.stderr
    assert not any(name.startswith(".") for name in os.listdir(output / FOLDER))
    enlarge()
    assert _build(*LONGER, f"--output={output}").returncode == 0
    assert _files(output) == whole
