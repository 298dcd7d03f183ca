"""The command itself, as a process."""

import dataclasses
import subprocess
import sys

import pytest

from tests.tfrecords import by_hand
from tfrecords.sources import synthetic

pytestmark = pytest.mark.slow


def _run(*arguments):
    command = [sys.executable, "-m", "tools.doctor", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def frames():
    plan = synthetic.plan(train_instances=2, test_instances=1)
    return {split: [plan.load(reference) for reference in all_] for split, all_ in plan.splits.items()}


def _severities(result):
    lines = [line for line in result.stdout.splitlines() if line[:6].strip() in ("ok", "look", "wrong")]
    return {line[7:24].strip(): line[:6].strip() for line in lines}


def test_clean_data(frames, tmp_path):
    data = by_hand.write(tmp_path / "data", {split: [all_] for split, all_ in frames.items()})
    result = _run(data, f"--output={tmp_path}/report.html")
    assert result.returncode == 0 and result.stderr == ""
    assert list(_severities(result).values()) == ["ok"] * 9
    assert "Looked at 96 of 96 frames of test, train" in result.stdout
    assert (tmp_path / "report.html").read_text().count("<section") == 9


def test_planted_defects(frames, tmp_path):
    """Millimetres taken for metres, gravity upside down, test frames to train on; and nothing else."""
    planted = {
        split: [dataclasses.replace(f, units_per_metre=1.0, gravity=tuple(-x for x in f.gravity)) for f in all_]
        for split, all_ in frames.items()
    }
    planted["train"] += [dataclasses.replace(frame, name=frame.name + "_again") for frame in planted["test"][:4]]
    data = by_hand.write(tmp_path / "data", {split: [all_] for split, all_ in planted.items()})
    result = _run(data, f"--output={tmp_path}/report.html")
    assert result.returncode == 1
    wrong = {name for name, severity in _severities(result).items() if severity != "ok"}
    assert wrong == {"Units", "Gravity", "Leakage"}
    assert "units_per_metre 1000 times" in result.stdout


def test_color_only(frames, tmp_path):
    bare = [dataclasses.replace(frame, depth=None, intrinsics=(0.0, 0.0, 0.0, 0.0)) for frame in frames["train"]]
    result = _run(by_hand.write(tmp_path / "data", {"train": [bare]}), f"--output={tmp_path}/report.html")
    assert result.returncode == 0 and set(_severities(result)) == {"Duplicates", "Leakage"}


def test_mistakes_end_in_one_line(frames, tmp_path):
    data = by_hand.write(tmp_path / "data", {"train": [frames["train"][:2]]})
    for flags, message in (
        ([], "error: name one data set's folder"),
        ([data, "--split=test"], f"error: --split=test: {data} has train"),
        ([data, "--output=/nowhere/report.html"], "error: --output=/nowhere/report.html cannot be written (No such"),
        ([data, "--frames=0"], "error: flag --frames=0"),
    ):
        result = _run(*flags)
        assert result.returncode == 1 and result.stderr.startswith(message) and result.stderr.count("\n") == 1
