"""Both HHA encodings: golden values, the published images, holes and degenerate images."""

import numpy as np
import pytest

from benchmarks import hha_numpy, hha_scenes
from keras_simsiam.depth import hha

INTRINSICS = np.array([57.0, 57.0, 19.5, 14.5], np.float32)
DOWN = np.array([0, 0.8, 0.6], np.float32)
GOLDEN = hha_scenes.golden_frames()


@pytest.fixture(scope="module")
def scene():
    """The room at a fraction of its size, with noise and holes."""
    generator = np.random.default_rng(0)
    depth = hha_scenes.room()[0][::4, ::4]
    depth = depth * generator.normal(1, 0.002, depth.shape).astype(np.float32)
    depth[generator.random(depth.shape) < 0.15] = 0
    depth[5:14, 20:33] = 0
    return depth, np.append(hha_scenes.ROOM_INTRINSICS[:2], hha_scenes.ROOM_INTRINSICS[2:]) / 4


def test_room_has_the_golden_medians():
    depth, plane = hha_scenes.room()
    image = np.rint(hha.encode(depth, hha_scenes.ROOM_INTRINSICS))
    expected = {0: (119, 0, 38), 2: (79, 115, 128), 3: (87, 76, 128), 4: (88, 93, 128)}
    for index, median in expected.items():
        np.testing.assert_array_equal(np.median(image[plane == index], axis=0), median)


def test_frontal_wall_at_two_metres():
    image = np.rint(hha.encode(np.full([40, 50], 2, np.float32), INTRINSICS))
    np.testing.assert_array_equal(image[..., 0], 155)
    np.testing.assert_array_equal(image[..., 2], 128)


@pytest.mark.skipif(not GOLDEN, reason="the golden images are not here")
@pytest.mark.parametrize("frame", GOLDEN, ids=[frame[0] for frame in GOLDEN])
def test_published_images(frame):
    _name, depth, intrinsics, valid, published = frame
    image = np.rint(hha.encode(depth, intrinsics, valid=valid))
    difference = np.abs(image - published)[hha_scenes.well_posed(depth, valid)]
    np.testing.assert_array_less(difference.max(axis=0), 1.5)
    assert (difference == 0).mean() > 0.98


@pytest.mark.parametrize("gravity", [None, DOWN], ids=["estimated", "known"])
def test_gupta_matches_float64_normal_equations(scene, gravity):
    depth, intrinsics = scene
    image = hha.encode(depth, intrinsics, gravity).numpy()
    expected = hha_numpy.encode(depth, intrinsics, gravity)
    posed = hha_scenes.well_posed(depth, depth > 0)
    assert posed.mean() > 0.8
    np.testing.assert_allclose(image[posed], expected[posed], atol=0.1)


def test_gupta_height_is_measured_from_the_lowest_point_below_ninety_centimetres():
    y = np.arange(30)[:, None] * np.ones(40)
    depth = np.full([30, 40], 2, np.float32)
    down = np.array([0, 1, 0], np.float32)
    above = -200 * (y - 14.5) / 57  # cm; the lowest is -50.9
    np.testing.assert_allclose(hha.encode(depth, INTRINSICS, down)[..., 1], above + 130, atol=1e-3)
    far = hha.encode(2 * depth, INTRINSICS, down)[..., 1]
    np.testing.assert_allclose(far, 2 * above - (2 * above).min(), atol=1e-3)


LEVEL = np.array([0, 1, 0], np.float32)


def _heights_of_a_wall(distance):
    """Centimetres above the camera that a frontal wall shows, from its lowest row up."""
    return -100 * distance * (np.arange(30)[:, None] * np.ones(40) - 14.5) / 57


@pytest.mark.parametrize("distance", [2, 4])
def test_ground_lowest_counts_from_the_lowest_point(distance):
    """At 2 m nothing is lower than 90 cm, where `auto` takes the floor to be 130 cm down; at 4 m both agree."""
    depth, heights = np.full([30, 40], distance, np.float32), _heights_of_a_wall(distance)
    lowest = hha.encode(depth, INTRINSICS, LEVEL, ground="lowest").numpy()
    np.testing.assert_allclose(lowest[..., 1], np.clip(heights - heights.min(), 0, 255), atol=1e-3)
    auto = hha.encode(depth, INTRINSICS, LEVEL).numpy()
    np.testing.assert_array_equal(auto[..., [0, 2]], lowest[..., [0, 2]])
    assert np.array_equal(auto, lowest) == (distance == 4)


@pytest.mark.parametrize("metres", [0.3, 1, 1.62, np.float32(0.5)])
def test_ground_in_metres_is_the_cameras_height(metres):
    heights = _heights_of_a_wall(2) + 100 * metres
    image = hha.encode(np.full([2, 30, 40], 2, np.float32), INTRINSICS, np.stack([LEVEL] * 2), ground=metres)
    np.testing.assert_allclose(image[..., 1], [np.clip(heights, 0, 255)] * 2, atol=1e-3)
    if metres < 0.5:
        assert np.min(image[..., 1]) == 0  # what lies below the ground is shown as on it


@pytest.mark.parametrize(("ground", "height"), [("auto", 130), ("lowest", 0), (0.7, 70)])
def test_ground_of_an_empty_image(ground, height):
    image = hha.encode(np.zeros([3, 4], np.float32), INTRINSICS, ground=ground)
    np.testing.assert_allclose(image, np.broadcast_to([255, height, 218], [3, 4, 3]), atol=1e-4)


def test_paper_takes_both_names_of_the_ground_for_the_same(scene):
    depth, intrinsics = scene
    image = hha.encode(depth, intrinsics, DOWN, encoding="paper")
    np.testing.assert_array_equal(hha.encode(depth, intrinsics, DOWN, encoding="paper", ground="lowest"), image)


