"""Gravity from the normals of floors and walls, and what happens where they leave it open."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import gravity as random_cameras
from benchmarks import hha_scenes
from keras_simsiam.depth import camera, gravity, normals

_degrees = random_cameras.degrees


def _field(vectors):
    """Normals `[3, 1, N]` from a list of (normal, how many), and that all are valid."""
    field = np.concatenate([np.tile(np.array(n, np.float32) / np.linalg.norm(n), (count, 1)) for n, count in vectors])
    return field.T[:, None].astype(np.float32), np.ones([1, len(field)], bool)


def _estimate(vectors):
    return gravity.estimate(*_field(vectors)).numpy()


def _confidence(vectors, without_normal=0):
    """Confidence in the estimate from these normals and so many pixels more that have none."""
    field, valid = _field([*vectors, ((1, 0, 0), without_normal)])
    valid[0, valid.size - without_normal :] = False
    return float(gravity.confidence(gravity.estimate(field, valid), field, valid))


def _tilted(pitch, roll=0):
    """Floor, side wall and back wall normals of a camera that looks `pitch` degrees down and is rolled."""
    cp, sp, cr, sr = (f(np.radians(a)) for a in (pitch, roll) for f in (np.cos, np.sin))
    rolled = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    return [rolled @ axis for axis in ((0, cp, sp), (1, 0, 0), (0, -sp, cp))]


def test_gravity_of_the_room():
    depth, _plane = hha_scenes.room()
    found = gravity.estimate(*normals.plane_normals(depth, hha_scenes.ROOM_INTRINSICS, None, radius=10))
    assert _degrees(found, hha_scenes.ROOM_GRAVITY) < 0.1


@pytest.mark.parametrize("pitch", [0, 10, 25, 40])
def test_floor_and_wall(pitch):
    c, s = np.cos(np.radians(pitch)), np.sin(np.radians(pitch))
    assert _degrees(_estimate([((0, c, s), 50), ((0, -s, c), 50)]), (0, c, s)) < 0.01


def test_two_walls_suffice():
    c, s = np.cos(np.radians(12)), np.sin(np.radians(12))
    assert _degrees(_estimate([((1, 0, 0), 50), ((0, -s, c), 50)]), (0, c, s)) < 0.01


def test_a_ceiling_counts_as_a_floor():
    assert _degrees(_estimate([((0, -0.9, 0.1), 50), ((0, 0.1, 0.9), 10)]), (0, 0.9, -0.1)) < 0.2


@pytest.mark.parametrize("pitch", [0, 10, 30])
def test_a_single_wall_leaves_gravity_to_the_prior(pitch):
    """Of all directions along the wall, the one nearest to the camera's y axis; noise does not turn it."""
    c, s = np.cos(np.radians(pitch)), np.sin(np.radians(pitch))
    wall = np.tile(np.array([0, -s, c]), (500, 1)) + np.random.default_rng(0).normal(0, 0.03, [500, 3])
    wall = (wall / np.linalg.norm(wall, axis=-1, keepdims=True)).astype(np.float32)
    found = gravity.estimate(wall.T[:, None], np.ones([1, 500], bool))
    assert _degrees(found, (0, c, s)) < 1


def test_no_normals_give_the_prior():
    field = np.random.default_rng(0).normal(size=[3, 3, 4, 5]).astype(np.float32)
    np.testing.assert_allclose(gravity.estimate(field, np.zeros([3, 4, 5], bool)), [[0, 1, 0]] * 3, atol=1e-6)


def test_an_empty_batch_gives_an_empty_batch():
    assert gravity.estimate(np.zeros([0, 3, 4, 5], np.float32), np.zeros([0, 4, 5], bool)).shape == (0, 3)


