import os
import pickle
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import io

from keras_simsiam.core.errors import UserError
from tfrecords import example
from tfrecords.sources import sunrgbd

SIZE = (12, 16)
NAMES = [
    "kv1/NYUdata/NYU0001",
    "kv2/kinect2data/000002_2014-05-26_14-23-37_260595134347_rgbf000103-resize",
    "realsense/sa/2014_10_21-18_16_30-1311000073",
    "xtion/sun3ddata/brown_bm_1/brown_bm_1/frame_1",
]


def rotate(millimetres):
    """The bits of one number, rotated left by three, as text: no shifting."""
    bits = format(millimetres, "016b")
    return int(bits[3:] + bits[:3], 2)


def tilt(pitch, roll):
    """The rotation that levels a camera which looks `pitch` degrees down and is rolled by `roll`."""
    (cp, sp), (cr, sr) = ((np.cos(np.radians(a)), np.sin(np.radians(a))) for a in (pitch, roll))
    return np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]]) @ np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])


@pytest.fixture
def write(tmp_path):
    """A function that writes the folder of a frame with random images and gives its path and its millimetres."""

    def write(name, scene="office", rotation=None):
        folder = tmp_path / "SUNRGBD" / name
        random = np.random.default_rng(len(name))
        millimetres = random.integers(0, 8000, SIZE)
        for inner in ("image", "depth", "depth_bfx", "extrinsics", "fullres"):
            (folder / inner).mkdir(parents=True)
        cv2.imwrite(str(folder / "image" / "a.jpg"), random.integers(0, 256, (*SIZE, 3), np.uint8))
        cv2.imwrite(str(folder / "depth_bfx" / "a.png"), np.vectorize(rotate)(millimetres).astype(np.uint16))
        cv2.imwrite(str(folder / "depth" / "a.png"), np.full(SIZE, rotate(1234), np.uint16))
        (folder / "intrinsics.txt").write_text("518.8 0.0 284.5 0.0 519.4 208.7 0.0 0.0 1.0")
        matrix = np.hstack([tilt(20, 3) if rotation is None else rotation, np.zeros((3, 1))])
        np.savetxt(folder / "extrinsics" / "20140808220511.txt", matrix)
        np.savetxt(folder / "extrinsics" / "20130101000000.txt", np.eye(3, 4))
        (folder / "scene.txt").write_text(f"{scene}\n")
        return folder, millimetres

    write.root = str(tmp_path / "SUNRGBD")
    return write


def _write_split(write, train, test, **options):
    path = Path(write.root, "..", "SUNRGBDtoolbox", "traintestSUNRGBD", "allsplit.mat")
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = {
        name: np.array([f"/n/fs/sun3d/data/SUNRGBD/{entry}/" for entry in entries], object)
        for name, entries in (("alltrain", train), ("alltest", test))
    }
    io.savemat(path, cells, **options)
    return str(path)


def _only(plan):
    plan = pickle.loads(pickle.dumps(plan))
    return plan.load(plan.splits["train"][0])


def test_real_frame(unpack, tmp_path):
    source = unpack("rgbd_frames.tar.xz", ["frames/sun"]) / "rgbd_frames" / "sun"
    folder = tmp_path / "SUNRGBD" / "xtion" / "sun3ddata" / "SUN"
    shutil.copytree(source / "color", folder / "image")
    shutil.copytree(source / "depth", folder / "depth_bfx")
    (folder / "intrinsics.txt").write_text("525 0 320.5\n0 525 240.5\n0 0 1\n")
    frame = _only(sunrgbd.plan(str(tmp_path / "SUNRGBD"), split="all"))
    sample = example.decode(tf.constant(example.encode(frame)))
    stored = np.array(Image.open(source / "depth" / "SUN_depth.png")).astype(int)
    millimetres = stored // 8 + stored % 8 * 8192
    np.testing.assert_allclose(sample["depth"], millimetres / 1000, atol=1e-6)
    assert 0.5 < np.median(millimetres[millimetres > 0]) / 1000 < 5
    assert frame.rgb == (source / "color" / "SUN_color.jpg").read_bytes()
    assert frame.intrinsics == (525.0, 525.0, 319.5, 239.5)
    assert frame.gravity == (0, 0, 0) and frame.label == -1


