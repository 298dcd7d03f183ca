"""Every experiment as a user types it, at its smallest, in one workdir."""

import json
import os
import subprocess
import sys

import pytest

from experiments import common

pytestmark = pytest.mark.slow

NAMES = ("stop_gradient", "method_table", "predictor_lr", "weight_decay", "depth_help")


def _call(*command):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, *map(str, command)], cwd=common.ROOT, env=environment, capture_output=True, text=True
    )


def test_all_of_them_on_one_small_data_set(tmp_path):
    data_dir, workdir = tmp_path / "data", tmp_path / "work"
    sizes = ("--split=instance", "--train_instances=1", "--frames_per_instance=6")
    built = _call("-m", "tfrecords.build", "--source=synthetic", f"--output={data_dir}", *sizes)
    assert built.returncode == 0, built.stderr

    encoder = workdir / "runs" / "simsiam" / "encoder.keras"
    trained = None
    for name in NAMES:
        done = _call("-m", f"experiments.{name}", f"--data_dir={data_dir}", f"--workdir={workdir}", "--scale=smoke")
        assert done.returncode == 0, done.stderr
        raw = json.loads((workdir / f"{name}.json").read_text())
        assert len(raw["measured"]) == 2 and not raw["missing"] and not raw["failed"]
        assert "| --- |" in (workdir / f"{name}.md").read_text() and (workdir / f"{name}.png").stat().st_size > 10_000
        if encoder.exists():  # shared by three of them, trained by the first
            trained = trained or encoder.stat().st_mtime_ns
            assert encoder.stat().st_mtime_ns == trained

    refused = _call("-m", "experiments.method_table", f"--data_dir={data_dir}", f"--workdir={workdir}", "--seeds=0,x")
    assert refused.returncode == 1 and refused.stderr.strip() == (
        "error: --seeds=0,x: give different whole numbers, separated by commas"
    )
    other = _call("-m", "experiments.method_table", f"--data_dir={data_dir}", f"--workdir={workdir}", "--train=none")
    assert other.returncode == 1 and "runs/simsiam holds another configuration" in other.stderr
