"""Back-projection and what crops and resizes do to the camera."""

import numpy as np
import pytest

from keras_simsiam.depth import camera

INTRINSICS = np.array([500.0, 510.0, 3.5, 2.25], np.float32)


def test_back_project_is_the_inverse_of_projection():
    depth = np.random.default_rng(0).uniform(0.5, 5, [2, 6, 8]).astype(np.float32)
    points = camera.back_project(depth, INTRINSICS).numpy()
    y, x = np.indices([6, 8])
    fx, fy, cx, cy = INTRINSICS
    np.testing.assert_allclose(points[..., 0] / points[..., 2] * fx + cx, np.broadcast_to(x, depth.shape), atol=1e-4)
    np.testing.assert_allclose(points[..., 1] / points[..., 2] * fy + cy, np.broadcast_to(y, depth.shape), atol=1e-4)
    np.testing.assert_array_equal(points[..., 2], depth)


def test_back_project_takes_one_camera_per_image():
    intrinsics = np.stack([INTRINSICS, INTRINSICS * 2])
    depth = np.ones([2, 3, 4], np.float32)
    points = camera.back_project(depth, intrinsics).numpy()
    for index in range(2):
        np.testing.assert_array_equal(points[index], camera.back_project(depth[index], intrinsics[index]))


def test_missing_depth_is_the_origin():
    depth = np.array([[0, -1, np.nan, np.inf, -np.inf]], np.float32)
    np.testing.assert_array_equal(camera.back_project(depth, INTRINSICS), np.zeros([1, 5, 3]))


def test_rays_are_points_at_unit_depth():
    np.testing.assert_array_equal(
        camera.rays(6, 8, INTRINSICS), camera.back_project(np.ones([6, 8], np.float32), INTRINSICS)
    )


def test_measured_depth_is_positive_finite_and_valid():
    depth = np.array([1, 0, -2, np.nan, np.inf, 2, 1e30, 1e-20], np.float32)[None]
    values, valid = camera.measured(depth, np.array([[1, 1, 1, 1, 1, 0, 1, 1]], bool))
    np.testing.assert_array_equal(valid, [[True, False, False, False, False, False, True, True]])
    np.testing.assert_allclose(values, [[1, 0, 0, 0, 0, 2, camera.FARTHEST, camera.NEAREST]])


def test_a_crop_sees_the_same_points():
    depth = np.random.default_rng(1).uniform(1, 2, [6, 8]).astype(np.float32)
    cropped = camera.back_project(depth[2:, 3:], camera.crop_intrinsics(INTRINSICS, left=3, top=2))
    np.testing.assert_allclose(cropped, camera.back_project(depth, INTRINSICS)[2:, 3:], atol=1e-6)


@pytest.mark.parametrize("scale", [2, 0.5])
def test_a_resize_scales_pixel_areas(scale):
    intrinsics = camera.resize_intrinsics(INTRINSICS, scale).numpy()
    # The left border of the first pixel, x = −½, stays the border and sees in the same direction.
    np.testing.assert_allclose((-0.5 - intrinsics[2:]) / intrinsics[:2], (-0.5 - INTRINSICS[2:]) / INTRINSICS[:2])
    np.testing.assert_allclose(intrinsics[2], (3.5 + 0.5) * scale - 0.5)


def test_a_resize_may_differ_by_axis():
    np.testing.assert_allclose(camera.resize_intrinsics(INTRINSICS, (2.0, 3.0)), [1000, 1530, 7.5, 7.75])
