import os
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_simsiam.core.errors import UserError
from tfrecords.sources import washington

PACK = Path(__file__).parents[4] / "shared" / "data" / "uw-rgbd-mini.tar.xz"


def _names(plan, split):
    return [reference.name for reference in plan.splits[split]]


def _load_all(plan):
    return {reference.name: plan.load(reference) for split in plan.splits.values() for reference in split}


@pytest.fixture
def two_categories(washington_frame):
    """apple_1, apple_2, apple_10 and ball_1, ball_2: videos 1, 2 and 4 of four frames each."""
    for instance in ("apple_1", "apple_2", "apple_10", "ball_1", "ball_2"):
        for video in (1, 2, 4):
            for number in (1, 6, 11, 101):
                washington_frame(instance, video, number)
    return washington_frame


def test_crop(washington_frame):
    stem = washington_frame("apple_1", 1, 7, corner=(269, 211))
    plan = washington.plan(washington_frame.root, gravity="nominal")
    frame = plan.load(plan.splits["train"][0])
    assert frame.name == "apple_1_1_7"
    assert frame.intrinsics == (570.3, 570.3, 319 - 268, 239 - 210)
    assert frame.gravity == pytest.approx((0, np.cos(np.pi / 6), 0.5))
    assert frame.rgb == Path(f"{stem}_crop.png").read_bytes()
    assert frame.depth == Path(f"{stem}_depthcrop.png").read_bytes()
    assert (frame.units_per_metre, frame.label, frame.instance) == (1000.0, 0, 0)


def test_full_frame_without_mask(washington_frame):
    stem = washington_frame("water_bottle_1", 2, 3, cropped=False)
    os.remove(f"{stem}_mask.png")
    plan = washington.plan(washington_frame.root)
    frame = plan.load(plan.splits["train"][0])
    assert frame.intrinsics == (570.3, 570.3, 319, 239)
    assert plan.classes == ["water_bottle"]
    assert np.degrees(np.arctan2(frame.gravity[2], frame.gravity[1])) == pytest.approx(40, abs=1)


def test_every_goes_by_frame_number(two_categories):
    plan = washington.plan(two_categories.root, split="instance", every=2, gravity="nominal")
    assert [name for name in _names(plan, "test") if "apple_10" in name] == ["apple_10_2_1", "apple_10_2_11"]


def test_category_split_holds_out_one_instance_each(two_categories):
    plan = washington.plan(two_categories.root, every=1, gravity="nominal")
    assert plan.classes == ["apple", "ball"]
    assert plan.instances == ["apple_1", "apple_2", "apple_10", "ball_1", "ball_2"]
    test = {reference.instance for reference in plan.splits["test"]}
    assert len(test) == 2 and {name.split("_")[0] for name in test} == {"apple", "ball"}
    assert not test & {reference.instance for reference in plan.splits["train"]}
    assert _names(plan, "test") == _names(washington.plan(two_categories.root, every=1), "test")
    for name, frame in _load_all(plan).items():
        assert plan.classes[frame.label] == name.split("_")[0]
        assert name.startswith(plan.instances[frame.instance] + "_")


@pytest.mark.parametrize(
    "text",
    [
        "***** Starting Trial 1 *****\n\napple_10\nball_2\n\n***** Starting Trial 2 *****\n\napple_1\nball_1\n",
        "apple_10\nball_2\n",
    ],
)
def test_listed_test_instances(two_categories, text):
    Path(two_categories.root, "testinstance_ids.txt").write_text(text)
    plan = washington.plan(two_categories.root, gravity="nominal")
    assert {reference.instance for reference in plan.splits["test"]} == {"apple_10", "ball_2"}


def test_listed_test_instances_must_cover_each_category(two_categories):
    Path(two_categories.root, "testinstance_ids.txt").write_text("apple_10\n")
    with pytest.raises(UserError, match=r"testinstance_ids.txt names no instance of 'ball'"):
        washington.plan(two_categories.root)


def test_single_instance_stays_in_training(two_categories):
    two_categories("cap_1", 1, 1)
    plan = washington.plan(two_categories.root, gravity="nominal")
    assert "cap_1_1_1" in _names(plan, "train")
    assert plan.excluded == {"categories without test frames (one instance only)": 1}


def test_instance_split(two_categories):
    two_categories("cap_1", 1, 1)
    two_categories("apple_1", 3, 1)
    plan = washington.plan(two_categories.root, split="instance", every=1, gravity="nominal")
    assert plan.classes == plan.instances == ["apple_1", "apple_2", "apple_10", "ball_1", "ball_2"]
    assert {reference.video for reference in plan.splits["train"]} == {1, 4}
    assert {reference.video for reference in plan.splits["test"]} == {2}
    assert plan.excluded == {
        "instances without training or without test videos": 1,
        "frames of videos other than 1, 2 and 4": 1,
    }
    assert all(frame.label == frame.instance for frame in _load_all(plan).values())


