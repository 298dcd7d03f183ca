"""The depth images other than HHA against NumPy, OpenCV's jet and known planes; holes, and what is refused."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from benchmarks import hha_numpy
from keras_simsiam.depth import depth_images, holes
from keras_simsiam.depth.depth_images import DEPTH_INPUTS, NEAREST

INTRINSICS = np.array([57.0, 55.0, 19.5, 14.5], np.float32)
SIZE = (30, 40)
OTHERS = DEPTH_INPUTS[1:]


def _depth(missing=0.2, seed=0):
    """A tilted plane, a box before it, some very far pixels, and holes."""
    random = np.random.default_rng(seed)
    y, x = np.indices(SIZE)
    depth = 1.5 + 0.02 * y + 0.01 * x + random.normal(0, 0.002, SIZE)
    depth[8:16, 10:20] = 0.9
    depth[random.random(SIZE) < 0.03] = 9.5
    depth[random.random(SIZE) < missing] = 0
    return depth.astype(np.float32)


def _image(depth, name):
    return depth_images.encode(depth, INTRINSICS, name).numpy()


def _jet(x):
    ramps = [np.clip(1.5 - np.abs(4 * x - peak), 0, 1) for peak in (3, 2, 1)]
    return 255 * np.stack(ramps, axis=-1)


def _trimmed(values):
    """Mean and deviation without the lowest and the highest tenth."""
    kept = np.sort(values)[len(values) // 10 : len(values) - len(values) // 10].astype(np.float64)
    return kept.mean(), kept.std()


def test_disparity():
    depth = _depth()
    found = _image(depth, "disparity")
    expected = np.where(depth > 0, 255 * NEAREST / np.maximum(depth, NEAREST), 0)
    np.testing.assert_allclose(found, np.repeat(expected[..., None], 3, axis=-1), atol=1e-3)
    levels = _image(np.float32([[0.1, NEAREST, 2 * NEAREST, 10 * NEAREST, 0]]), "disparity")[0, :, 0]
    np.testing.assert_allclose(levels, [255, 255, 127.5, 25.5, 0], atol=1e-4)


def test_jet():
    depth = _depth()
    valid = depth > 0
    nearness = (depth[valid].max() - depth) / np.ptp(depth[valid])
    found = _image(depth, "jet")
    np.testing.assert_allclose(found[valid], _jet(nearness)[valid], atol=1e-2)
    assert not found[~valid].any() and (found[valid].max(axis=-1) >= 127).all()


def test_jet_has_the_colours_of_opencv():
    depth = np.linspace(3, 1, 256, dtype=np.float32)[None]  # the nearest last, as the map's highest colour is
    expected = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], cv2.COLORMAP_JET)[..., ::-1]
    np.testing.assert_allclose(_image(depth, "jet"), expected, atol=3)
    near, far = _image(depth, "jet")[0, -1], _image(depth, "jet")[0, 0]
    assert near[0] > near[1:].max() and far[2] > far[:2].max()  # red, blue


@pytest.mark.parametrize("missing", [0.0, 0.2, 0.95])
def test_standardised(missing):
    depth = _depth(missing)
    valid = depth > 0
    mean, deviation = _trimmed(depth[valid])
    expected = np.clip(128 + 32 * (depth - mean) / deviation, 0, 255)
    found = _image(depth, "standardized")
    assert not found[~valid].any()
    # the histogram is in millimetres
    np.testing.assert_allclose(found[valid], np.repeat(expected[valid][:, None], 3, axis=-1), atol=32e-3 / deviation)
    kept = (found[valid][:, 0] - 128) / 32
    assert np.allclose(_trimmed(kept), (0, 1), atol=0.02)


@pytest.mark.parametrize("count", [1, 2, 9, 10, 11])
def test_standardised_of_few_pixels(count):
    depth = np.zeros([1, 12], np.float32)
    depth[0, :count] = np.linspace(1, 4, count)
    mean, deviation = _trimmed(depth[0, :count])
    expected = np.clip(128 + 32 * (depth[0, :count] - mean) / max(deviation, 1e-3), 0, 255)
    np.testing.assert_allclose(_image(depth, "standardized")[0, :count, 1], expected, atol=0.05)


def test_standardised_does_not_follow_the_extreme_tenths():
    depth = _depth(0)
    farther = np.where(depth > 9, 40, depth)  # as few as before
    near = depth < 3
    np.testing.assert_array_equal(_image(depth, "standardized")[near], _image(farther, "standardized")[near])


def test_standardised_and_jet_of_a_flat_image():
    """A thousandth of a millimetre of noise is not stretched over the range."""
    depth = (2 + 1e-6 * np.random.default_rng(0).standard_normal(SIZE)).astype(np.float32)
    np.testing.assert_allclose(_image(depth, "standardized"), 128, atol=0.3)
    assert np.ptp(_image(depth, "jet"), axis=(0, 1)).max() < 10


@pytest.mark.parametrize("normal", [(0, 0, 1), (0.3, 0.8, 0.6), (-0.7, -0.1, 0.5)])
def test_normals_of_a_plane(normal):
    """Away from the camera: a wall faced squarely has (127.5, 127.5, 255), of a floor the second channel is bright."""
    normal = np.array(normal) / np.linalg.norm(normal)
    depth = (2 / (hha_numpy.rays(SIZE, INTRINSICS) @ normal)).astype(np.float32)
    depth[np.random.default_rng(0).random(SIZE) < 0.2] = 0
    found = _image(depth, "normals")
    expected = np.broadcast_to(127.5 * (normal + 1), found.shape)
    np.testing.assert_allclose(found[depth > 0], expected[depth > 0], atol=0.3)
    np.testing.assert_array_equal(found[depth == 0], 127.5)


def test_a_pixel_without_a_normal_is_the_vector_zero():
    depth = np.zeros(SIZE, np.float32)
    depth[4, 5:8] = 1.2  # on a line
    np.testing.assert_array_equal(_image(depth, "normals"), 127.5)


@pytest.mark.parametrize("name", OTHERS)
def test_the_mirrored_scene_has_the_mirrored_image(name):
    depth, mirrored = _depth(), INTRINSICS * [1, 1, 0, 1] + [0, 0, SIZE[1] - 1 - INTRINSICS[2], 0]
    expected = _image(depth, name)[:, ::-1].copy()
    if name in ("normals", "voxels"):
        expected[..., 0] = (255 if name == "normals" else 256) - expected[..., 0]
    found = depth_images.encode(depth[:, ::-1], mirrored.astype(np.float32), name)
    np.testing.assert_allclose(found, expected, atol=0.1)


@pytest.mark.parametrize("name", OTHERS)
def test_an_image_without_depth(name):
    expected = {"normals": 127.5, "voxels": 128}.get(name, 0)
    np.testing.assert_array_equal(_image(np.full(SIZE, np.nan, np.float32), name), np.full((*SIZE, 3), expected))
    assert _image(np.zeros([0, *SIZE], np.float32), name).shape == (0, *SIZE, 3)


@pytest.mark.parametrize("name", OTHERS)
def test_holes_of_each(name):
    depth = _depth()
    valid, plain = depth > 0, _image(depth, name)

    def encoded(choice):
        return holes.encode(depth, INTRINSICS, depth_input=name, holes=choice).numpy()

    np.testing.assert_array_equal(encoded("none"), plain)
    masked = encoded("mask")
    np.testing.assert_array_equal(masked[..., :3], plain)
    np.testing.assert_array_equal(masked[..., 3], 255 * valid)
    neutral = encoded("neutral")
    np.testing.assert_array_equal(neutral[valid], plain[valid])
    np.testing.assert_array_equal(neutral[~valid], 128)
    for choice, fill in holes.FILLS.items():
        np.testing.assert_allclose(encoded(choice), _image(fill(depth), name), atol=1e-3)


@pytest.mark.parametrize("name", OTHERS)
def test_no_gravity_is_estimated(name, monkeypatch):
    monkeypatch.setattr(holes.gravity_estimation, "estimate", lambda *_: pytest.fail("estimated"))
    for choice in (choice for choice in holes.CHOICES if choice != "learned"):
        holes.encode(_depth(), INTRINSICS, depth_input=name, holes=choice, rgb=tf.zeros([*SIZE, 3]))


@pytest.mark.parametrize("name", OTHERS)
def test_refusals_are_those_of_hha(name):
    with pytest.raises(ValueError, match="metres"):
        depth_images.encode(1000 * _depth(), INTRINSICS, name)
    with pytest.raises(ValueError, match="focal lengths"):
        depth_images.encode(_depth(), 0 * INTRINSICS, name)


def test_an_unknown_depth_image():
    with pytest.raises(ValueError, match="one of normals, disparity, jet, standardized, voxels, not 'hha'"):
        depth_images.encode(tf.ones(SIZE), INTRINSICS, "hha")
    with pytest.raises(ValueError, match="not 'depth'"):
        holes.encode(tf.ones(SIZE), INTRINSICS, depth_input="depth")
