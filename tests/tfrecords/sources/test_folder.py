import json
import os
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from tfrecords import example
from tfrecords.sources import folder

CAMERA = {"fx": 30.0, "fy": 31.0, "cx": 15.5, "cy": 11.5, "width": 32, "height": 24, "units_per_metre": 1000}
COLOR = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


@pytest.fixture
def root(tmp_path):
    """A folder with a camera.json."""
    (tmp_path / "camera.json").write_text(json.dumps(CAMERA))
    return tmp_path


@pytest.fixture
def add(root, depth):
    """A function that writes a colour image, or a depth image where its path says so, and returns its bytes."""

    def add(path, image=None):
        path = root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        image = image if image is not None else depth if "depth" in str(path.relative_to(root)) else COLOR
        np.save(path, image) if path.suffix == ".npy" else cv2.imwrite(str(path), image)
        return path.read_bytes()

    return add


def _names(plan):
    return {split: [reference.name for reference in references] for split, references in plan.splits.items()}


def _load_all(plan):
    return [plan.load(reference) for references in plan.splits.values() for reference in references]


def _load(plan):
    (frame,) = _load_all(plan)
    return frame


def _depth_of(frame):
    return cv2.imdecode(np.frombuffer(frame.depth, np.uint8), cv2.IMREAD_UNCHANGED)


def test_the_usual_layout_needs_no_flags(root, add):
    rgb, depth_png = add("rgb/0001.jpg"), add("depth/0001.png")
    plan = folder.plan(str(root))
    assert _names(plan) == {"train": ["0001"]}
    assert (list(plan.classes), plan.gravity) == ([], {"mode": "unknown"})
    assert _load(plan) == example.Frame(
        "0001", rgb, depth_png, (30.0, 31.0, 15.5, 11.5), units_per_metre=1000.0, label=-1, instance=-1
    )


@pytest.mark.parametrize(
    ("color_file", "depth_file", "rgb", "depth_pattern", "name"),
    [
        ("0001_color.png", "0001_depth.png", "*_color", "*_depth", "0001"),
        ("0001_color.png", "0001_depth.png", "*_color.png", "*_depth.png", "0001"),
        ("color/f.JPG", "depth/f.PNG", "color/*", "depth/*", "f"),
        ("run [1]/rgb/a.b.png", "run [1]/depth/a.b.png", "*/rgb/*", "*/depth/*", "run [1]/a.b"),
        ("x/y/7-color.png", "x/y/7-depth.tiff", "**/*-color", "**/*-depth", "x/y/7"),
        ("7-color.png", "7-depth.pgm", "**/*-color", "**/*-depth", "7"),
        ("seq-01/frame-3.color.png", "seq-01/frame-3.depth.png", "seq-*/frame-*.color", "seq-*/frame-*.depth", "01/3"),
    ],
)
def test_the_wildcards_of_both_patterns_match_the_same(root, add, color_file, depth_file, rgb, depth_pattern, name):
    color = add(color_file)
    add(depth_file)
    frame = _load(folder.plan(str(root), rgb=rgb, depth=depth_pattern))
    assert (frame.name, frame.rgb) == (name, color)


def test_frames_are_in_the_order_of_their_numbers_and_thinned_by_recording(root, add):
    for recording in "ab":
        for number in (1, 2, 3, 10, 11):
            add(f"{recording}/rgb/f{number}.png")
            add(f"{recording}/depth/f{number}.png")
    plan = folder.plan(str(root), rgb="*/rgb/*", depth="*/depth/*", every=2)
    assert _names(plan)["train"] == ["a/f1", "a/f3", "a/f11", "b/f1", "b/f3", "b/f11"]


def test_the_last_part_of_each_recording_is_held_out(root, add):
    for recording in "ab":
        for number in range(8, 13):
            add(f"{recording}/rgb/{number}.png")
    arguments = {"rgb": "*/rgb/*", "depth": ""}
    plan = folder.plan(str(root), **arguments, val_fraction=0.4)
    assert _names(plan)["val"] == ["a/11", "a/12", "b/11", "b/12"]
    assert _names(plan)["train"] == ["a/8", "a/9", "a/10", "b/8", "b/9", "b/10"]
    for fraction in (0.01, 0.99):
        with pytest.raises(UserError, match="leaves no frame"):
            folder.plan(str(root), **arguments, val_fraction=fraction)