def test_a_frame_by_hand(write):
    folder, millimetres = write(NAMES[0])
    plan = sunrgbd.plan(write.root, split="all")
    frame = _only(plan)
    sample = example.decode(tf.constant(example.encode(frame)))
    assert frame.name == NAMES[0] and plan.classes == ["office"] and (frame.label, frame.instance) == (0, -1)
    np.testing.assert_allclose(sample["depth"], millimetres / 1000, atol=1e-6)
    assert frame.rgb == (folder / "image" / "a.jpg").read_bytes()
    assert frame.intrinsics == pytest.approx((518.8, 519.4, 283.5, 207.7))
    assert plan.gravity == {"mode": "extrinsics"}


def test_measured_depth(write):
    write(NAMES[0])
    sample = example.decode(tf.constant(example.encode(_only(sunrgbd.plan(write.root, split="all", depth="raw")))))
    np.testing.assert_allclose(sample["depth"], np.full(SIZE, 1.234), atol=1e-6)


def test_every_16_bit_value_is_rotated_back():
    values = np.arange(65536).astype(np.uint16)
    np.testing.assert_array_equal(sunrgbd.unrotate(np.vectorize(rotate)(values).astype(np.uint16)), values)


@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (20, 0), (0, 10), (-15, 5), (50, -30)])
def test_gravity_levels_the_point_cloud_as_the_toolbox_does(pitch, roll):
    extrinsics = tilt(pitch, roll)
    # readframeSUNRGBD.m and read3dPoints.m: points (x, z, -y), turned by Rtilt, have their third axis upwards.
    rtilt = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]) @ extrinsics @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    x, y, z = sunrgbd.down(extrinsics)
    np.testing.assert_allclose(rtilt @ [x, z, -y], [0, 0, -1], atol=1e-12)


def test_a_camera_that_looks_down_sees_gravity_ahead(write):
    write(NAMES[0], rotation=tilt(20, 0))
    gravity = _only(sunrgbd.plan(write.root, split="all")).gravity
    np.testing.assert_allclose(gravity, [0, np.cos(np.radians(20)), np.sin(np.radians(20))], atol=1e-7)


def test_a_floor_seen_by_a_tilted_camera_is_level():
    """A floor 1.4 m below the camera, rendered by rays: along gravity all its points are equally low."""
    rotation = tilt(35, -8)
    rays = np.stack([*np.meshgrid(np.linspace(-0.5, 0.5, 9), np.linspace(-0.3, 0.4, 7)), np.ones((7, 9))], axis=-1)
    downward = (rays @ rotation.T)[..., 1]
    points = rays * (1.4 / downward)[..., None]
    np.testing.assert_allclose(points @ sunrgbd.down(rotation), 1.4)


@pytest.mark.parametrize("format", ["5", "7.3"])
def test_official_split(write, format):
    for name in NAMES:
        write(name, scene="kitchen" if "kv" in name else "bedroom")
    path = _write_split(write, [NAMES[0], NAMES[3], "kv2/not/there"], [NAMES[1]])
    if format == "7.3":
        _as_hdf5(path)
    plan = sunrgbd.plan(write.root)
    assert plan.splits == {"train": [NAMES[0], NAMES[3]], "test": [NAMES[1]]}
    assert plan.excluded == {"frames in neither list": 1, "listed frames that are not there": 1}
    assert plan.classes == ["bedroom", "kitchen"]
    assert [plan.load(name).label for name in plan.splits["train"]] == [1, 0]
    assert sunrgbd.plan(str(Path(write.root).parent), splits_file=path).splits["test"] == [f"SUNRGBD/{NAMES[1]}"]


def test_a_folder_above_the_data_set_may_bear_a_sensors_name(write, tmp_path):
    for name in NAMES[:2]:
        write(name)
    path = _write_split(write, NAMES[:1], NAMES[1:2])
    shutil.copytree(write.root, tmp_path / "kv1" / "SUNRGBD")
    plan = sunrgbd.plan(str(tmp_path / "kv1"), splits_file=path)
    assert plan.splits == {"train": [f"SUNRGBD/{NAMES[0]}"], "test": [f"SUNRGBD/{NAMES[1]}"]}