def test_paper_refuses_a_ground_in_metres():
    with pytest.raises(ValueError, match=r"ground=1.3 .* paper"):
        hha.encode(np.ones([2, 2], np.float32), INTRINSICS, encoding="paper", ground=1.3)


@pytest.mark.parametrize("ground", ["floor", 0, -1.3, np.nan, np.inf, True, None, [1.3]])
def test_unknown_ground_is_refused(ground):
    with pytest.raises(ValueError, match="ground must be auto, lowest or"):
        hha.encode(np.ones([2, 2], np.float32), INTRINSICS, ground=ground)


def test_gupta_keeps_filled_depth_out_of_the_normals_alone():
    """As published: a valid mask decides on normals; disparity and height are those of the filled depth."""
    depth = np.full([30, 40], 2, np.float32)
    valid = np.ones_like(depth, bool)
    valid[8:22, 10:30] = False
    image = hha.encode(np.where(valid, depth, 1.5), INTRINSICS, DOWN, valid).numpy()
    np.testing.assert_allclose(image[15, 20, 0], 31000 / 150, rtol=1e-6)
    np.testing.assert_allclose(image[15, 20, 2], hha.NO_NORMAL_DEGREES + hha.ANGLE_OFFSET)
    np.testing.assert_allclose(image[valid], hha.encode(depth, INTRINSICS, DOWN).numpy()[valid], atol=0.1)


def test_gupta_shows_a_hole_as_published():
    depth = np.full([30, 40], 2, np.float32)
    depth[8:22, 10:30] = 0
    image = hha.encode(depth, INTRINSICS, np.array([0, 1, 0], np.float32))
    np.testing.assert_allclose(image[15, 20], [255, 130, 218], atol=1e-4)


def test_paper_channels_against_numpy():
    """A table top seen from above at an angle: channels are affine in 1/Z, height and angle."""
    generator = np.random.default_rng(1)
    rays = hha_numpy.rays([30, 40], INTRINSICS)
    depth = (1.0 / (rays @ DOWN) * generator.uniform(0.9, 1.1, [30, 40])).astype(np.float32)
    image = hha.encode(depth, INTRINSICS, DOWN, encoding="paper").numpy()
    points = depth[..., None] * rays
    normal = np.cross(np.gradient(points, axis=1), np.gradient(points, axis=0))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    normal *= np.where(np.sum(normal * points, axis=-1) < 0, -1, 1)[..., None]
    channels = np.stack([1 / depth, -points @ DOWN, np.arccos(normal @ DOWN)], axis=-1)
    low, high = channels.min((0, 1)), channels.max((0, 1))
    np.testing.assert_allclose(image, 255 * (channels - low) / (high - low), atol=0.05)


def test_paper_shows_missing_depth_black_and_scales_by_the_rest(scene):
    depth, intrinsics = scene
    image = hha.encode(depth, intrinsics, DOWN, encoding="paper").numpy()
    np.testing.assert_array_equal(image[depth == 0], 0)
    np.testing.assert_allclose(image[depth > 0].min(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(image[depth > 0].max(axis=0), 255, atol=1e-3)
    masked = hha.encode(np.where(depth > 0, depth, 1), intrinsics, DOWN, depth > 0, encoding="paper")
    np.testing.assert_allclose(masked, image, atol=1e-4)


def test_paper_angle_is_black_where_depth_has_no_normal():
    depth = hha_scenes.room()[0][::4, ::4].copy()
    depth[9:12, 9:12] = 0
    depth[10, 10] = 2.5
    image = hha.encode(depth, INTRINSICS, DOWN, encoding="paper").numpy()
    assert image[10, 10, 0] > 0 and image[10, 10, 1] > 0 and image[10, 10, 2] == 0


def test_paper_does_not_stretch_a_flat_channel():
    """On a wall seen frontally 1/Z and the angle are constant up to rounding, and stay dark."""
    image = hha.encode(np.full([30, 40], 2, np.float32), INTRINSICS, np.array([0, 1, 0], np.float32), encoding="paper")
    assert np.max(image[..., 0]) == 0 and np.max(image[..., 2]) < 10
    np.testing.assert_allclose(np.max(image[..., 1]), 255, atol=1e-3)


def test_unknown_encoding_is_refused():
    with pytest.raises(ValueError, match="gupta, paper"):
        hha.encode(np.ones([2, 2], np.float32), INTRINSICS, encoding="jet")


@pytest.mark.parametrize("encoding", hha.ENCODINGS)
def test_bad_input_is_refused(encoding):
    depth = np.full([3, 4], 1500, np.float32)
    with pytest.raises(ValueError, match=r"metres.*1500"):
        hha.encode(depth, INTRINSICS, encoding=encoding)
    with pytest.raises(ValueError, match="focal lengths"):
        hha.encode(depth / 1000, 0 * INTRINSICS, encoding=encoding)


@pytest.mark.parametrize("encoding", hha.ENCODINGS)
def test_depth_of_any_kind_in_one_pixel(encoding):
    """1×1: no normal, so no angle; `paper` cannot stretch a single value."""
    shown = {"gupta": {1.5: (206.667, 130, 218), None: (255, 130, 218)}, "paper": {1.5: (0, 0, 0), None: (0, 0, 0)}}
    for value in (1.5, 0, -1, np.nan, np.inf):
        image = hha.encode(np.full([1, 1], value, np.float32), np.array([57, 57, 0, 0]), encoding=encoding)
        np.testing.assert_allclose(image[0, 0], shown[encoding][value if value == 1.5 else None], atol=1e-2)
