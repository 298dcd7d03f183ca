"""The command itself, as a process."""

import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import tensorflow as tf

from benchmarks import hha_scenes
from keras_simsiam.depth import hha, holes
from tfrecords import depth_files

pytestmark = pytest.mark.slow

CAMERA = "--camera=57,57,15.5,11.5"
DOWN = (0.0, 0.9, 0.3)
REDWOOD = (525.0, 525.0, 319.5, 239.5)


# A graph that does not know sizes and cameras, as the command has one; constants it knows change the last digits.
_encode_any = tf.function(
    hha.encode,
    input_signature=[tf.TensorSpec(shape, tf.float32) for shape in ([None, None], [4], [3])],
)


def _command(*flags):
    return [sys.executable, "-m", "tools.depth2hha", *map(str, flags)]


def _run(*flags):
    return subprocess.run(_command(*flags), capture_output=True, text=True, timeout=300)


def _contents(folder):
    """The images; not the record of the flags that made them."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "depth2hha.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def folder(tmp_path, depth):
    """depth/ with three images, one of them in a separate folder."""
    (tmp_path / "depth" / "kitchen").mkdir(parents=True)
    for index, name in enumerate(("0.png", "1.pgm", "kitchen/0.png")):
        cv2.imwrite(str(tmp_path / "depth" / name), depth + np.uint16(10 * index))
    return tmp_path


def test_real_frames_in_every_format(tmp_path, real_depth):
    """Each folder holds the same frame in its own format, with a camera.json that tells its units."""
    metres = real_depth.astype(np.float32) / np.float32(1000)
    images = {"png": real_depth, "pgm": real_depth, "tiff": real_depth, "exr": metres, "npy": metres}
    for suffix, image in images.items():
        path = tmp_path / "in" / suffix / "depth" / f"frame.{suffix}"
        path.parent.mkdir(parents=True)
        np.save(path, image) if suffix == "npy" else cv2.imwrite(str(path), image)
        camera = dict(zip(("fx", "fy", "cx", "cy"), REDWOOD, strict=True)) | {"width": 640, "height": 480}
        camera["units_per_metre"] = 1000 if image.dtype == np.uint16 else 1
        (tmp_path / "in" / suffix / "camera.json").write_text(json.dumps(camera))
    result = _run(f"--input={tmp_path}/in", f"--output={tmp_path}/hha", "--gravity=0,0.9,0.3")
    assert result.returncode == 0, result.stderr
    assert "written: 5\nskipped: 0\n" in result.stdout and result.stderr == ""
    written = _contents(tmp_path / "hha")
    assert sorted(written) == sorted(f"{suffix}/depth/frame.png" for suffix in images)
    assert len(set(written.values())) == 1
    expected = np.rint(_encode_any(metres, REDWOOD, DOWN))
    np.testing.assert_array_equal(tf.io.decode_png(written["png/depth/frame.png"]), expected)


@pytest.mark.skipif(not hha_scenes.GOLDEN.exists(), reason="the golden images are not beside the repository")
def test_published_images(tmp_path):
    """Where they were made of the depth alone; their cameras count pixels from one."""
    result = _run(f"--input={hha_scenes.GOLDEN}/*/depth.png", f"--output={tmp_path}/hha/")
    assert result.returncode == 0 and "written: 4\nskipped: 0" in result.stdout, result.stderr
    compared = 0
    for name, depth, _, valid, published in hha_scenes.golden_frames():
        if (valid == (depth > 0)).all():
            image = tf.io.decode_png((tmp_path / "hha" / name.split("/")[0] / "depth.png").read_bytes()).numpy()
            difference = np.abs(image.astype(int) - published)[hha_scenes.well_posed(depth, valid)]
            assert difference.max() <= 1 and (difference == 0).mean() > 0.98
            compared += 1
    assert compared == 4


def test_a_run_resumes_and_names_what_it_skips(folder):
    flags = (f"--input={folder}/depth", f"--output={folder}/hha", CAMERA, "--units_per_metre=1000", "--encoding=paper")
    cv2.imwrite(str(folder / "depth" / "8bit.png"), np.ones([24, 32], np.uint8))
    (folder / "hha").mkdir()
    (folder / "hha" / "0.png").write_text("kept")
    result = _run(*flags)
    assert result.returncode == 1
    assert "written: 2\nalready there: 1 (kept as they are" in result.stdout
    assert f"skipped: 1\n  {folder}/depth/8bit.png is of type uint8" in result.stdout
    before = _contents(folder / "hha")
    assert sorted(before) == ["0.png", "1.png", "kitchen/0.png"] and before["0.png"] == b"kept"
    os.remove(folder / "depth" / "8bit.png")
    result = _run(*flags)
    assert result.returncode == 0 and "written: 0\nalready there: 3" in result.stdout
    assert _contents(folder / "hha") == before
    result = _run(*flags, "--overwrite")
    assert result.returncode == 0 and "written: 3\nskipped: 0" in result.stdout
    after = _contents(folder / "hha")
    assert {name for name in before if after[name] != before[name]} == {"0.png"}
    expected = hha.encode(depth_files.read(f"{folder}/depth/0.png", 1000), (57, 57, 15.5, 11.5), encoding="paper")
    np.testing.assert_allclose(tf.io.decode_png(after["0.png"]), expected, atol=0.55)


def test_holes_are_treated_as_asked_and_not_mixed(folder):
    flags = (f"--input={folder}/depth/0.png", f"--output={folder}/hha", CAMERA, "--units_per_metre=1000")
    image = depth_files.read(f"{folder}/depth/0.png", 1000)
    expected = holes.encode(image, (57, 57, 15.5, 11.5), holes="mask")
    assert _run(*flags, "--holes=mask").returncode == 0
    written = tf.io.decode_png((folder / "hha" / "0.png").read_bytes())
    assert written.shape[-1] == 4 and 0 < np.mean(written[..., 3] == 255) < 1
    np.testing.assert_allclose(written, expected, atol=0.55)
    result = _run(*flags)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {folder}/hha holds images of --holes=mask: give that, another --output")
    (folder / "hha" / "depth2hha.json").write_text("{}")
    assert "depth2hha.json is damaged" in _run(*flags).stderr
    assert _run(*flags, "--overwrite").returncode == 0
    assert tf.io.decode_png((folder / "hha" / "0.png").read_bytes()).shape[-1] == 3


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
def test_a_run_that_is_stopped_leaves_whole_images(folder, how):
    image = np.random.default_rng(0).integers(1000, 3000, [240, 320], np.uint16)
    for index in range(150):
        cv2.imwrite(f"{folder}/depth/more{index}.png", image)
    flags = (f"--input={folder}/depth", f"--output={folder}/hha", CAMERA, "--units_per_metre=1000")
    with subprocess.Popen(_command(*flags), stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while len(list(folder.glob("hha/*.png"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(how)
        _, errors = process.communicate(timeout=60)
    written = list(folder.glob("hha/**/*.png"))
    assert 3 <= len(written) < 153
    assert all(cv2.imread(str(path)) is not None for path in written)
    if how == signal.SIGTERM:
        assert process.returncode == 1
        assert errors == "interrupted; the same command goes on where it stopped\n"
        assert not [name for name in _contents(folder / "hha") if name.endswith(".partial")]


def test_mistakes_end_in_one_line_before_any_work(folder):
    (folder / "twice").mkdir()
    for name in ("a.png", "a.tiff"):
        cv2.imwrite(str(folder / "twice" / name), np.full([24, 32], 1000, np.uint16))
    (folder / "no_units.json").write_text('{"fx": 57, "fy": 57, "cx": 15.5, "cy": 11.5}')
    images, units = f"--input={folder}/depth", "--units_per_metre=1000"
    for flags, message in (
        (["--input=x", "--output=y", "--units=5"], "Unknown command line flag 'units'"),
        ([], "flag --input=None: Flag --input must have a value other than None."),
        ([images, CAMERA], f"{folder}/depth/0.png: {CAMERA} does not tell the units: give --units_per_metre"),
        ([images, f"--camera_file={folder}/no_units.json"], f"{folder}/depth/0.png: {folder}/no_units.json does not"),
        ([images, units], f"{folder}/depth/0.png has no camera.json next to or above it: give --camera"),
        ([images, CAMERA, "--units_per_metre=0"], "--units_per_metre=0: give a positive number"),
        ([images, units, CAMERA, "--gravity=down"], "--gravity=down: give estimate, or a direction"),
        ([images, units, CAMERA, "--gravity=0,0,0"], "--gravity=0,0,0: give estimate, or a direction"),
        ([images, units, CAMERA, "--encoding=jet"], "flag --encoding=jet: value should be one of <gupta|paper>"),
        ([images, units, CAMERA, "--workers=0"], "flag --workers=0"),
        ([images, units, CAMERA, "stray.png"], "'stray.png' is not a flag: write --name=value, and patterns in quotes"),
        ([images, units, CAMERA, "--camera_file=x"], "--camera and --camera_file exclude each other"),
        ([f"--input={folder}/none/*.png", units, CAMERA], f"--input={folder}/none/*.png: there are no depth images"),
        ([f"--input={folder}/twice", units, CAMERA], f"{folder}/twice/a.png and {folder}/twice/a.tiff would both"),
        ([images, units, CAMERA, f"--output={folder}/depth"], f"--output={folder}/depth would replace the depth image"),
        ([images, units, CAMERA, f"--output={folder}/no_units.json"], f"--output={folder}/no_units.json is no folder"),
    ):
        output = [f"--output={folder}/hha"] if flags else []
        result = _run(*output, *flags)
        assert result.returncode == 1, flags
        assert result.stderr.startswith(f"error: {message}") and result.stderr.count("\n") == 1, result.stderr
        assert not (folder / "hha").exists()
