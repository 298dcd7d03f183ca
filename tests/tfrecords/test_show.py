import subprocess
import sys

import cv2
import pytest

from tests.tfrecords import by_hand
from tfrecords import show

CONTENT = {
    "schema_version": 1,
    "splits": {
        "train": {"shards": ["a", "b"], "bytes": [64_000_000, 2_400_000], "count": 733, "sha256": ["0", "1"]},
        "test": {"shards": ["c"], "count": 5},
    },
    "has_depth": True,
    "source": {"name": "folder", "arguments": {"input": "frames", "every": 5}},
    "classes": ["apple", "ball"],
    "instances": [f"apple_{number}" for number in range(20)],
    "gravity": {"mode": "table", "degrees": {"apple_1": {"1": 22.79, "2": 34.1}}},
    "excluded": {},
    "camera": {"fx": 525.0},
    "skipped": 3,
}


def _run(*arguments):
    command = [sys.executable, "-m", "tfrecords.inspect", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_description():
    assert show.describe("data", CONTENT).splitlines() == [
        "data set   data (schema version 1)",
        "source     folder",
        "           input = frames",
        "           every = 5",
        "splits     train: 733 frames, shards: 2, 66.4 MB, checksums",
        "           test: 5 frames, shards: 1, no checksums",
        "classes    2: apple, ball",
        "instances  20: " + ", ".join(f"apple_{number}" for number in range(12)) + " … 8 more",
        "has depth  yes",
        "camera     fx: 525",
        "gravity    mode: table",
        "           degrees: apple_1 (1 22.79, 2 34.1)",
        "skipped    3",
    ]


def test_a_description_of_the_least_there_can_be():
    lines = show.describe("d", {"schema_version": 1, "splits": {}, "has_depth": False}).splitlines()
    assert lines == [
        "data set   d (schema version 1)",
        "source     not said",
        "classes    0",
        "instances  0",
        "has depth  no",
    ]


@pytest.fixture
def data(make_frame, tmp_path):
    frames = [make_frame(f"a_1_{number}", number) for number in range(5)]
    return by_hand.write(tmp_path / "data", {"train": [frames]})


@pytest.mark.slow
def test_the_command(data, tmp_path):
    result = _run(data, "--verify", f"--sheet={tmp_path}/sheet.png")
    assert result.returncode == 0 and result.stderr == ""
    assert "train: 5 frames" in result.stdout and "verified   train: 5 frames" in result.stdout
    assert cv2.imread(f"{tmp_path}/sheet.png").shape[1] == 1200
    shard = data / "train-00000.tfrecord"
    content = bytearray(shard.read_bytes())
    content[-20] ^= 1
    shard.write_bytes(content)
    result = _run(data, "--verify")
    assert result.returncode == 1
    assert result.stderr == (f"error: {shard}, record 4: corrupt (its CRC differs): copy or build the data set again\n")
    assert _run(data).returncode == 0


@pytest.mark.slow
def test_mistakes_end_in_one_line(data, tmp_path):
    for flags, message in (
        ([], "error: name one data set's folder"),
        ([data, "b"], "error: name one data set's folder"),
        ([tmp_path], f"error: no data set in {tmp_path}"),
        ([data, "--sheet=/nowhere/a.png"], "error: --sheet=/nowhere/a.png cannot be written (No such file"),
        ([data, "--check"], "error: Unknown command line flag 'check'"),
    ):
        result = _run(*flags)
        assert result.returncode == 1 and result.stderr.startswith(message) and result.stderr.count("\n") == 1