@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (20, 10), (44, 0), (-44, 0), (0, 44), (0, -44), (30, 30)])
@pytest.mark.parametrize("surfaces", [(0,), (0, 1), (0, 2), (1, 2), (0, 1, 2)], ids=str)
def test_cameras_tilted_up_to_45_degrees(pitch, roll, surfaces):
    """Floor only, floor and a wall, two walls, or all: each fixes gravity."""
    axes = _tilted(pitch, roll)
    assert _degrees(_estimate([(axes[index], 50) for index in surfaces]), axes[0]) < 0.05


@pytest.mark.parametrize(("pitch", "roll"), [(45, 0), (60, 0), (80, 0), (0, 60)])
def test_beyond_45_degrees_another_axis_of_the_room_is_taken(pitch, roll):
    """The floor is then taken for a wall. Whatever is found is an axis of the room or, in doubt, the prior."""
    axes = _tilted(pitch, roll)
    found = _estimate([(axis, 50) for axis in axes])
    assert min(_degrees(found, sign * axis) for axis in [*axes, np.array([0, 1, 0])] for sign in (1, -1)) < 0.05
    assert found[1] >= 0


@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (20, 10), (40, -10)])
def test_upside_down_the_ceiling_is_taken_for_the_floor(pitch, roll):
    """Normals do not tell them apart: the axis is right, and its sign the one nearest to the prior."""
    axes = [np.array([-x, -y, z]) for x, y, z in _tilted(pitch, roll)]  # turned by 180° about the optical axis
    assert _degrees(_estimate([(axis, 50) for axis in axes]), -axes[0]) < 0.05


@pytest.mark.parametrize(("pixels", "expected"), [(1, (0, 0.94, 0.34)), (3, (0, 0.94, 0.34)), (0, (0, 1, 0))])
def test_a_nearly_empty_image_decides_with_what_it_has(pixels, expected):
    found = _estimate([((0, 0.94, 0.34), pixels), ((1, 0, 0), 0)])
    assert _degrees(found, expected) < 0.1
    assert _confidence([((0, 0.94, 0.34), pixels)], without_normal=1000) < 0.004


def test_confidence_of_a_floor_is_the_share_of_the_image_that_it_fills():
    found = [_confidence([((0, 0.94, 0.34), count)], 100 - count) for count in (0, 5, 25, 50, 75, 100)]
    np.testing.assert_allclose(found, [0, 0.05, 0.25, 0.5, 0.75, 1], atol=1e-4)


def test_confidence_is_zero_where_the_prior_decides():
    assert _confidence([], 100) == 0
    for wall in [(0, 0, 1), (0.3, 0, 1), (0, -0.2, 1)]:
        assert _confidence([(wall, 100)]) == 0
    noisy = np.random.default_rng(0).normal((0, -0.2, 1), 0.03, [2000, 3])
    assert _confidence([(normal, 1) for normal in noisy]) == 0


def test_confidence_grows_with_the_angle_between_two_walls():
    """Gravity is the line in which they meet: sin² of half the angle, until at a right angle each has a half."""
    angles = np.radians([0, 5, 10, 20, 40, 60, 90])
    found = [_confidence([((0, 0, 1), 50), ((np.sin(a), 0, np.cos(a)), 50)]) for a in angles]
    np.testing.assert_allclose(found, np.maximum(np.sin(angles / 2) ** 2 - 0.01, 0) / 0.99, atol=1e-4)


def test_confidence_falls_with_what_is_neither_floor_nor_wall():
    found = [_confidence([((0, 1, 0), 50), ((0, 0, 1), 50), ((0, 1, 1), clutter)]) for clutter in (0, 20, 50, 100)]
    assert found[0] > found[1] > found[2] > found[3] > 0


def test_confidence_falls_with_missing_depth():
    depth, intrinsics = hha_scenes.room()[0], hha_scenes.ROOM_INTRINSICS
    found = []
    for columns in (0, 50, 100, 150, 200, 208):
        depth[:, :columns] = 0
        found.append(float(gravity.from_depth(depth, intrinsics)[1]))
    assert found == sorted(found, reverse=True) and found[0] > 0.3 and found[-1] == 0


