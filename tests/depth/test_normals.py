"""Normals of analytic planes, with and without holes, and of degenerate neighbourhoods."""

import numpy as np
import pytest

from benchmarks import hha_numpy
from keras_simsiam.depth import camera, normals

INTRINSICS = np.array([120.0, 118.0, 20.3, 14.8], np.float32)
SIZE = (30, 40)


def _plane(normal, distance=2.0):
    """Depth of the plane normal·P = distance, and its unit normal."""
    normal = np.array(normal) / np.linalg.norm(normal)
    return (distance / (hha_numpy.rays(SIZE, INTRINSICS) @ normal)).astype(np.float32), normal


def _vectors(found, valid):
    """Normals `[H, W, 3]` as the expected ones are, and where they are valid, of what the library returns."""
    return np.moveaxis(found.numpy(), -3, -1), valid.numpy()


def _gradient(depth, valid=None):
    depth, valid = camera.measured(depth, valid)
    return _vectors(*normals.gradient_normals(camera.back_project(depth, INTRINSICS), valid))


def _window(radius):
    return lambda depth, valid=None: _vectors(*normals.plane_normals(depth, INTRINSICS, valid, radius=radius))


METHODS = {"gradient": _gradient, "R=3": _window(3), "R=10": _window(10)}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("normal", [(0, 0, 1), (0.3, 0.8, 0.6), (-0.7, -0.1, 0.5)])
def test_normal_of_a_plane(method, normal):
    depth, expected = _plane(normal)
    found, valid = method(depth)
    assert valid.all()
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=2e-3)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_missing_pixels_do_not_bend_the_plane(method):
    depth, expected = _plane((0.3, 0.8, 0.6))
    holes = np.random.default_rng(0).random(SIZE) < 0.3
    found, valid = method(np.where(holes, np.nan, depth).astype(np.float32))
    assert valid.mean() > 0.5
    np.testing.assert_allclose(found[valid], np.broadcast_to(expected, found.shape)[valid], atol=2e-3)
    np.testing.assert_array_equal(found[~valid], 0)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_masked_pixels_do_not_count(method):
    depth, expected = _plane((0.3, 0.8, 0.6))
    valid = np.ones(SIZE, bool)
    valid[10:13, 5:30] = False
    found, found_valid = method(np.where(valid, depth, 9).astype(np.float32), valid)
    used = found_valid & valid
    np.testing.assert_allclose(found[used], np.broadcast_to(expected, found.shape)[used], atol=2e-3)


def test_a_gradient_needs_the_pixel_and_a_neighbour_on_each_axis():
    valid = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 0, 1]], bool)
    _, found = _gradient(np.where(valid, 1, 0).astype(np.float32))
    np.testing.assert_array_equal(found, [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("direction", [(0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (3, 1)])
@pytest.mark.parametrize("radius", [3, 10])
def test_pixels_on_a_line_give_no_normal(direction, radius):
    depth = np.zeros([61, 61], np.float32)
    for step in range(-30, 31):
        y, x = 30 + step * direction[0], 30 + step * direction[1]
        if 0 <= y < 61 and 0 <= x < 61:
            depth[y, x] = 1 + 0.01 * step
    _, valid = normals.plane_normals(depth, INTRINSICS, None, radius=radius)
    assert not valid.numpy().any()


@pytest.mark.parametrize("radius", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_the_thinnest_triangles_give_a_normal(radius):
    """Any three pixels of a window that are not on one line define a plane, however thin their triangle."""
    size = 2 * radius + 1
    generator = np.random.default_rng(radius)
    for _ in range(200):
        depth = np.zeros([size, size], np.float32)
        (x1, y1), (x2, y2), (x3, y3) = corners = generator.integers(0, size, [3, 2])
        depth[tuple(corners.T)] = 1
        _, valid = normals.plane_normals(depth, INTRINSICS, None, radius=radius)
        area = (x2 - x1) * (y3 - y1) - (x3 - x1) * (y2 - y1)
        assert valid[radius, radius] == (area != 0)


def test_window_normals_match_the_normal_equations_in_float64():
    generator = np.random.default_rng(2)
    depth = 2 + np.cumsum(generator.normal(0, 0.01, SIZE), axis=1).astype(np.float32)
    depth[generator.random(SIZE) < 0.2] = 0
    found, valid = _window(3)(depth)
    expected = hha_numpy.plane_normals(depth.astype(np.float64), hha_numpy.rays(SIZE, INTRINSICS), depth > 0, radius=3)
    np.testing.assert_allclose(found[valid], expected[valid], atol=1e-3)


@pytest.mark.parametrize("stride", [3, 7, 21])
@pytest.mark.parametrize("shape", [(2, 60, 83), (21, 7), (8, 15), (1, 1)])
def test_strided_normals_are_those_of_every_pixel(shape, stride):
    generator = np.random.default_rng(4)
    depth = (generator.uniform(1, 3, shape) * (generator.random(shape) > 0.4)).astype(np.float32)
    every, every_valid = (array.numpy() for array in normals.plane_normals(depth, INTRINSICS, None, radius=10))
    found, valid = (array.numpy() for array in normals.plane_normals(depth, INTRINSICS, None, radius=10, stride=stride))
    assert found.shape == (*shape[:-2], 3, *(-(-size // stride) for size in shape[-2:]))
    rows, columns = (slice(stride // 2, size, stride) for size in shape[-2:])
    # the last window's centre may lie outside the image, where stride 1 has none
    inside = [slice(len(range(size)[kept])) for size, kept in zip(shape[-2:], (rows, columns), strict=True)]
    np.testing.assert_array_equal(valid[..., *inside], every_valid[..., rows, columns])
    np.testing.assert_allclose(found[..., *inside], every[..., rows, columns], atol=1e-4)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_normals_point_away_from_the_camera(method):
    depth = np.random.default_rng(3).uniform(0.5, 4, SIZE).astype(np.float32)
    found, valid = method(depth)
    facing = np.sum(found * np.moveaxis(camera.back_project(depth, INTRINSICS).numpy(), -3, -1), axis=-1)
    assert (facing[valid] >= -1e-5).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1)[valid], 1, atol=1e-5)
