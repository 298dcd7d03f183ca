"""Sensor noise against NumPy, pixel by pixel, and by their statistics; each eagerly, in a graph and in tf.data."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.depth import sensor_noise

INTRINSICS = np.array([57.0, 57.0, 19.5, 14.5], np.float32)
SEED = np.array([3, 4], np.int32)
FUNCTIONS = {
    "shadow": lambda depth: sensor_noise.shadow(depth, 4.0),
    "shadow to the right": lambda depth: sensor_noise.shadow(depth, -4.0),
    "quantise": lambda depth: sensor_noise.quantise(depth, 30.0, SEED),
    "holes": lambda depth: sensor_noise.holes(depth, SEED),
    "sensor": lambda depth: sensor_noise.simulate(depth, INTRINSICS, SEED),
}


def _depth(seed=0, height=30, width=40):
    """A tilted plane, a box in front of it, holes and what is no depth."""
    random = np.random.default_rng(seed)
    y, x = np.indices((height, width), np.float32)
    depth = 1.5 + 0.01 * x + 0.02 * y
    depth[8:20, 12:22] = 0.8
    depth[random.random(depth.shape) < 0.1] = 0
    depth[2, 3:6] = np.nan, np.inf, -1
    return depth.astype(np.float32)


def _missing(depth):
    return ~(np.isfinite(depth) & (depth > 0))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_graph_and_dataset_give_what_eager_gives(name):
    function, depth = FUNCTIONS[name], _depth()
    eager = function(depth)
    graph = tf.function(function, input_signature=[tf.TensorSpec([None, None], tf.float32)])
    np.testing.assert_array_equal(eager, graph(depth))
    np.testing.assert_array_equal(eager, next(iter(tf.data.Dataset.from_tensors(depth).map(function))))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (30, 40)])
def test_nothing_is_invented_and_nothing_is_no_depth(name, size):
    for seed in range(3):
        depth = np.where(np.isnan(_depth(seed)), 0, _depth(seed))[: size[0], : size[1]]
        result = FUNCTIONS[name](depth).numpy()
        assert np.isfinite(result).all() and (result[_missing(depth)] == 0).all() and (result >= 0).all()


@pytest.mark.parametrize("name", ["shadow", "shadow to the right", "holes"])
def test_what_is_not_lost_keeps_its_depth_bit_for_bit(name):
    depth = _depth()
    result = FUNCTIONS[name](depth).numpy()
    kept = result > 0
    np.testing.assert_array_equal(result[kept], depth[kept])
    assert 0.02 < (~kept).mean() - _missing(depth).mean() < 0.5


def _shadow_by_hand(depth, baseline_focal):
    """Each pixel against each other one of its row."""
    result = np.where(_missing(depth), 0, depth)
    side = np.sign(baseline_focal)
    for row, out in zip(depth, result, strict=True):
        lit = [None if _missing(z) else np.float32(x) - np.float32(baseline_focal) / z for x, z in enumerate(row)]
        for x, source in enumerate(lit):
            others = [other for x2, other in enumerate(lit) if other is not None and (x2 - x) * side > 0]
            if source is not None and any(side * other <= side * source for other in others):
                out[x] = 0
    return result


@pytest.mark.parametrize("baseline_focal", [4.0, -4.0, 40.0])
def test_shadows_are_those_of_the_projector(baseline_focal):
    for seed in range(3):
        depth = _depth(seed)
        np.testing.assert_array_equal(
            sensor_noise.shadow(depth, baseline_focal), _shadow_by_hand(depth, baseline_focal)
        )


def test_a_shadow_is_as_wide_as_the_disparities_differ():
    """A box at 1 m before a wall at 2 m, of a Kinect: 43.5 px · (1 − ½) = 21.75 columns, to its left or right alone."""
    depth = np.full([3, 200], 2.0, np.float32)
    depth[:, 100:130] = 1.0
    for side, dark in ((1, slice(79, 100)), (-1, slice(130, 151))):
        expected = depth.copy()
        expected[:, dark] = 0
        np.testing.assert_array_equal(sensor_noise.shadow(depth, side * 43.5), expected)


def test_depth_lies_on_the_disparity_grid_and_errs_with_its_square():
    steps = 350.0
    for distance in (1.0, 4.0):
        depth = np.linspace(distance, 1.05 * distance, 10_000, dtype=np.float32).reshape(100, 100)
        result = sensor_noise.quantise(depth, steps, SEED).numpy().astype(np.float64)
        disparity = steps / result
        np.testing.assert_allclose(disparity, np.round(disparity), rtol=1e-6)
        # a step is Z² / steps metres; rounding errs by 1/√12 of it, noise by 1/6
        error = np.std((result - depth) * steps / np.square(depth))
        assert error == pytest.approx(np.hypot(1 / np.sqrt(12), 1 / 6), rel=0.05)


def test_what_is_too_far_for_a_step_of_disparity_is_lost():
    np.testing.assert_array_equal(sensor_noise.quantise(np.full([4, 4], 100.0), 10.0, SEED), np.zeros([4, 4]))


def test_holes_are_one_to_four_patches_of_both_kinds():
    depth = np.ones([100, 120], np.float32)
    shares, filled = [], []
    for seed in range(60):
        lost = sensor_noise.holes(depth, [seed, 0]).numpy() == 0
        shares.append(lost.mean())
        rows, columns = (np.flatnonzero(lost.any(axis)) for axis in (1, 0))
        filled.append(lost.sum() / (np.ptp(rows) + 1) / (np.ptp(columns) + 1) if lost.any() else 1)
    # the mean of 2.5 patches of half sides of 9 %, less what overlaps or lies outside
    assert 0.03 < np.mean(shares) < 0.09 and max(shares) < 4 * 0.3 * 0.3
    assert sum(share == 1 for share in filled) > 3  # rectangles
    assert sum(abs(share - np.pi / 4) < 0.05 for share in filled) > 3  # ellipses


def test_the_share_of_missing_depth_rises_and_draws_differ():
    depth = _depth()
    results = [sensor_noise.simulate(depth, INTRINSICS, [seed, 1]).numpy() for seed in range(20)]
    assert all((result == 0).mean() > _missing(depth).mean() for result in results)
    assert len({result.tobytes() for result in results}) == 20
    np.testing.assert_array_equal(results[0], sensor_noise.simulate(depth, INTRINSICS, [0, 1]))