def test_instance_split_without_any_complete_instance(washington_frame):
    washington_frame("cap_1", 1, 1)
    with pytest.raises(UserError, match="`split=category`"):
        washington.plan(washington_frame.root, split="instance")


def test_validation_takes_the_end_of_each_sequence(two_categories):
    plan = washington.plan(two_categories.root, "instance", every=1, gravity="nominal", val_fraction=0.25)
    assert set(_names(plan, "val")) == {f"{name}_{video}_101" for name in plan.instances for video in (1, 4)}
    assert not set(_names(plan, "val")) & set(_names(plan, "train"))


def test_validation_takes_whole_instances_where_every_category_can_spare_one(two_categories):
    two_categories("ball_3", 1, 1)
    plan = washington.plan(two_categories.root, every=1, gravity="nominal", val_fraction=0.1)
    by_split = {split: {r.instance for r in references} for split, references in plan.splits.items()}
    assert {split: len(instances) for split, instances in by_split.items()} == {"train": 2, "val": 2, "test": 2}
    assert len(set.union(*by_split.values())) == 6


def test_validation_falls_back_to_blocks(two_categories):
    plan = washington.plan(two_categories.root, every=1, gravity="nominal", val_fraction=0.25)
    assert all(name.endswith("_101") for name in _names(plan, "val"))


def test_table_gravity(washington_frame):
    for number in range(3):
        washington_frame("apple_1", 1, number, degrees=24)
        washington_frame("apple_1", 2, number, degrees=34)
        washington_frame("apple_2", 2, number, degrees=34.4)
    plan = washington.plan(washington_frame.root, every=1)
    for frame in _load_all(plan).values():
        expected = {"apple_1_1": 24, "apple_1_2": 34, "apple_2_2": 34.4}[frame.name.rsplit("_", 1)[0]]
        assert np.linalg.norm(frame.gravity) == pytest.approx(1)
        true = [0, np.cos(np.radians(expected)), np.sin(np.radians(expected))]
        assert np.degrees(np.arccos(min(1, np.dot(frame.gravity, true)))) < 1
    assert plan.gravity["mode"] == "table"
    assert plan.gravity["degrees"]["apple_1"]["1"] == pytest.approx(24, abs=1)
    assert plan.gravity["sequences"] == {"measured": 3}


def test_table_gravity_falls_back_to_other_instances_then_to_nominal(washington_frame):
    washington_frame("apple_1", 1, 1, degrees=24)
    for instance, video in (("apple_2", 1), ("apple_2", 4), ("apple_2", 3)):
        stem = washington_frame(instance, video, 1)
        cv2.imwrite(f"{stem}_depthcrop.png", np.zeros((60, 70), np.uint16))
    plan = washington.plan(washington_frame.root)
    frames = _load_all(plan)
    assert frames["apple_2_1_1"].gravity == frames["apple_1_1_1"].gravity
    assert frames["apple_2_4_1"].gravity == pytest.approx((0, 0.5, np.cos(np.pi / 6)))
    assert frames["apple_2_3_1"].gravity == (0, 0, 0)
    assert plan.gravity["sequences"] == {"measured": 1, "from other instances": 1, "nominal": 1, "unknown": 1}


def test_estimated_gravity(washington_frame):
    washington_frame("apple_1", 2, 1, degrees=40, cropped=False)
    plan = washington.plan(washington_frame.root, gravity="estimate")
    gravity = plan.load(plan.splits["train"][0]).gravity
    assert np.linalg.norm(gravity) == pytest.approx(1, abs=1e-4)
    assert np.degrees(np.arctan2(gravity[2], gravity[1])) == pytest.approx(40, abs=1)
    assert plan.gravity == {"mode": "estimate"}


def _truncate(path):
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: len(content) // 2])


def _as_folder(path):
    os.remove(path)
    os.mkdir(path)


def _as_tiff(path):
    Path(path).write_bytes(cv2.imencode(".tiff", np.ones((60, 70), np.uint16))[1].tobytes())