def _as_hdf5(path):
    content = io.loadmat(path, simplify_cells=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name in ("alltrain", "alltest"):
            texts = np.ravel(content[name])
            cells = file.create_dataset(name, (len(texts), 1), h5py.ref_dtype)
            for index, text in enumerate(texts):
                letters = np.array([[ord(letter)] for letter in text], np.uint16)
                cells[index, 0] = file.create_dataset(f"#refs#/{name}{index}", data=letters).ref


def test_validation_frames_are_drawn_from_the_training_frames(write):
    for index in range(10):
        write(f"kv1/NYUdata/NYU{index:04}")
    _write_split(write, [f"kv1/NYUdata/NYU{index:04}" for index in range(8)], ["kv1/NYUdata/NYU0008"])
    plan = sunrgbd.plan(write.root, val_fraction=0.25, seed=3)
    assert {name: len(references) for name, references in plan.splits.items()} == {"train": 6, "test": 1, "val": 2}
    assert len({name for references in plan.splits.values() for name in references}) == 9


def test_a_frame_without_scene_or_extrinsics(write):
    folder, _ = write(NAMES[0])
    os.remove(folder / "scene.txt")
    shutil.rmtree(folder / "extrinsics")
    plan = sunrgbd.plan(write.root, split="all")
    frame = _only(plan)
    assert plan.classes == [] and frame.label == -1 and frame.gravity == (0, 0, 0)


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("image/a.jpg", os.remove, r"image/\*\.jpg is missing"),
        ("depth_bfx/a.png", os.remove, r"depth_bfx/\*\.png is missing"),
        ("depth_bfx/a.png", lambda path: Path(path).write_bytes(Path(path).read_bytes()[:80]), "not a readable image"),
        ("depth_bfx/a.png", lambda path: cv2.imwrite(path, np.ones(SIZE, np.uint8)), "is not a 16-bit image"),
        ("depth_bfx/a.png", lambda path: cv2.imwrite(path, np.ones((9, 16), np.uint16)), "is 16x9 but .* 16x12"),
        (
            "depth_bfx/a.png",
            lambda path: cv2.imwrite(path, np.arange(1001, 1193).reshape(SIZE).astype(np.uint16)),
            "does not hold SUN RGB-D's rotated bits",
        ),
        ("intrinsics.txt", os.remove, r"intrinsics\.txt is missing"),
        ("intrinsics.txt", lambda path: Path(path).write_text("1 2 3"), r"intrinsics\.txt does not hold 3x3 numbers"),
        ("intrinsics.txt", lambda path: Path(path).write_text("0 0 9 0 5 9 0 0 1"), "holds no camera matrix"),
        ("extrinsics/20140808220511.txt", lambda path: Path(path).write_text("up"), "does not hold 3x4 numbers"),
        (
            "extrinsics/20140808220511.txt",
            lambda path: np.savetxt(path, np.ones((3, 4))),
            r"20140808220511\.txt holds no rotation",
        ),
    ],
)
def test_a_bad_frame_is_named_when_it_is_loaded(write, file, damage, message):
    folder, _ = write(NAMES[1])
    plan = sunrgbd.plan(write.root, split="all")
    damage(str(folder / file))
    with pytest.raises(UserError, match=message) as error:
        _only(plan)
    assert str(folder) in str(error.value) and "\n" not in str(error.value)


def test_a_bad_layout_is_named(write, tmp_path):
    with pytest.raises(UserError, match="none` is not a folder"):
        sunrgbd.plan(str(tmp_path / "none"), split="all")
    with pytest.raises(UserError, match="holds no frame"):
        sunrgbd.plan(str(tmp_path), split="all")
    write(NAMES[0])
    with pytest.raises(UserError, match=r"allsplit\.mat is missing: .* `split=all`"):
        sunrgbd.plan(write.root)
    with pytest.raises(UserError, match="`splits_file` has no meaning"):
        sunrgbd.plan(write.root, split="all", splits_file="allsplit.mat")
    with pytest.raises(UserError, match="names no frames of"):
        sunrgbd.plan(write.root, splits_file=_write_split(write, [NAMES[1]], [NAMES[2]]))
