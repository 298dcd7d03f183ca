import os
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_simsiam.core.errors import UserError
from keras_simsiam.depth import normals
from tfrecords import example
from tfrecords.sources import tum

SIZE = (12, 16)


@pytest.fixture
def write(tmp_path):
    """A function that writes a sequence with colour and depth images at these times (seconds)."""

    def write(colors, depths, name="rgbd_dataset_freiburg1_desk"):
        folder = tmp_path / name
        random = np.random.default_rng(0)
        for kind, times, shape, dtype in (("rgb", colors, (*SIZE, 3), np.uint8), ("depth", depths, SIZE, np.uint16)):
            (folder / kind).mkdir(parents=True)
            lines = ["# images", "# timestamp filename"]
            for time in times:
                cv2.imwrite(f"{folder}/{kind}/{time:.6f}.png", random.integers(0, 60000, shape).astype(dtype))
                lines.append(f"{time:.6f} {kind}/{time:.6f}.png")
            (folder / f"{kind}.txt").write_text("\n".join(lines) + "\n")
        return folder

    return write


def _load_all(plan):
    plan = pickle.loads(pickle.dumps(plan))
    return [plan.load(reference) for references in plan.splits.values() for reference in references]


def _reference_associate(first, second):
    """The benchmark's algorithm: all candidates, the nearest first, each time once."""
    candidates = sorted((abs(a - b), a, b) for a in first for b in second if abs(a - b) < 0.02)
    first, second, pairs = set(first), set(second), []
    for _, a, b in candidates:
        if a in first and b in second:
            first.remove(a)
            second.remove(b)
            pairs.append((a, b))
    return sorted(pairs)


def test_real_frames(unpack):
    folder = unpack("rgbd_frames.tar.xz", ["tum_fr1_desk"]) / "rgbd_frames" / "tum_fr1_desk"
    plan = tum.plan(str(folder))
    lines = [line.split() for line in (folder / "associations.txt").read_text().splitlines()]
    assert [len(references) for references in plan.splits.values()] == [7] == [len(lines)]
    for reference, (time, color, _, depth) in zip(plan.splits["train"], lines, strict=True):
        frame = plan.load(reference)
        sample = example.decode(tf.constant(example.encode(frame)))
        assert frame.name == f"tum_fr1_desk/{time}"
        np.testing.assert_allclose(sample["depth"], np.array(Image.open(folder / depth)) / 5000.0, atol=1e-6)
        np.testing.assert_array_equal(sample["rgb"], np.array(Image.open(folder / color)))
        assert frame.rgb == (folder / color).read_bytes() and frame.depth == (folder / depth).read_bytes()
        assert frame.intrinsics == (517.3, 516.5, 318.6, 255.3)
        assert (frame.label, frame.instance) == (-1, 0)
        found, valid = (
            x.numpy() for x in normals.plane_normals(sample["depth"], sample["intrinsics"], None, radius=10)
        )
        found = found[:, valid].T
        level = found[found @ frame.gravity > np.cos(np.radians(15))]
        assert len(level) > 0.4 * np.count_nonzero(valid)  # desks and floor
        assert np.degrees(np.arccos(frame.gravity @ level.mean(0) / np.linalg.norm(level.mean(0)))) < 4
    assert plan.instances == ["tum_fr1_desk"] and not plan.excluded
    assert plan.gravity == {"mode": "groundtruth", "unknown": 0}


