import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_simsiam.core.errors import UserError
from tfrecords import example
from tfrecords.sources import open3d

SIZE = (12, 16)
CAMERA = {"width": 16, "height": 12, "intrinsic_matrix": [9.0, 0, 0, 0, 8.0, 0, 7.5, 5.5, 1]}


@pytest.fixture
def write(tmp_path):
    """A function that writes a recording with colour and depth images of these names."""

    def write(colors, depths, name="lounge", color="color", camera="camera_primesense.json"):
        folder = tmp_path / name
        random = np.random.default_rng(0)
        for inner, names, shape, dtype in ((color, colors, (*SIZE, 3), np.uint8), ("depth", depths, SIZE, np.uint16)):
            (folder / inner).mkdir(parents=True)
            for image in names:
                cv2.imwrite(str(folder / inner / image), random.integers(0, 60000, shape).astype(dtype))
        if camera:
            (folder / camera).write_text(json.dumps(CAMERA))
        return folder

    return write


def _pairs(plan):
    references = [reference for references in plan.splits.values() for reference in references]
    return [
        (os.path.basename(reference.color_path), os.path.basename(reference.depth_path)) for reference in references
    ]


@pytest.mark.parametrize(
    ("name", "count", "units", "intrinsics"),
    [
        ("redwood", 4, 1000.0, (525.0, 525.0, 319.5, 239.5)),
        ("kinect2", 1, 10000.0, (365.456, 365.456, 254.878, 205.395)),
    ],
)
def test_real_frames(unpack, name, count, units, intrinsics):
    folder = unpack("rgbd_frames.tar.xz", [name]) / "rgbd_frames" / name
    plan = open3d.plan(str(folder))
    colors, depths = (sorted(os.listdir(folder / inner)) for inner in ("color", "depth"))
    assert len(plan.splits["train"]) == count == len(colors)
    for reference, color, depth in zip(plan.splits["train"], colors, depths, strict=True):
        frame = plan.load(reference)
        sample = example.decode(tf.constant(example.encode(frame)))
        np.testing.assert_allclose(sample["depth"], np.array(Image.open(folder / "depth" / depth)) / units, atol=1e-6)
        assert frame.name == f"{name}/{Path(color).stem}"
        assert frame.rgb == (folder / "color" / color).read_bytes()
        assert frame.depth == (folder / "depth" / depth).read_bytes()
        assert frame.intrinsics == intrinsics and frame.gravity == (0, 0, 0)
    assert plan.instances == [name] and plan.gravity == {"mode": "unknown"}


def test_open3ds_own_camera_file(unpack):
    folder = unpack("rgbd_frames.tar.xz", ["redwood"]) / "rgbd_frames" / "redwood"
    os.remove(folder / "camera.json")
    plan = open3d.plan(str(folder))
    frame = plan.load(plan.splits["train"][0])
    assert frame.intrinsics == (525.0, 525.0, 319.5, 239.5) and frame.units_per_metre == 1000


def test_rotated_bits_are_refused(unpack):
    folder = unpack("rgbd_frames.tar.xz", ["frames/sun"]) / "rgbd_frames" / "sun"
    with pytest.raises(UserError, match="bits are rotated"):
        open3d.plan(str(folder))


def test_frames_belong_together_by_number(write):
    folder = write(["000001-000000033369.jpg", "000002-000000066738.jpg"], ["2.png", "1.png", "10.png"], color="image")
    plan = open3d.plan(str(folder))
    assert _pairs(plan)[:2] == [("000001-000000033369.jpg", "1.png"), ("000002-000000066738.jpg", "2.png")]
    assert plan.load(plan.splits["train"][0]).name == "lounge/000001-000000033369"


@pytest.mark.parametrize(
    ("colors", "depths", "missing"),
    [(["0.jpg", "1.jpg", "2.jpg"], ["0.png", "2.png"], "depth/1.png"), (["0.jpg"], ["0.png", "1.png"], "color/1.jpg")],
)
def test_a_missing_partner_is_named_when_its_frame_is_loaded(write, colors, depths, missing):
    plan = open3d.plan(str(write(colors, depths)))
    assert plan.load(plan.splits["train"][0]).name == "lounge/0"
    with pytest.raises(UserError, match=f"{missing} is missing"):
        plan.load(plan.splits["train"][1])


@pytest.mark.parametrize(
    ("colors", "depths"),
    [
        (["c_9.5.jpg", "c_9.9.jpg", "c_10.2.jpg"], ["d_9.6.png", "d_9.8.png", "d_11.1.png"]),
        (["99.jpg", "133.jpg", "166.jpg"], ["101.png", "133.png", "1670.png"]),
        (["a.jpg", "b.jpg"], ["c.png", "d.png"]),
    ],
)
def test_frames_with_other_names_belong_together_by_order(write, colors, depths):
    assert _pairs(open3d.plan(str(write(colors, depths)))) == list(zip(colors, depths, strict=True))


def test_as_many_images_are_needed_where_order_alone_tells(write):
    with pytest.raises(UserError, match=r"lounge has 2 images in color/ and 1 in depth/"):
        open3d.plan(str(write(["a.jpg", "b.jpg"], ["a.png"])))


def test_several_recordings_are_thinned_and_held_out_each_by_itself(write, tmp_path):
    for name, color in (("b", "rgb"), ("a/1", "color")):
        write([f"{n}.jpg" for n in range(12)], [f"{n}.png" for n in range(12)], name, color, camera=None)
    (tmp_path / "camera.json").write_text(json.dumps(CAMERA | {"units_per_metre": 4000}))
    plan = open3d.plan(str(tmp_path), every=3, val_fraction=0.25)
    names = {split: [reference.name for reference in references] for split, references in plan.splits.items()}
    assert names == {"train": ["a/1/0", "a/1/3", "a/1/6", "b/0", "b/3", "b/6"], "val": ["a/1/9", "b/9"]}
    frame = plan.load(plan.splits["val"][1])
    assert plan.instances == ["a/1", "b"] and frame.instance == 1
    assert frame.intrinsics == (9, 8, 7.5, 5.5) and frame.units_per_metre == 4000


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("depth/0.png", lambda path: Path(path).write_bytes(Path(path).read_bytes()[:60]), "is not a readable image"),
        ("color/0.jpg", lambda path: Path(path).write_bytes(b""), "is not a readable image"),
        ("depth/0.png", lambda path: cv2.imwrite(path, np.ones(SIZE, np.uint8)), "is not a 16-bit image"),
        ("depth/0.png", lambda path: cv2.imwrite(path, np.ones((12, 15), np.uint16)), "is 15x12 but .* 16x12"),
    ],
)
def test_a_bad_frame_is_named_when_it_is_loaded(write, file, damage, message):
    folder = write(["0.jpg"], ["0.png"])
    plan = open3d.plan(str(folder))
    damage(str(folder / file))
    with pytest.raises(UserError, match=message) as error:
        plan.load(plan.splits["train"][0])
    assert str(folder / file) in str(error.value) and "\n" not in str(error.value)


def test_a_bad_layout_is_named(write, tmp_path):
    with pytest.raises(UserError, match=r"holds no folder with images in color/ and depth/"):
        open3d.plan(str(tmp_path))
    write([], [])
    with pytest.raises(UserError, match=r"holds no folder with images in color/ and depth/"):
        open3d.plan(str(tmp_path))
    folder = write(["0.jpg"], ["0.png"], name="deep/er/still", camera=None)
    with pytest.raises(UserError, match=r"still has no camera\.json nor camera_primesense\.json"):
        open3d.plan(str(folder))
