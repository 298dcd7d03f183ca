"""Every experiment at its smallest in one workdir, and the report of them all."""

import concurrent.futures
import json
import os
import subprocess
import sys

import pytest

from experiments import NAMES, common

pytestmark = pytest.mark.slow

OF_FRAMES = ("hha_gallery", "augmentation_samples")  # without runs

# The others of the experiments after the first: in two processes side by side, one for those that share the runs with depth and
# one for those that share SimSiam's. Starting fifteen, and one for each run, would take minutes.
CODE = """
import importlib, sys
from experiments import common
from keras_simsiam.training import run
from tfrecords import Dataset

def train_here(command, log):
    config = common._parse(command[1:])
    run.train(config, Dataset(config.data_dir))
    return 0

common._call = train_here
data_dir, workdir, *names = sys.argv[1:]
for name in names:
    module = importlib.import_module("experiments." + name)
    experiment = getattr(module, "main", None) or module.EXPERIMENT.main
    experiment(common.Settings(data_dir, workdir, "smoke"))
"""


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
    folders = (f"--data_dir={data_dir}", f"--workdir={workdir}")

    # as a user types it
    first = _call("-m", "experiments.method_table", *folders, "--scale=smoke")
    assert first.returncode == 0, first.stderr
    trained = (workdir / "runs" / "simsiam" / "encoder.keras").stat().st_mtime_ns

    place = NAMES.index("method_table")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        halves = NAMES[:place], NAMES[place + 1 :]
        for done in pool.map(lambda names: _call("-c", CODE, data_dir, workdir, *names), halves):
            assert done.returncode == 0, done.stderr
    assert (workdir / "runs" / "simsiam" / "encoder.keras").stat().st_mtime_ns == trained  # shared by seven of them
    for name in NAMES:
        text, raw = (workdir / f"{name}.md").read_text(), json.loads((workdir / f"{name}.json").read_text())
        assert (workdir / f"{name}.png").stat().st_size > 10_000 and f"({name}.png)" in text
        if name not in OF_FRAMES:
            assert raw["measured"] and not raw["missing"] and not raw["failed"] and "| --- |" in text

    reported = _call("-m", "experiments.report", f"--workdir={workdir}")
    assert reported.returncode == 0, reported.stderr
    page = (workdir / "report.html").read_text()
    assert all(f'<section id="{name}">' in page for name in (*NAMES, "runs"))

    refused = _call("-m", "experiments.method_table", *folders, "--seeds=0,x")
    assert refused.returncode == 1 and refused.stderr.strip() == (
        "error: flag --seeds=0,x: expected whole numbers separated by commas, got '0,x'"
    )
    other = _call("-m", "experiments.method_table", *folders, "--train=none")
    assert other.returncode == 1 and "runs/simsiam holds another configuration" in other.stderr
