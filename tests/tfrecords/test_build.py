import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tfrecords import reader

pytestmark = pytest.mark.slow

SMALL = ("--source=synthetic", "--train_instances=1", "--test_instances=1", "--frames_per_instance=1")


def _build(*flags):
    command = [sys.executable, "-m", "tfrecords.build", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def _files(folder):
    return {name: (folder / name).read_bytes() for name in os.listdir(folder)}


def test_builds_the_same_bytes_from_the_same_seed(tmp_path):
    results = [_build(*SMALL, "--seed=3", f"--output={tmp_path / name}") for name in "ab"]
    assert [result.returncode for result in results] == [0, 0]
    assert results[0].stderr == ""
    for line in ("frames: train 8, test 8", "classes: 8 (bowl, box,", f"written to: {tmp_path / 'a'}"):
        assert line in results[0].stdout
    assert _files(tmp_path / "a") == _files(tmp_path / "b")
    info = reader.load(str(tmp_path / "a"))
    assert sum(1 for _ in reader.samples(info, "train")) == info.splits["train"].count == 8
    source = json.loads((tmp_path / "a" / "dataset.json").read_text())["source"]
    assert source["name"] == "synthetic" and source["arguments"]["seed"] == 3


def test_builds_washington(washington_frame, tmp_path):
    for instance in ("apple_1", "apple_2"):
        for video in (1, 2, 4):
            washington_frame(instance, video, 1)
    result = _build("--source=washington", f"--input={washington_frame.root}", f"--output={tmp_path / 'data'}")
    assert result.returncode == 0, result.stderr
    assert "frames: train 3, test 3" in result.stdout
    assert "gravity measured: 6 videos" in result.stdout


def test_mistakes_end_in_one_line(washington_frame, tmp_path):
    output = f"--output={tmp_path / 'data'}"
    stem = washington_frame("apple_1", 1, 1)
    os.remove(f"{stem}_depthcrop.png")
    for flags, message in (
        (["--source=washington"], "error: --source=washington needs --input: give it"),
        ([*SMALL, "--every=2"], "error: --every has no meaning for --source=synthetic: leave it out"),
        ([*SMALL, "stray"], "error: 'stray' is not a flag"),
        (
            ["--source=washington", f"--input={washington_frame.root}", "--gravity=nominal"],
            f"error: {stem}_depthcrop.png is missing",
        ),
    ):
        result = _build(*flags, output)
        assert result.returncode == 1
        assert result.stderr.startswith(message) and result.stderr.count("\n") == 1
        assert not (tmp_path / "data").exists()


def test_a_build_that_is_told_to_end_leaves_nothing(tmp_path):
    output = tmp_path / "data"
    command = [sys.executable, "-m", "tfrecords.build", "--source=synthetic", f"--output={output}"]
    with subprocess.Popen(command) as process:
        deadline = time.monotonic() + 60
        while not any(output.glob(".partial-*/train*")) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 1
    assert not output.exists()
