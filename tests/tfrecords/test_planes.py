import numpy as np
import pytest

from tfrecords import planes

INTRINSICS = (570.3, 570.3, 50.0, 28.0)
GRAVITY = np.array([0.1, 0.8, 0.59])
GRAVITY /= np.linalg.norm(GRAVITY)


def _plane(normal, distance, size=(60, 70)):
    fx, fy, cx, cy = INTRINSICS
    y, x = np.mgrid[: size[0], : size[1]]
    return distance / (normal[0] * (x - cx) / fx + normal[1] * (y - cy) / fy + normal[2])


def _angle(a, b):
    return np.degrees(np.arccos(np.clip(a @ b, -1, 1)))


def test_finds_the_plane_under_noise_holes_and_an_object():
    random = np.random.default_rng(0)
    depth = _plane(GRAVITY, 0.5)
    depth += random.normal(0, 0.0014, depth.shape) * depth**2
    depth[20:40, 20:50] -= 0.08
    depth[random.random(depth.shape) < 0.3] = 0
    normal = planes.support_normal(depth, INTRINSICS, np.ones(depth.shape, bool), np.array([0, 0.8, 0.6]))
    assert _angle(normal, GRAVITY) < 1
    assert np.linalg.norm(normal) == pytest.approx(1)


def test_a_wall_is_no_support():
    wall = _plane(np.array([0.0, -0.05, 1.0]), 1.0)
    assert planes.support_normal(wall, INTRINSICS, np.ones(wall.shape, bool), np.array([0, 0.9, 0.44])) is None


def test_too_few_pixels():
    depth = _plane(GRAVITY, 0.5)
    valid = np.zeros(depth.shape, bool)
    valid[:4] = True
    assert planes.support_normal(depth, INTRINSICS, valid, GRAVITY) is None
    assert planes.support_normal(np.zeros(depth.shape), INTRINSICS, ~valid, GRAVITY) is None