@pytest.mark.parametrize(
    ("suffix", "damage", "message"),
    [
        ("_depthcrop.png", os.remove, "_depthcrop.png is missing"),
        ("_loc.txt", os.remove, "_loc.txt is missing"),
        ("_crop.png", os.remove, "_crop.png is missing"),
        ("_depthcrop.png", _as_folder, "_depthcrop.png cannot be read"),
        ("_depthcrop.png", _as_tiff, "_depthcrop.png is not a PNG file, whatever its name"),
        ("_crop.png", _as_tiff, "_crop.png is not a PNG or JPEG file, whatever its name"),
        ("_crop.png", _truncate, "_crop.png is not a readable image"),
        ("_depthcrop.png", _truncate, "_depthcrop.png is not a readable image"),
        ("_depthcrop.png", lambda path: Path(path).write_bytes(b""), "_depthcrop.png is not a readable image"),
        ("_depthcrop.png", lambda path: cv2.imwrite(path, np.ones((60, 70), np.uint8)), "not a 16-bit image"),
        ("_depthcrop.png", lambda path: cv2.imwrite(path, np.ones((60, 70, 3), np.uint16)), "of one channel"),
        (
            "_depthcrop.png",
            lambda path: cv2.imwrite(path, np.ones((61, 70), np.uint16)),
            "depthcrop.* 70x61 but .* 70x60",
        ),
        ("_crop.png", lambda path: cv2.imwrite(path, np.ones((60, 70, 3), np.uint16)), "not an 8-bit image"),
        ("_loc.txt", lambda path: Path(path).write_text("here"), "_loc.txt does not hold the crop's corner"),
    ],
)
def test_bad_files_are_named(washington_frame, suffix, damage, message):
    stem = washington_frame("apple_1", 1, 1)
    plan = washington.plan(washington_frame.root, gravity="nominal")
    damage(stem + suffix)
    with pytest.raises(UserError, match=message) as error:
        plan.load(plan.splits["train"][0])
    assert stem + suffix in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", ["_depthcrop.png", "_maskcrop.png", "_crop.png", "_loc.txt"])
def test_a_damaged_frame_does_not_keep_the_table_of_the_others_from_being_found(washington_frame, suffix):
    stems = [washington_frame("apple_1", 1, number) for number in (1, 2, 3)]
    whole = washington.plan(washington_frame.root, every=1)
    _truncate(stems[1] + suffix)
    plan = washington.plan(washington_frame.root, every=1)
    assert _names(plan, "train") == _names(whole, "train")
    assert plan.gravity["degrees"]["apple_1"]["1"] == pytest.approx(whole.gravity["degrees"]["apple_1"]["1"], abs=0.5)


def test_depth_without_its_color_image_is_named(washington_frame):
    stems = [washington_frame("apple_1", 1, number) for number in (1, 2)]
    os.remove(f"{stems[1]}_crop.png")
    plan = washington.plan(washington_frame.root, every=1)
    assert _names(plan, "train") == ["apple_1_1_1", "apple_1_1_2"]
    with pytest.raises(UserError, match=f"{stems[1]}_crop.png is missing"):
        plan.load(plan.splits["train"][1])


def test_depth_entirely_missing_is_legal(washington_frame):
    stem = washington_frame("apple_1", 1, 1)
    cv2.imwrite(f"{stem}_depthcrop.png", np.zeros((60, 70), np.uint16))
    plan = washington.plan(washington_frame.root)
    assert plan.load(plan.splits["train"][0]).gravity == pytest.approx((0, np.cos(np.pi / 6), 0.5))


def test_bad_roots_are_named(tmp_path):
    with pytest.raises(UserError, match=r"`input=.*nowhere` is not a folder"):
        washington.plan(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=f"`input={tmp_path}` holds no <category>/<instance>"):
        washington.plan(str(tmp_path))


@pytest.mark.skipif(not PACK.exists(), reason="the real frames are not beside the repository")
def test_real_frames(tmp_path):
    with tarfile.open(PACK) as pack:
        wanted = ("/apple_1/", "/ball_2/", "/bowl_1/")
        members = [member for member in pack if any(name in member.name for name in wanted)]
        pack.extractall(tmp_path, members=members, filter="data")
    plan = washington.plan(str(tmp_path / "rgbd-dataset"), split="instance", every=1)
    assert plan.classes == ["apple_1", "ball_2"]
    assert {name: len(references) for name, references in plan.splits.items()} == {"train": 82 + 107, "test": 40 + 51}
    for degrees in plan.gravity["degrees"].values():
        assert 22 < degrees["1"] < 26
        assert degrees["2"] == pytest.approx(33.8, abs=0.7)
        assert degrees["4"] == pytest.approx(57.2, abs=0.7)
    frame = plan.load(plan.splits["train"][0])
    assert (frame.name, frame.intrinsics[2:]) == ("apple_1_1_1", (320 - 276, 240 - 212))
