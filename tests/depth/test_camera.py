"""Back-projection and what crops and resizes do to the camera."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.depth import camera

INTRINSICS = np.array([500.0, 510.0, 3.5, 2.25], np.float32)


def test_back_project_is_the_inverse_of_projection():
    depth = np.random.default_rng(0).uniform(0.5, 5, [2, 6, 8]).astype(np.float32)
    points = camera.back_project(depth, INTRINSICS).numpy()
    y, x = np.indices([6, 8])
    fx, fy, cx, cy = INTRINSICS
    np.testing.assert_allclose(points[:, 0] / points[:, 2] * fx + cx, np.broadcast_to(x, depth.shape), atol=1e-4)
    np.testing.assert_allclose(points[:, 1] / points[:, 2] * fy + cy, np.broadcast_to(y, depth.shape), atol=1e-4)
    np.testing.assert_array_equal(points[:, 2], depth)


def test_back_project_takes_one_camera_per_image():
    intrinsics = np.stack([INTRINSICS, INTRINSICS * 2])
    depth = np.ones([2, 3, 4], np.float32)
    points = camera.back_project(depth, intrinsics).numpy()
    for index in range(2):
        np.testing.assert_array_equal(points[index], camera.back_project(depth[index], intrinsics[index]))


def test_missing_depth_is_the_origin():
    depth = np.array([[0, -1, np.nan, np.inf, -np.inf]], np.float32)
    np.testing.assert_array_equal(camera.back_project(depth, INTRINSICS), np.zeros([3, 1, 5]))


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
    np.testing.assert_allclose(cropped, camera.back_project(depth, INTRINSICS)[:, 2:, 3:], atol=1e-6)


@pytest.mark.parametrize("scale", [2, 0.5])
def test_a_resize_scales_pixel_areas(scale):
    intrinsics = camera.resize_intrinsics(INTRINSICS, scale).numpy()
    # The left border of the first pixel, x = −½, stays the border and sees in the same direction.
    np.testing.assert_allclose((-0.5 - intrinsics[2:]) / intrinsics[:2], (-0.5 - INTRINSICS[2:]) / INTRINSICS[:2])
    np.testing.assert_allclose(intrinsics[2], (3.5 + 0.5) * scale - 0.5)


def test_a_resize_may_differ_by_axis():
    np.testing.assert_allclose(camera.resize_intrinsics(INTRINSICS, (2.0, 3.0)), [1000, 1530, 7.5, 7.75])


def _checked(depth, intrinsics):
    return camera.checked(tf.constant(depth, tf.float32), tf.constant(intrinsics, tf.float32))


_graph = tf.function(camera.checked, autograph=False, reduce_retracing=True)


def _checked_in_graph(depth, intrinsics):
    return _graph(tf.constant(depth, tf.float32), tf.constant(intrinsics, tf.float32))


def _checked_in_dataset(depth, intrinsics):
    tensors = tf.constant(depth, tf.float32), tf.constant(intrinsics, tf.float32)
    return next(iter(tf.data.Dataset.from_tensors(tensors).map(camera.checked)))


# What refuses, and with what. A batch holds one bad frame among good ones.
CHECKS = {
    "eager": (_checked, ValueError),
    "graph": (_checked_in_graph, tf.errors.InvalidArgumentError),
    "dataset": (_checked_in_dataset, tf.errors.InvalidArgumentError),
}
FRAME = np.full([3, 4], 1.5, np.float32)


@pytest.mark.parametrize(("check", "error"), CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({0: 0}, "510"),
        ({0: -500}, "-500"),
        ({1: np.nan}, "nan"),
        ({3: np.inf}, "inf"),
        ({0: 0, 1: 0, 2: 0, 3: 0}, "0"),
    ],
)
def test_a_camera_that_cannot_exist_is_refused(check, error, changes, said):
    bad = INTRINSICS.copy()
    bad[list(changes)] = list(changes.values())
    for depth, intrinsics in ((FRAME, bad), (np.stack([FRAME] * 3), np.stack([INTRINSICS, bad, INTRINSICS]))):
        with pytest.raises(error, match="intrinsics must be finite and their focal lengths positive") as raised:
            check(depth, intrinsics)
        assert said in str(raised.value).partition("not")[2]


@pytest.mark.parametrize(("check", "error"), CHECKS.values(), ids=CHECKS)
def test_millimetres_are_refused(check, error):
    some_missing = np.where(np.eye(3, 4) > 0, 0, 1000 * FRAME)
    for depth in (1000 * FRAME, some_missing, np.stack([FRAME, 1000 * FRAME])):
        with pytest.raises(error, match=r"depth must be in metres.*1500"):
            check(depth, INTRINSICS)


@pytest.mark.parametrize("check", [check for check, _ in CHECKS.values()], ids=CHECKS)
def test_a_far_background_is_not_refused(check):
    """The rule is for the median of what is measured: half of the pixels may lie beyond 50 m."""
    depth = FRAME.copy()
    depth[:, 2:] = 80
    values, valid, intrinsics = check(depth, INTRINSICS)
    np.testing.assert_array_equal(values, depth)
    assert np.all(valid)
    np.testing.assert_array_equal(intrinsics, INTRINSICS)


def test_millimetres_as_whole_numbers_are_refused():
    with pytest.raises(ValueError, match="1500"):
        camera.checked(np.full([3, 4], 1500, np.uint16), INTRINSICS)


@pytest.mark.parametrize("depth", [np.zeros([3, 4]), np.full([3, 4], np.nan), np.full([3, 4], np.inf), -FRAME])
def test_no_depth_at_all_is_not_refused(depth):
    for check, _ in CHECKS.values():
        values, valid, _ = check(depth, INTRINSICS)
        np.testing.assert_array_equal(values, np.zeros([3, 4]))
        assert not np.any(valid)


def test_an_empty_batch_is_not_refused():
    assert _checked_in_graph(np.zeros([0, 3, 4]), np.zeros([0, 4]))[0].shape == (0, 3, 4)


def test_shapes_are_named():
    with pytest.raises(ValueError, match=r"intrinsics must be \[..., 4\].*\(3, 3\)"):
        camera.checked(FRAME, np.eye(3))
    with pytest.raises(ValueError, match=r"intrinsics must be \[..., 4\].*\(\)"):
        camera.checked(FRAME, 500.0)
    with pytest.raises(ValueError, match=r"depth must be \[..., H, W\].*\(4,\)"):
        camera.checked(FRAME[0], INTRINSICS)


def test_a_constant_of_a_graph_is_refused_when_it_is_built():
    build = tf.function(lambda depth: camera.checked(depth, np.zeros(4, np.float32)), autograph=False)
    with pytest.raises(ValueError, match="focal lengths"):
        build.get_concrete_function(tf.TensorSpec([None, None]))


def test_without_assertions_a_camera_that_cannot_exist_sees_nothing():
    """XLA drops assertions; the frames beside the bad one keep their depth."""
    check = tf.function(camera.checked, autograph=False, jit_compile=True)
    depth, valid, intrinsics = check(tf.constant([FRAME, FRAME]), tf.constant([INTRINSICS, np.nan * INTRINSICS]))
    np.testing.assert_array_equal(depth, [FRAME, 0 * FRAME])
    np.testing.assert_array_equal(valid, [FRAME > 0, FRAME < 0])
    np.testing.assert_array_equal(intrinsics, [INTRINSICS, np.ones(4)])