@pytest.mark.parametrize(
    ("quaternion", "gravity"),
    [
        ((1, 0, 0, 0), (0, 0, 1)),  # half a turn about x: the camera looks straight down
        ((-1, 0, 0, 1), (0, 1, 0)),  # a quarter of a turn about x: it looks ahead, along the world's y
        ((0, 0, 0, 2), (0, 0, -1)),  # the world's own axes: it looks straight up
        ((0.5, -0.5, 0.5, -0.5), (0, 1, 0)),  # ahead, along the world's x
        ((0, 1, 0, 1), (1, 0, 0)),  # lying on its right side
    ],
)
def test_gravity_of_a_pose(write, quaternion, gravity):
    folder = write([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    poses = [(0.9, 0, 0, 0, 1), (1.99, *quaternion), (2.03, 0, 0, 1, 1), (3.03, 0, 0, 0, 1)]
    lines = ["# timestamp tx ty tz qx qy qz qw"] + [f"{time} 1 2 3 {' '.join(map(str, pose))}" for time, *pose in poses]
    (folder / "groundtruth.txt").write_text("\n".join(lines) + "\n")
    plan = tum.plan(str(folder))
    assert plan.gravity == {"mode": "groundtruth", "unknown": 2}
    first, second, third = (frame.gravity for frame in _load_all(plan))
    assert first == third == (0, 0, 0)
    np.testing.assert_allclose(second, gravity, atol=1e-12)


@pytest.mark.parametrize("text", ["", "1 2 3", "1 0 0 0 0 0 0 0", "1 0 0 0 a 0 0 1", "1 0 0 0 nan 0 0 1", "1 2\n1 2 3"])
def test_bad_poses_are_named(write, text):
    folder = write([1.0], [1.0])
    (folder / "groundtruth.txt").write_text(text)
    with pytest.raises(UserError, match=r"groundtruth\.txt does not hold poses"):
        tum.plan(str(folder))


def test_times_are_paired_as_the_benchmark_does():
    random = np.random.default_rng(1)
    for _ in range(20):
        colors, depths = (sorted(random.uniform(0, 1, 40).round(6).tolist()) for _ in range(2))
        assert tum.associate(colors, depths) == _reference_associate(colors, depths)
    assert tum.associate([1.0], [1.02, 0.98]) == []  # associate.py takes what is nearer than 0.02 s
    assert tum.associate([1.0, 1.01], [1.009]) == [(1.01, 1.009)]


def test_frames_without_partner_are_counted(write):
    folder = write([1.0, 1.033, 1.066, 1.1], [1.005, 1.07, 1.5])
    plan = tum.plan(str(folder))
    assert [frame.name.rsplit("/", 1)[1] for frame in _load_all(plan)] == ["1.000000", "1.066000"]
    assert plan.excluded == {"colour images without depth within 0.02 s": 2}
    assert plan.gravity == {"mode": "unknown", "unknown": 2}


@pytest.mark.parametrize(
    ("name", "intrinsics"),
    [
        ("rgbd_dataset_freiburg1_desk", (517.3, 516.5, 318.6, 255.3)),
        ("rgbd_dataset_freiburg2_xyz", (520.9, 521.0, 325.1, 249.7)),
        ("fr3_office", (535.4, 539.2, 320.1, 247.6)),
    ],
)
def test_the_camera_is_known_by_the_folders_name(write, name, intrinsics):
    frame = _load_all(tum.plan(str(write([1.0], [1.0], name))))[0]
    assert frame.intrinsics == intrinsics and frame.units_per_metre == 5000


def test_a_camera_file_goes_before_the_name(write):
    folder = write([1.0], [1.0])
    (folder / "camera.json").write_text('{"fx": 9, "fy": 8, "cx": 7, "cy": 6, "units_per_metre": 1000}')
    frame = _load_all(tum.plan(str(folder)))[0]
    assert frame.intrinsics == (9, 8, 7, 6) and frame.units_per_metre == 1000


@pytest.mark.parametrize("name", ["my_desk", "freiburg4_desk", "freiburg12", "afr1"])
def test_an_unknown_camera_is_asked_for(write, name):
    with pytest.raises(UserError, match=rf"{name} names none of the cameras .*: put a camera\.json"):
        tum.plan(str(write([1.0], [1.0], name)))


def test_several_sequences_are_thinned_and_held_out_each_by_itself(write, tmp_path):
    times = [1 + 0.1 * index for index in range(10)]
    write(times, times, "b/freiburg2_xyz")
    write(times, times, "a/freiburg1_desk")
    plan = tum.plan(str(tmp_path), every=2, val_fraction=0.2)
    names = {split: [reference.name for reference in references] for split, references in plan.splits.items()}
    assert plan.instances == ["a/freiburg1_desk", "b/freiburg2_xyz"]
    assert names["val"] == ["a/freiburg1_desk/1.800000", "b/freiburg2_xyz/1.800000"]
    assert names["train"][:4] == [f"a/freiburg1_desk/{time:.6f}" for time in (1.0, 1.2, 1.4, 1.6)]
    assert [frame.instance for frame in _load_all(plan)] == [0] * 4 + [1] * 4 + [0, 1]


def _truncate(path):
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("depth", os.remove, "1.000000.png is missing"),
        ("rgb", os.remove, "1.000000.png is missing"),
        ("depth", _truncate, "is not a readable image"),
        ("depth", lambda path: cv2.imwrite(path, np.ones(SIZE, np.uint8)), "is not a 16-bit image"),
        ("depth", lambda path: cv2.imwrite(path, np.ones((13, 16), np.uint16)), "is 16x13 but .* 16x12"),
    ],
)
def test_a_bad_frame_is_named_when_it_is_loaded(write, file, damage, message):
    folder = write([1.0], [1.0])
    plan = tum.plan(str(folder))
    damage(f"{folder}/{file}/1.000000.png")
    with pytest.raises(UserError, match=message) as error:
        plan.load(plan.splits["train"][0])
    assert f"{folder}/{file}/1.000000.png" in str(error.value) and "\n" not in str(error.value)


def test_a_camera_of_another_size_is_refused(write):
    folder = write([1.0], [1.0])
    (folder / "camera.json").write_text('{"fx": 9, "fy": 8, "cx": 7, "cy": 6, "width": 640, "height": 480}')
    plan = tum.plan(str(folder))
    with pytest.raises(UserError, match=r"is 16x12 but .*camera\.json says 640x480"):
        plan.load(plan.splits["train"][0])


def test_a_bad_layout_is_named(write, tmp_path):
    with pytest.raises(UserError, match=r"none` is not a folder"):
        tum.plan(str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"holds no folder with rgb\.txt and depth\.txt"):
        tum.plan(str(tmp_path))
    folder = write([1.0], [2.0])
    with pytest.raises(UserError, match=r"only colour and depth more than 0\.02 s apart"):
        tum.plan(str(folder))
    (folder / "depth.txt").write_text("1305031453.3 depth/a.png\nno time\n")
    with pytest.raises(UserError, match=r"depth\.txt: 'no time' is not 'timestamp filename'"):
        tum.plan(str(folder))
    os.remove(folder / "depth.txt")
    with pytest.raises(UserError, match=r"has only rgb\.txt"):
        tum.plan(str(folder))
    with pytest.raises(UserError, match="`split=official` is not a choice"):
        tum.plan(str(folder), split="official")
