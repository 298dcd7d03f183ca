import importlib.util
import os
import subprocess
import sys
import time

import pytest

from tests.tfrecords.test_build import LONGER, SMALL
from tfrecords.unfinished import FOLDER

pytestmark = pytest.mark.slow

# What DirectRunner ends at, which first looks for another one, Prism, on the network.
RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"
PROCESSES = (RUNNER, "--direct_running_mode=multi_processing", "--direct_num_workers=2")

needs_beam = pytest.mark.skipif(importlib.util.find_spec("apache_beam") is None, reason="Apache Beam is not installed")


def _command(module, *flags):
    return [sys.executable, "-m", f"tfrecords.{module}", *flags]


def _run(module, *flags, **options):
    return subprocess.run(_command(module, *flags), capture_output=True, text=True, timeout=120, **options)


def _files(folder):
    return {name: (folder / name).read_bytes() for name in os.listdir(folder)}


def _last_line(result):
    assert result.returncode == 1 and "Traceback" not in result.stderr
    return result.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files that tfrecords.build makes of LONGER."""
    output = tmp_path_factory.mktemp("whole") / "data"
    assert _run("build", *LONGER, f"--output={output}").returncode == 0
    return _files(output)


def _washington(washington_frame, damage=False):
    for instance in ("apple_1", "apple_2"):
        for video in (1, 2, 4):
            stem = washington_frame(instance, video, 1)
    if damage:
        os.truncate(f"{stem}_depthcrop.png", 100)
    return "--source=washington", f"--input={washington_frame.root}"


@pytest.mark.skipif(importlib.util.find_spec("apache_beam") is not None, reason="Apache Beam is installed")
def test_without_beam_one_line_says_what_to_install(tmp_path):
    result = _run("beam", *SMALL, f"--output={tmp_path / 'data'}")
    assert result.returncode == 1
    assert result.stderr == "error: Apache Beam is not installed: pip install '.[beam]'\n"
    assert os.listdir(tmp_path) == []


@needs_beam
def test_it_writes_the_bytes_of_the_builder(whole, tmp_path):
    result = _run("beam", *LONGER, f"--output={tmp_path / 'data'}", *PROCESSES)
    assert result.returncode == 0, result.stderr
    assert f"for Beam: {' '.join(PROCESSES)}\n" in result.stdout and "frames: train 128, test 64" in result.stdout
    assert _files(tmp_path / "data") == whole


@needs_beam
def test_killed_it_goes_on_from_the_finished_shards(whole, tmp_path):
    output = tmp_path / "data"
    command = _command("beam", *LONGER, f"--output={output}", *PROCESSES)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not any(output.glob(f"{FOLDER}/*.tfrecord.json")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    # The note is there after the shard.
    left = {path.name.removesuffix(".json") for path in output.glob(f"{FOLDER}/*.tfrecord.json")}
    inodes = {name: (output / FOLDER / name).stat().st_ino for name in left}
    assert left and not (output / "dataset.json").exists()
    assert _run("build", *LONGER, f"--output={output}").returncode == 0
    assert _files(output) == whole
    assert inodes == {name: (output / name).stat().st_ino for name in left}


@needs_beam
def test_a_damaged_frame_is_left_out_or_with_strict_the_end(washington_frame, tmp_path):
    flags = _washington(washington_frame, damage=True)
    assert _run("build", *flags, f"--output={tmp_path / 'build'}").returncode == 0
    assert _run("beam", *flags, f"--output={tmp_path / 'beam'}", *PROCESSES).returncode == 0
    assert "skipped.jsonl" in _files(tmp_path / "beam")
    assert _files(tmp_path / "beam") == _files(tmp_path / "build")
    strict = _run("beam", *flags, "--strict", f"--output={tmp_path / 'strict'}", RUNNER)
    assert _last_line(strict).startswith(
        f"error: {washington_frame.root}/apple/apple_2/apple_2_4_1_depthcrop.png is not"
    )
    assert not (tmp_path / "strict").exists()


def test_workers_is_refused(tmp_path):
    result = _run("beam", *SMALL, f"--output={tmp_path / 'data'}", "--workers=2", RUNNER)
    assert _last_line(result).startswith("error: --workers has no meaning on a cluster")