def test_folders_of_splits_and_of_classes(root, add):
    for name in ("learn/pear/1", "learn/apple/1", "learn/apple/2", "Testing/pear/1", "valid/apple/1"):
        add(f"{name}.jpg")
    plan = folder.plan(str(root), rgb="*/*/*", depth="", split="folder", labels="folder")
    assert _names(plan) == {
        "train": ["learn/apple/1", "learn/apple/2", "learn/pear/1"],
        "val": ["valid/apple/1"],
        "test": ["Testing/pear/1"],
    }
    assert plan.classes == ["apple", "pear"]
    frames = {frame.name: frame for frame in _load_all(plan)}
    assert {name: frame.label for name, frame in frames.items()} == {
        name: int("pear" in name) for names in _names(plan).values() for name in names
    }
    assert frames["valid/apple/1"].depth is None and frames["valid/apple/1"].intrinsics == (0.0, 0.0, 0.0, 0.0)


def test_more_is_held_out_beside_a_folder_for_it(root, add):
    for name in ("train/1", "train/2", "val/1"):
        add(f"{name}.png")
    plan = folder.plan(str(root), rgb="*/*", depth="", split="folder", val_fraction=0.5)
    assert _names(plan) == {"train": ["train/1"], "val": ["val/1", "train/2"]}


def test_gravity_and_camera_of_the_flags_go_first(root, add):
    add("rgb/1.png")
    add("depth/1.png")
    plan = folder.plan(str(root), gravity="0,4,3", camera="9,8,7,6", units_per_metre=5000.0)
    frame = _load(plan)
    assert frame.gravity == pytest.approx((0, 0.8, 0.6)) and plan.gravity["mode"] == "given"
    assert (frame.intrinsics, frame.units_per_metre) == ((9.0, 8.0, 7.0, 6.0), 5000.0)


def test_each_recording_has_its_own_camera(root, add):
    for recording, focal_length in (("a", 40.0), ("b", 50.0)):
        add(f"{recording}/rgb/1.png")
        add(f"{recording}/depth/1.png")
        (root / recording / "camera.json").write_text(json.dumps(CAMERA | {"fx": focal_length}))
    frames = _load_all(folder.plan(str(root), rgb="*/rgb/*", depth="*/depth/*"))
    assert [frame.intrinsics[0] for frame in frames] == [40.0, 50.0]


@pytest.mark.parametrize("suffix", ["pgm", "tiff", "npy"])
def test_integers_of_other_formats_keep_their_values(root, add, depth, suffix):
    add("rgb/1.png")
    add(f"depth/1.{suffix}")
    frame = _load(folder.plan(str(root)))
    np.testing.assert_array_equal(_depth_of(frame), depth)
    assert frame.units_per_metre == 1000.0