def test_a_large_image_needs_only_a_part_of_its_normals():
    """Whether the size is known when the graph is made or only when it runs."""
    depth = np.kron(hha_scenes.room()[0], np.ones([2, 2], np.float32))
    intrinsics = camera.resize_intrinsics(hha_scenes.ROOM_INTRINSICS, 2)
    assert depth.size > gravity.LARGE
    every = gravity.estimate(*normals.plane_normals(depth, intrinsics, None, radius=gravity.RADIUS))
    found, _confidence = gravity.from_depth(depth, intrinsics)
    assert 0 < _degrees(found, every) < 0.1
    signature = [tf.TensorSpec([None, None]), tf.TensorSpec([4])]
    dynamic = tf.function(gravity.from_depth, input_signature=signature, autograph=False)
    np.testing.assert_allclose(dynamic(depth, intrinsics)[0], found, atol=1e-5)


@pytest.mark.parametrize("kind", ["empty", "one pixel", "frontal wall"])
def test_gravity_of_depth_that_says_nothing_is_the_prior(kind):
    depth = np.full([40, 50], 2 if kind == "frontal wall" else 0, np.float32)
    depth[20, 20] = 0 if kind == "empty" else 2
    down, confidence = gravity.from_depth(depth, [57, 57, 24.5, 19.5])
    np.testing.assert_allclose(down, (0, 1, 0), atol=1e-4)
    assert confidence == 0


def test_depth_marked_invalid_does_not_vote():
    depth, _plane = hha_scenes.room()
    valid = np.indices(depth.shape)[1] > 80
    masked = gravity.from_depth(depth, hha_scenes.ROOM_INTRINSICS, valid)
    for one, other in zip(
        masked, gravity.from_depth(np.where(valid, depth, 0), hha_scenes.ROOM_INTRINSICS), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_random_cameras_with_a_kinects_noise_and_missing_depth():
    """Of `benchmarks.gravity` at half its resolution: within 1°, unless the image leaves gravity open and says so."""
    size, intrinsics = (240, 320), camera.resize_intrinsics(hha_scenes.NYU_INTRINSICS, 0.5).numpy()
    sure = []
    for index in range(20):
        depth, down = random_cameras.scene(7, index, size, intrinsics)
        assert (depth == 0).mean() > 0.29
        found, confidence = gravity.from_depth(depth, intrinsics)
        if confidence > 0.05:
            sure.append(_degrees(found, down))
    assert len(sure) > 15
    assert max(sure) < 1 and np.median(sure) < 0.3


def test_tilted_gravity_stays_a_unit_vector_within_the_bound():
    down, most = np.array([0.0, 0.8, 0.6], np.float32), 10.0
    seeds = tf.stack([tf.range(400), tf.zeros(400, tf.int32)], axis=1)
    vectors = tf.map_fn(lambda seed: gravity.tilted(down, seed, most), seeds, fn_output_signature=tf.float32).numpy()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    degrees = np.degrees(np.arccos(np.clip(vectors @ down, -1, 1)))
    assert degrees.max() <= most + 0.1 and abs(degrees.mean() - most / 2) < 0.6
    # towards every side alike: along x, and along what lies across x and gravity
    aside, ahead = vectors[:, 0], vectors @ np.float32([0, 0.6, -0.8])
    directions = np.histogram(np.arctan2(ahead, aside), bins=4, range=(-np.pi, np.pi))[0]
    assert directions.min() > 70


def test_tilted_gravity_in_a_graph_and_in_tf_data():
    down, seed = tf.constant([0.0, 0.8, 0.6]), tf.constant([1, 2])
    eager = gravity.tilted(down, seed, 20.0)
    np.testing.assert_allclose(tf.function(gravity.tilted)(down, seed, 20.0), eager, atol=1e-6)
    dataset = tf.data.Dataset.from_tensors(seed).map(lambda seed: gravity.tilted(down, seed, 20.0))
    np.testing.assert_allclose(next(iter(dataset)), eager, atol=1e-6)
