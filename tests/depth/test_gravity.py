"""Gravity from the normals of floors and walls, and what happens where they leave it open."""

import numpy as np
import pytest

from benchmarks import hha_scenes
from keras_simsiam.depth import gravity, normals


def _degrees(a, b):
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), np.dot(a, b)))


def _estimate(vectors):
    """Gravity from a list of (normal, how many)."""
    field = np.concatenate([np.tile(np.array(n, np.float32) / np.linalg.norm(n), (count, 1)) for n, count in vectors])
    return gravity.estimate(field[None], np.ones([1, len(field)], bool)).numpy()


def test_gravity_of_the_room():
    depth, _plane = hha_scenes.room()
    found = gravity.estimate(*normals.plane_normals(depth, hha_scenes.ROOM_INTRINSICS, None, 10))
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
    found = gravity.estimate(wall[None], np.ones([1, 500], bool))
    assert _degrees(found, (0, c, s)) < 1


def test_no_normals_give_the_prior():
    field = np.random.default_rng(0).normal(size=[3, 4, 5, 3]).astype(np.float32)
    np.testing.assert_allclose(gravity.estimate(field, np.zeros([3, 4, 5], bool)), [[0, 1, 0]] * 3, atol=1e-6)


def test_an_empty_batch_gives_an_empty_batch():
    assert gravity.estimate(np.zeros([0, 4, 5, 3], np.float32), np.zeros([0, 4, 5], bool)).shape == (0, 3)