@pytest.mark.parametrize("suffix", ["npy", "exr", "tiff"])
def test_floats_are_rounded_to_a_quarter_of_a_millimetre(root, add, depth, suffix):
    metres = depth.astype(np.float32) / 1000
    add("rgb/1.png")
    add(f"depth/1.{suffix}", metres)
    frame = _load(folder.plan(str(root), units_per_metre=1.0))
    assert np.abs(_depth_of(frame) / frame.units_per_metre - metres).max() <= 0.5 / 4096
    np.testing.assert_array_equal(_depth_of(frame) == 0, depth == 0)


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (cv2.imencode(".png", cv2.merge([COLOR, COLOR[..., :1] // 2]))[1], COLOR[..., ::-1]),
        (cv2.imencode(".png", COLOR[..., 0])[1], np.repeat(COLOR[..., :1], 3, -1)),
    ],
    ids=["alpha", "gray"],
)
def test_alpha_and_gray_images_become_rgb_when_they_are_read(root, add, encoded, expected):
    (root / "rgb").mkdir()
    (root / "rgb" / "1.png").write_bytes(encoded.tobytes())
    record = example.encode(_load(folder.plan(str(root), depth="")))

    def decode(record):
        return example.decode(record, has_depth=False)["rgb"]

    np.testing.assert_array_equal(decode(record), expected)
    np.testing.assert_array_equal(tf.function(decode)(record), expected)
    np.testing.assert_array_equal(next(iter(tf.data.Dataset.from_tensors(record).map(decode))), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rgb/1.png": np.zeros((48, 64, 3), np.uint8)}, r"rgb/1.png is 64x48 but .*camera.json says 32x24"),
        ({"depth/1.png": np.ones((12, 16), np.uint16) * 900}, r"depth/1.png is 16x12 .*register the depth"),
        ({"depth/1.png": np.ones((24, 32), np.uint8)}, r"depth/1.png is not a 16-bit image"),
        ({"depth/1.png": np.zeros((24, 32), np.uint16)}, r"depth/1.png holds no depth"),
        ({"depth/1.png": np.full((24, 32), 3, np.uint16)}, r"median depth 0.003 m: 1000 units per metre are wrong"),
        ({"rgb/1.png": np.zeros((24, 32, 3), np.uint16)}, r"rgb/1.png is not an 8-bit image"),
    ],
)
def test_a_frame_that_cannot_be_used_is_named_and_the_others_load(root, add, changes, message):
    for number in (1, 2):
        add(f"rgb/{number}.png")
        add(f"depth/{number}.png")
    for path, image in changes.items():
        add(path, image)
    plan = folder.plan(str(root))
    broken, whole = plan.splits["train"]
    with pytest.raises(UserError, match=message) as error:
        plan.load(broken)
    assert "\n" not in str(error.value)
    assert plan.load(whole).name == "2"


def test_depth_beyond_16_bits_is_refused(root, add):
    add("rgb/1.png")
    add("depth/1.npy", np.full((24, 32), 20.0, np.float32))
    plan = folder.plan(str(root), units_per_metre=1.0)
    with pytest.raises(UserError, match=r"depth up to 20 m, but 16 bits at 4096 steps a metre end at 16 m"):
        _load(plan)


def test_a_missing_partner_is_a_frame_that_cannot_be_used(root, add):
    for path in ("rgb/1.png", "depth/1.png", "rgb/2.png", "depth/3.png"):
        add(path)
    plan = folder.plan(str(root))
    whole, no_depth, no_color = plan.splits["train"]
    assert plan.load(whole).name == "1"
    with pytest.raises(UserError, match=r"rgb/2.png has no depth image of its name.*`without_depth=keep`$"):
        plan.load(no_depth)
    with pytest.raises(UserError, match=r"depth/3.png has no colour image of its name"):
        plan.load(no_color)


def test_frames_without_depth_are_kept_where_that_is_asked_for(root, add):
    """With the camera of their folder, or one that stands for any where nothing tells it."""
    colors = [add(path) for path in ("a/1_rgb.png", "a/2_rgb.png", "b/3_rgb.png")]
    measured = add("a/1_depth.png")
    (root / "camera.json").rename(root / "a" / "camera.json")
    plan = folder.plan(str(root), "*/*_rgb", depth="*/*_depth", without_depth="keep")
    whole, without, unknown = _load_all(plan)
    assert [frame.rgb for frame in (whole, without, unknown)] == colors
    assert whole.depth == measured and whole.intrinsics == without.intrinsics == (30.0, 31.0, 15.5, 11.5)
    assert unknown.intrinsics == (32.0, 32.0, 15.5, 11.5)
    for frame in (without, unknown):
        np.testing.assert_array_equal(_depth_of(frame), np.zeros((24, 32), np.uint16))


def test_without_depth_needs_a_pattern_of_depth(root, add):
    add("rgb/1.png")
    with pytest.raises(UserError, match=r"`without_depth=keep` .* give `depth` too$"):
        folder.plan(str(root), depth="", without_depth="keep")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input": "nowhere"}, "`input=nowhere` is not a folder"),
        ({"rgb": "color/*"}, r"`rgb=color/\*` matches no image below"),
        ({"depth": "d/*"}, r"`depth=d/\*` matches no image below .*or `depth=` for colour only"),
        ({"depth": "dep*/1"}, r"the wildcards never match the same"),
        ({"labels": "folder"}, r"`rgb=rgb/\*`: .*rgb/1.png gives the wildcards 1 part"),
        ({"rgb": "*/*", "depth": "", "split": "folder"}, "'depth' of .*depth/1.png names no split"),
        ({"labels": "first"}, "`labels=first` is not a choice"),
        ({"split": "random"}, "`split=random` is not a choice"),
        ({"gravity": "down"}, "`gravity=down`: give unknown, or a direction"),
        ({"gravity": "0,0,0"}, "`gravity=0,0,0`: give unknown, or a direction"),
        ({"camera": "1,2,3,4", "camera_file": "x"}, "exclude each other"),
        ({"camera": "30,30,15,11"}, "`camera=30,30,15,11` does not tell the units: give `units_per_metre`"),
        ({"units_per_metre": -1.0}, "`units_per_metre=-1`: give a positive number"),
    ],
)
def test_what_makes_the_whole_plan_impossible_is_said_at_once(root, add, arguments, message):
    add("rgb/1.png")
    add("depth/1.png")
    with pytest.raises(UserError, match=message) as error:
        folder.plan(**({"input": str(root)} | arguments))
    assert "\n" not in str(error.value)


