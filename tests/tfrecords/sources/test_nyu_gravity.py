"""accelData of unknown axes: rooms are rendered, and the accelerometer turned and mirrored in several ways."""

import h5py
import numpy as np
import pytest

from keras_simsiam.core.errors import UserError
from keras_simsiam.depth import gravity
from tfrecords.sources import nyu, nyu_gravity

# The camera at a quarter of its resolution.
INTRINSICS = (129.7, 129.9, 80.8, 62.8)

AXES = [
    [[0, 1, 0], [0, 0, -1], [1, 0, 0]],
    [[1, 0, 0], [0, -1, 0], [0, 0, 1]],
    [[-1, 0, 0], [0, -1, 0], [0, 0, -1]],
]


def tilt(pitch, roll):
    """The rotation that levels a camera which looks `pitch` degrees down and is rolled by `roll`."""
    (cp, sp), (cr, sr) = ((np.cos(np.radians(a)), np.sin(np.radians(a))) for a in (pitch, roll))
    return np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]]) @ np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])


def room(rotation, intrinsics=INTRINSICS, size=(120, 160), wall=4.0):
    """Depth of a floor 1.3 m below the camera, a ceiling 1.2 m above it, walls so far in front and 2 m to the sides."""
    fx, fy, cx, cy = intrinsics
    y, x = np.mgrid[: size[0], : size[1]]
    across, down, ahead = np.moveaxis(np.stack([(x - cx) / fx, (y - cy) / fy, np.ones(size)], -1) @ rotation.T, -1, 0)
    with np.errstate(divide="ignore"):
        hits = np.stack([1.3 / down, -1.2 / down, wall / ahead, 2 / np.abs(across)])
    return np.where(hits > 0, hits, np.inf).min(axis=0)


@pytest.fixture(scope="module")
def rotations():
    random = np.random.default_rng(0)
    return [tilt(random.uniform(0, 30), random.uniform(-8, 8)) for _ in range(10)]


def _readings(rotations, axes=AXES[0], noise=0.01):
    """What an accelerometer with these axes reads, in m/s², and a tilt angle; about half a degree of noise."""
    random = np.random.default_rng(1)
    downs = np.array([rotation[1] for rotation in rotations])
    readings = 9.81 * (downs @ np.array(axes, float) + random.normal(0, noise, downs.shape))
    return np.hstack([readings, random.uniform(-31, 31, (len(readings), 1))])


def _measure(depths, accel):
    with h5py.File("any.mat", "w", driver="core", backing_store=False) as file:
        file["depths"] = np.array(depths, np.float32).swapaxes(1, 2)
        if accel is not None:
            file["accelData"] = np.array(accel).T
        return nyu_gravity.measure(file, "depths", INTRINSICS)


@pytest.mark.parametrize("axes", AXES)
def test_the_axes_are_found_from_the_scenes(rotations, axes):
    gravities, description = _measure([room(rotation) for rotation in rotations], _readings(rotations, axes))
    assert description["mode"] == "accelerometer" and description["degrees"] < 2
    assert description["columns"] == [int(row @ [1, 2, 3]) for row in np.array(axes)]
    for rotation, down in zip(rotations, gravities, strict=True):
        assert np.linalg.norm(down) == pytest.approx(1)
        assert np.degrees(np.arccos(min(1, down @ rotation[1]))) < 2.5


def test_cameras_tilted_too_far_do_not_spoil_it(rotations):
    tilted = [*rotations, tilt(52, 3), tilt(50, -5)]
    depths = [*map(room, rotations), *(room(rotation, wall=1.0) for rotation in tilted[-2:])]
    assert all(gravity.from_depth(depth, INTRINSICS)[1] > 0.1 for depth in depths)
    gravities, description = _measure(depths, _readings(tilted))
    assert description["columns"] == [2, -3, 1] and description["degrees"] < 2
    assert np.degrees(np.arccos(gravities[-1] @ tilted[-1][1])) < 2.5


def test_a_frame_without_reading_is_unknown(rotations):
    accel = _readings(rotations)
    accel[3], accel[4] = 0, np.nan
    gravities, description = _measure([room(rotation) for rotation in rotations], accel)
    assert description["mode"] == "accelerometer"
    assert np.flatnonzero(~gravities.any(axis=1)).tolist() == [3, 4]


def test_level_cameras_leave_the_axes_open():
    gravities, description = _measure([room(tilt(0, 0))] * 10, _readings([tilt(0, 0)] * 10, noise=0.0))
    assert description == {"mode": "unknown", "reason": "no axes of accelData agree with the scenes"}
    assert not gravities.any() and gravities.shape == (10, 3)


def test_readings_of_something_else_are_not_taken(rotations):
    accel = np.random.default_rng(2).normal(0, 1, (10, 4))
    assert _measure([room(rotation) for rotation in rotations], accel)[1]["mode"] == "unknown"


def test_scenes_that_show_no_gravity_leave_it_unknown(rotations):
    _, description = _measure(np.zeros((10, 120, 160)), _readings(rotations))
    assert description == {"mode": "unknown", "reason": "only 0 frames show where accelData's axes point"}


def test_a_file_without_readings():
    assert _measure(np.zeros((2, 5, 6)), None)[1] == {"mode": "unknown", "reason": "the file has no accelData"}
    assert _measure(np.zeros((2, 5, 6)), np.zeros((2, 4)))[1]["mode"] == "unknown"
    with pytest.raises(UserError, match=r"any\.mat: accelData is not \[4,2\]"):
        _measure(np.zeros((2, 5, 6)), np.zeros((2, 3)))


def test_gravity_of_whole_frames(write_nyu, rotations):
    depths = [room(rotation, nyu.INTRINSICS, (480, 640)) for rotation in rotations]
    path = write_nyu(10, depths=depths, accel=_readings(rotations))
    measured, estimated = (nyu.plan(path, "all", gravity=mode) for mode in ("accelerometer", "estimate"))
    assert measured.gravity["mode"] == "accelerometer" and estimated.gravity == {"mode": "estimate"}
    for plan, numbers, tolerance in ((measured, range(10), 2.5), (estimated, range(2), 0.5)):
        for number in numbers:
            assert np.degrees(np.arccos(min(1, plan.load(number).gravity @ rotations[number][1]))) < tolerance
