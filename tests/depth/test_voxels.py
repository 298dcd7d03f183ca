"""Depth as points and as occupied cells, against NumPy and known scenes."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import hha_numpy
from keras_simsiam.depth import depth_images, voxels

INTRINSICS = np.array([57.0, 55.0, 19.5, 14.5], np.float32)
SIZE = (30, 40)


def _depth(seed=0, missing=0.2):
    """A hand's breadth of surface at 0.8 m, a wall at 2.5 m, holes."""
    random = np.random.default_rng(seed)
    depth = 2.5 + 0.01 * np.indices(SIZE)[1] + random.normal(0, 0.002, SIZE)
    depth[5:25, 10:30] = random.uniform(0.8, 0.95, [20, 20])
    depth[random.random(SIZE) < missing] = 0
    return depth.astype(np.float32)


def _points(depth):
    """float64 [N,3] of the measured pixels."""
    return (hha_numpy.rays(SIZE, INTRINSICS) * depth[..., None])[depth > 0].astype(np.float64)


def _oracle(points):
    """The grids, point by point."""
    grids = np.zeros([voxels.SIZE] * 3 + [3])
    near = np.sort(points[:, 2])[round(0.02 * (len(points) - 1))]
    for number, extent in enumerate(voxels.EXTENTS):
        cell = extent / 32
        front = near - 2.5 * cell
        shown = points[(points[:, 2] >= front) & (points[:, 2] < front + extent)]
        x, y = shown[:, :2].mean(axis=0)
        for point in shown:
            place = (point - [x - extent / 2, y - extent / 2, front]) / cell
            if (place >= 0).all() and (place < 32).all():
                i, j, k = place.astype(int)
                grids[k, j, i, number] = 1
    return grids


@pytest.mark.parametrize("missing", [0.0, 0.2, 0.97])
def test_occupancy_is_that_of_numpy_alone_in_a_batch_and_in_a_dataset(missing):
    frames = np.stack([_depth(seed, missing) for seed in range(2)])
    expected = [_oracle(_points(depth)) for depth in frames]
    found = voxels.occupancy(frames, INTRINSICS)
    assert found.shape == (2, 32, 32, 32, 3) and found.dtype == tf.float32
    mapped = tf.data.Dataset.from_tensor_slices(frames).map(lambda depth: voxels.occupancy(depth, INTRINSICS))
    for right, batched, one in zip(expected, found, mapped, strict=True):
        assert right.sum() > 5
        assert np.abs(right - batched).sum() <= 2  # a point on a border of cells, by rounding: leaves one, enters one
        np.testing.assert_array_equal(batched, one)


def test_a_frame_without_depth_occupies_nothing():
    for depth in (np.zeros(SIZE), np.full(SIZE, np.nan), np.full(SIZE, 40.0)):  # the last is out of reach
        assert not voxels.occupancy(depth.astype(np.float32), INTRINSICS).numpy().any()


def test_metres_stay_metres():
    """A ball twice as large at twice the distance has the same image, and other voxels; moved away it keeps its voxels."""
    rays = hha_numpy.rays((60, 60), [300, 300, 29.5, 29.5])

    def ball(radius, distance):
        b = distance * rays[..., 2] / (rays**2).sum(-1)
        under = b**2 - (distance**2 - radius**2) / (rays**2).sum(-1)
        depth = np.where(under > 0, b - np.sqrt(np.maximum(under, 0)), 0)
        return voxels.occupancy(depth.astype(np.float32), [300.0, 300, 29.5, 29.5]).numpy()

    def across(grid):
        return np.ptp(np.nonzero(grid.any(axis=(0, 1)))[0]) + 1

    small, large, moved = ball(0.08, 0.9), ball(0.16, 1.8), ball(0.08, 1.2)
    assert abs(across(small[..., 0]) - 0.16 / 0.0125) < 2  # cells of 12.5 mm
    assert abs(across(large[..., 0]) - 0.32 / 0.0125) < 2
    assert abs(across(moved[..., 0]) - across(small[..., 0])) <= 1
    assert across(large[..., 2]) <= 3 and large[..., 2].sum() > 0  # cells of 20 cm


def test_the_axes_are_z_y_x():
    """Three points: the second farther, the third lower and to the right."""
    points = tf.constant([[[0.0, 0, 1], [0, 0, 1.2], [0.1, 0.05, 1]]])
    grid = voxels.occupied(points, tf.constant([[True] * 3]), extents=(0.4,)).numpy()[0, ..., 0]
    near, far = grid[2], grid[2 + 16]
    assert near.sum() == 2 and far.sum() == 1 and grid.sum() == 3
    (y, x), (right_y, right_x) = np.argwhere(near)
    assert (right_y - y, right_x - x) == (4, 8)


def test_duplicates_count_once_and_what_is_not_valid_never():
    points = tf.tile(tf.constant([[[0.0, 0, 1]]]), [1, 50, 1])
    valid = tf.concat([tf.ones([1, 49], tf.bool), [[False]]], 1)
    assert voxels.occupied(points, valid).numpy().sum((1, 2, 3)).tolist() == [[1, 1, 1]]
    assert not voxels.occupied(points, valid & False).numpy().any()


def test_a_few_points_before_all_others_do_not_move_the_grids():
    depth = _depth(missing=0)
    noisy = depth.copy()
    noisy[0, ::8] = 0.3  # 5 of 1,200
    both = [voxels.occupancy(each, INTRINSICS).numpy()[..., 0] for each in (depth, noisy)]
    assert both[0].sum() > 100 and np.abs(both[0] - both[1]).mean() < 0.02


def test_a_point_map_keeps_the_points():
    depth = _depth()
    levels = depth_images.encode(depth, INTRINSICS, "voxels").numpy()
    points, valid = voxels.points_of(levels / 255 * 255)
    np.testing.assert_array_equal(valid, depth > 0)
    np.testing.assert_allclose(points[depth > 0], _points(depth), atol=1e-5)
    np.testing.assert_array_equal(levels[depth == 0], 128)
    far = depth_images.encode(np.float32([[9.9, 10.1, 0.005]]), [1e3, 1e3, 1, 0], "voxels").numpy()[0]
    assert far[0, 2] > 253 and (far[1:] == 128).all()