def test_two_files_of_one_frame_are_refused(root, add):
    add("rgb/1.png")
    add("rgb/1.jpg")
    with pytest.raises(UserError, match=r"rgb/1.jpg and .*rgb/1.png are one frame"):
        folder.plan(str(root), depth="")


def test_a_missing_camera_is_said(root, add):
    add("rgb/1.png")
    add("depth/1.png")
    os.remove(root / "camera.json")
    with pytest.raises(UserError, match=r"rgb/1.png has no camera.json next to or above it"):
        folder.plan(str(root))


def test_a_plan_goes_to_other_processes(root, add):
    add("rgb/1.png")
    add("depth/1.png")
    plan = folder.plan(str(root))
    assert pickle.loads(pickle.dumps(plan.load))(plan.splits["train"][0]) == _load(plan)


def test_real_recording(unpack):
    """Open3D's Redwood sample: color/*.jpg, depth/*.png, millimetres told by its camera.json."""
    root = unpack("rgbd_frames.tar.xz", ["redwood"]) / "rgbd_frames" / "redwood"
    frames = _load_all(folder.plan(str(root), rgb="color/*"))
    assert [frame.name for frame in frames] == ["00000", "00001", "00002", "00003"]
    for frame in frames:
        assert frame.rgb == (root / "color" / f"{frame.name}.jpg").read_bytes()
        assert frame.depth == (root / "depth" / f"{frame.name}.png").read_bytes()
        assert (frame.intrinsics, frame.units_per_metre) == ((525.0, 525.0, 319.5, 239.5), 1000.0)


def test_real_folders_of_splits(unpack):
    root = unpack("osd.tar.xz", ["camera.json", "/rgb/", "/depth/"]) / "osd"
    plan = folder.plan(str(root), rgb="*/rgb/*", depth="*/depth/*", split="folder")
    assert {split: len(references) for split, references in plan.splits.items()} == {"train": 45, "test": 65}
    assert _names(plan)["train"][:3] == ["learn/learn0", "learn/learn1", "learn/learn2"]
    frame = plan.load(plan.splits["test"][-1])
    assert frame.name == "test/test64" and frame.depth == Path(root, "test/depth/test64.png").read_bytes()


@pytest.mark.slow
def test_real_images_without_depth(unpack):
    root = unpack("cifar10_jpg.tar.xz", ["/0001.jpg"]) / "cifar10_jpg"
    plan = folder.plan(str(root), rgb="*/*/*", depth="", split="folder", labels="folder")
    assert len(plan.classes) == 10 and plan.classes[0] == "airplane"
    assert set(plan.splits) == {"train", "test"}
    reference = plan.splits["test"][-1]
    frame = plan.load(reference)
    assert plan.classes[frame.label] == reference.key[1] == "truck"
    sample = example.decode(example.encode(frame), has_depth=False)
    assert sample["rgb"].shape == (32, 32, 3)
