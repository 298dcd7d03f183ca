"""HHA of real frames: the turntable, a horizontal plane, as it comes out of what users build and encode."""

import cv2
import numpy as np
import pytest

from benchmarks import hha_numpy
from keras_simsiam.depth import hha
from tfrecords import images
from tfrecords.sources import washington

INSTANCES = ("/apple_2/", "/ball_2/", "/bowl_1/", "/cereal_box_1/")


@pytest.fixture(scope="module")
def frames(unpack):
    """(depth, frame, pixels beside the object) of every tenth frame, planned with --gravity=table."""
    folder = unpack("uw-rgbd-mini.tar.xz", INSTANCES)
    plan = washington.plan(str(folder / "rgbd-dataset"), every=10, gravity="table")
    return [_load(plan, reference) for references in plan.splits.values() for reference in references]


def _load(plan, reference):
    frame = plan.load(reference)
    depth = cv2.imdecode(np.frombuffer(frame.depth, np.uint8), cv2.IMREAD_UNCHANGED) / frame.units_per_metre
    return depth.astype(np.float32), frame, (depth > 0) & ~images.read_mask(reference.mask_path, depth.shape)


def _tilt_of_heights(centimetres, ground):
    """Degrees by which the plane tilts on which most of the heights lie, above points `ground` `[N, 2]` in metres."""
    design = np.column_stack([ground, np.ones(len(ground))])
    inside = np.abs(centimetres - np.median(centimetres)) < 3
    for centimetre in (2, 1, 1, 1):
        plane = np.linalg.lstsq(design[inside], centimetres[inside] / 100, rcond=None)[0]
        inside = np.abs(design @ plane - centimetres / 100) < centimetre / 100
    return np.degrees(np.arctan(np.hypot(*plane[:2])))


def _on_the_ground(depth, intrinsics, down):
    """Where points lie when seen from above: their coordinates along two axes across gravity, `[H, W, 2]`."""
    fx, fy, cx, cy = intrinsics
    y, x = np.indices(depth.shape)
    points = np.stack([(x - cx) / fx * depth, (y - cy) / fy * depth, depth], axis=-1)
    right = np.cross(down, (0, 0, 1)) / np.linalg.norm(np.cross(down, (0, 0, 1)))
    return points @ np.stack([right, np.cross(down, right)], axis=1)


def test_the_table_is_level(frames):
    tilts, angles = [], []
    for depth, frame, beside in frames:
        image = hha.encode(depth, frame.intrinsics, frame.gravity).numpy()
        angles.append(np.median(image[beside][:, 2]) - hha.ANGLE_OFFSET)
        tilts.append(
            _tilt_of_heights(image[beside][:, 1], _on_the_ground(depth, frame.intrinsics, frame.gravity)[beside])
        )
    level = f"median {np.median(tilts):.2f}°, 95 % {np.percentile(tilts, 95):.2f}°"
    print(f"{len(tilts)} frames: {level}; pixel by pixel {np.median(angles):.1f}°")
    assert len(tilts) > 15
    assert np.median(tilts) < 3


def test_the_spread_of_its_normals_is_the_sensors(frames):
    """Pixel by pixel the angle of a table 1 m away is several degrees off; so it is by the published normals."""
    for depth, frame, beside in frames[::12]:
        angle = hha.encode(depth, frame.intrinsics, frame.gravity)[..., 2].numpy()
        published = hha_numpy.encode(depth, frame.intrinsics, np.array(frame.gravity))[..., 2]
        assert np.median(angle[beside]) == pytest.approx(np.median(published[beside]), abs=0.1)
