"""Fills against SciPy's distance transform and by hand, on random masks and on real frames with their real holes."""

import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage, sparse

from keras_simsiam.depth import gravity, hha, holes

PACK = Path(__file__).parents[3] / "shared" / "data" / "rgbd_frames.tar.xz"
INTRINSICS = np.array([57.0, 57.0, 19.5, 14.5], np.float32)
DOWN = np.array([0, 0.8, 0.6], np.float32)


def _color(depth):
    """Stripes and ramps, the same for each image of a batch: uint8 [..., H, W, 3]."""
    shape = tf.shape(depth)
    y, x = tf.meshgrid(*(tf.range(side, dtype=tf.float32) for side in tf.unstack(shape[-2:])), indexing="ij")
    waves = tf.sin(tf.stack([0.3 * x, 0.2 * y, 0.1 * x * y], -1))
    return tf.cast(tf.broadcast_to(127.5 + 127.5 * waves, tf.concat([shape, [3]], 0)), tf.uint8)


FILLS = {**holes.FILLS, "guided": lambda depth: holes.guided(depth, _color(depth))}


def _plane(height=30, width=40, missing=0.4, seed=0):
    """A tilted plane with random single holes and a large one that reaches the border."""
    y, x = np.indices((height, width), np.float32)
    depth = 1 / (0.3 + 0.01 * x + 0.005 * y)
    depth[np.random.default_rng(seed).random(depth.shape) < missing] = 0
    depth[: height // 2, width // 2 :] = 0
    return depth.astype(np.float32)


@pytest.fixture(scope="module")
def real_frames():
    """Depth in metres of a frame of TUM fr1/desk and of a Kinect v2; 17 and 11 % of their pixels are missing."""
    if not PACK.exists():
        pytest.skip(f"{PACK} is not there")
    with tarfile.open(PACK) as pack:
        names = {"rgbd_frames/tum_fr1_desk/depth/1305031453.374112.png": 5000}
        names |= {"rgbd_frames/kinect2/depth/sample_depth.png": 10000}
        files = {name: np.frombuffer(pack.extractfile(name).read(), np.uint8) for name in names}
    return [cv2.imdecode(files[name], cv2.IMREAD_UNCHANGED) / np.float32(units) for name, units in names.items()]


def _assert_nearest(depth):
    """The depth is replaced by numbers that name its pixels, so that the result tells which pixel was taken."""
    named = np.where(depth > 0, 1 + np.arange(depth.size).reshape(depth.shape), 0).astype(np.float32)
    taken = np.divmod(holes.nearest(named).numpy().astype(int) - 1, depth.shape[1])
    distance = np.hypot(*(np.indices(depth.shape) - taken))
    np.testing.assert_allclose(distance, ndimage.distance_transform_edt(depth == 0), atol=1e-9)


@pytest.mark.parametrize("missing", [0.0, 0.5, 0.99])
def test_nearest_is_the_nearest(missing):
    for seed in range(3):
        _assert_nearest(_plane(37, 23, missing, seed))


def test_nearest_across_a_whole_image():
    depth = np.zeros((20, 50), np.float32)
    depth[19, 0] = 2.5
    np.testing.assert_array_equal(holes.nearest(depth), np.full_like(depth, 2.5))


def test_fills_on_real_frames(real_frames):
    for depth in real_frames:
        _assert_nearest(depth)
        for fill in FILLS.values():
            filled = fill(depth).numpy()
            np.testing.assert_array_equal(filled[depth > 0], depth[depth > 0])
            assert filled.min() >= depth[depth > 0].min() * 0.999 and filled.max() <= depth.max() * 1.001


def test_inpaint_by_hand():
    """A single halving: its one pixel is the mean of both known ones, equally near to it."""
    filled = holes.inpaint(tf.constant([[1.0, 0.0], [0.0, 3.0]])).numpy()
    np.testing.assert_allclose(filled, [[1, 2], [2, 3]], atol=1e-6)


def _shortest_paths(depth, rgb):
    """By SciPy: the measured pixel at the end of the shortest path from each, flat indices."""
    height, width = depth.shape
    spread = np.array([1, 4, 6, 4, 1]) / 16
    smooth = rgb.astype(float) / 255
    for axis in (0, 1):
        smooth = ndimage.correlate1d(smooth, spread, axis=axis, mode="nearest")
    smooth, pixels = smooth.reshape(-1, 3), np.arange(depth.size).reshape(height, width)
    pairs = [(pixels[:, :-1], pixels[:, 1:]), (pixels[:-1], pixels[1:])]
    pairs += [(pixels[:-1, :-1], pixels[1:, 1:]), (pixels[:-1, 1:], pixels[1:, :-1])]
    rows, columns = (np.concatenate([pair[side].ravel() for pair in pairs]) for side in (0, 1))
    lengths = np.repeat([1, 1, 2**0.5, 2**0.5], [pair[0].size for pair in pairs])
    lengths = lengths + 10 * np.abs(smooth[rows] - smooth[columns]).sum(1)
    graph = sparse.coo_matrix((lengths, (rows, columns)), (depth.size, depth.size))
    measured = np.flatnonzero(depth > 0)
    _, _, sources = sparse.csgraph.dijkstra(graph, False, measured, return_predecessors=True, min_only=True)
    return sources.reshape(depth.shape)


def test_guided_takes_the_end_of_the_shortest_path(monkeypatch):
    monkeypatch.setattr(holes, "_SWEEPS", 0)
    for seed in range(3):
        depth = _plane(37, 23, 0.9, seed)
        rgb = np.random.default_rng(seed).integers(0, 256, (37, 23, 3), np.uint8)
        named = np.where(depth > 0, 1 + np.arange(depth.size).reshape(depth.shape), 0).astype(np.float32)
        taken = holes.guided(named, rgb).numpy().astype(int) - 1
        np.testing.assert_array_equal(taken, _shortest_paths(depth, rgb))


def test_guided_keeps_to_its_side_of_a_colour_edge():
    """Two surfaces of two colours, and a hole that takes in more of the one: `nearest` halves it, colour does not."""
    truth = np.tile(np.where(np.arange(48) < 20, 1.0, 2.0).astype(np.float32), (48, 1))
    rgb = np.where(truth == 1, 40, 200).astype(np.uint8)[..., np.newaxis].repeat(3, -1)
    punched = truth.copy()
    punched[8:40, 16:36] = 0
    error = np.abs(holes.guided(punched, rgb).numpy() - truth)
    assert np.abs(holes.nearest(punched).numpy() - truth).mean() > 0.04
    assert error.mean() < 0.005 and np.mean(error > 0.1) < 0.01


def test_guided_smooths_the_steps_of_a_slope_and_no_edge_of_depth():
    ramp = np.tile(np.linspace(1, 1.5, 64, dtype=np.float32), (64, 1))
    punched, grey = ramp.copy(), np.zeros((64, 64, 3), np.uint8)
    punched[:, 24:40] = 0
    step = np.abs(np.diff(holes.guided(punched, grey).numpy()[32])).max()
    assert step < 0.3 * np.abs(np.diff(holes.nearest(punched).numpy()[32])).max()
    edge = np.where(np.arange(64) < 32, 1, 3).astype(np.float32) * np.ones((64, 1), np.float32)
    punched = np.where(ramp == punched, edge, 0)
    np.testing.assert_allclose(holes.guided(punched, grey), edge, atol=1e-3)


def test_guided_needs_colour():
    with pytest.raises(ValueError, match="'guided' fills depth along colour: give rgb"):
        holes.encode(_plane(), INTRINSICS, DOWN, holes="guided")


def test_inpaint_is_smooth_where_nearest_has_steps():
    """In a hole 8 wide across a ramp: a quarter of what the ramp rises across it, at most, against a half."""
    ramp = np.tile(np.linspace(1, 2, 64, dtype=np.float32), (64, 1))
    punched = ramp.copy()
    punched[:, 28:36] = 0
    error = np.abs(holes.inpaint(punched).numpy() - ramp)[16:48]
    rise = ramp[0, 35] - ramp[0, 28]
    assert error.max() < 0.25 * rise
    assert np.abs(holes.nearest(punched).numpy() - ramp).max() > 0.4 * rise


@pytest.mark.parametrize("name", FILLS)
def test_measured_pixels_stay_bit_for_bit_and_nothing_else_is_strange(name):
    strange = np.array([np.nan, np.inf, -np.inf, -1, 0, 1e-37, 3e38, 1e-5, 2e4], np.float32)
    generator = np.random.default_rng(1)
    depth = np.where(generator.random((30, 40)) < 0.5, generator.choice(strange, (30, 40)), _plane()).astype(np.float32)
    filled = FILLS[name](depth).numpy()
    measured = (depth > 0) & np.isfinite(depth)
    np.testing.assert_array_equal(filled[measured].view(np.int32), depth[measured].view(np.int32))
    assert filled.dtype == np.float32 and np.isfinite(filled).all() and (filled > 0).all()


@pytest.mark.parametrize("name", FILLS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3), (33, 17)])
def test_any_size_and_no_depth_at_all(name, size):
    fill = FILLS[name]
    for nothing in (0.0, np.nan, -1.0):
        np.testing.assert_array_equal(fill(np.full(size, nothing, np.float32)), np.zeros(size))
    one = np.zeros(size, np.float32)
    one[-1, 0] = 1.5
    np.testing.assert_allclose(fill(one), np.full(size, 1.5), atol=1e-6)


@pytest.mark.parametrize("name", FILLS)
def test_a_batch_is_filled_image_by_image(name):
    fill = FILLS[name]
    frames = np.stack([_plane(), np.zeros((30, 40), np.float32), _plane(seed=1), _plane()[::-1]])
    alone = np.stack([fill(frame) for frame in frames])
    np.testing.assert_allclose(fill(frames), alone, atol=1e-6)
    np.testing.assert_allclose(fill(frames.reshape(2, 2, 30, 40)), alone.reshape(2, 2, 30, 40), atol=1e-6)


@pytest.mark.parametrize("name", FILLS)
def test_eager_graph_and_dataset_agree(name):
    fill, depth = FILLS[name], _plane()
    graph = tf.function(fill, input_signature=[tf.TensorSpec([None, None])], autograph=False)
    np.testing.assert_allclose(graph(depth), fill(depth), atol=1e-6)
    mapped = tf.data.Dataset.from_generator(lambda: [depth], output_signature=tf.TensorSpec([None, None])).map(fill)
    np.testing.assert_allclose(next(iter(mapped)), fill(depth), atol=1e-6)
    static = tf.function(fill, autograph=False).get_concrete_function(tf.TensorSpec([2, 30, 40]))
    assert static.outputs[0].shape == (2, 30, 40)


CHOICES = [choice for choice in holes.CHOICES if choice != "learned"]  # which has tests/depth/test_completion.py


def _encode(choice, depth, encoding="gupta"):
    return holes.encode(depth, INTRINSICS, DOWN, encoding=encoding, holes=choice, rgb=_color(depth)).numpy()


@pytest.mark.parametrize("encoding", hha.ENCODINGS)
def test_what_each_choice_makes_of_a_hole(encoding):
    depth = _plane()
    valid = depth > 0
    published = hha.encode(depth, INTRINSICS, DOWN, encoding=encoding).numpy()
    np.testing.assert_array_equal(_encode("none", depth, encoding), published)

    masked = _encode("mask", depth, encoding)
    np.testing.assert_array_equal(masked[..., :3], published)
    np.testing.assert_array_equal(masked[..., 3], 255 * valid)

    neutral = _encode("neutral", depth, encoding)
    np.testing.assert_array_equal(neutral[valid], published[valid])
    np.testing.assert_array_equal(neutral[~valid], 128)

    for name, fill in FILLS.items():
        filled = hha.encode(fill(depth), INTRINSICS, DOWN, encoding=encoding).numpy()
        np.testing.assert_array_equal(_encode(name, depth, encoding), filled)


@pytest.mark.parametrize(
    "choice", [c if c in ("none", "nearest") else pytest.param(c, marks=pytest.mark.slow) for c in CHOICES]
)
def test_encode_in_a_graph_and_on_nothing(choice):
    encode = tf.function(
        lambda depth: holes.encode(depth, INTRINSICS, DOWN, encoding="paper", holes=choice, rgb=_color(depth)),
        input_signature=[tf.TensorSpec([None, None])],
        autograph=False,
    )
    channels = 4 if choice == "mask" else 3
    assert encode.get_concrete_function().outputs[0].shape.as_list() == [None, None, channels]
    # an angle near a pole is sensitive to the order of additions
    np.testing.assert_allclose(encode(_plane()), _encode(choice, _plane(), "paper"), atol=0.05)
    nothing = encode(np.full((3, 5), np.nan, np.float32))
    assert np.isfinite(nothing).all() and nothing.shape == (3, 5, channels)


def test_inpaint_brings_the_encoding_nearer_to_that_of_the_whole_plane():
    whole, punched = _plane(missing=0.0), _plane(missing=0.3)
    complete = 1 / (0.3 + 0.01 * np.indices((30, 40))[1] + 0.005 * np.indices((30, 40))[0])
    truth = _encode("none", complete.astype(np.float32))
    hole = (punched == 0) & (whole > 0)  # holes of a few pixels
    error = {choice: np.abs(_encode(choice, punched) - truth)[hole].mean() for choice in ("none", *FILLS)}
    assert error["guided"] < error["none"] / 4
    assert error["inpaint"] < error["none"] / 4 and error["nearest"] < error["none"] / 4


@pytest.mark.parametrize("choice", FILLS)
def test_unknown_gravity_is_that_of_what_was_measured(choice):
    """One image of known and one of unknown gravity; the fill of neither may turn it."""
    depth = np.stack([_plane(), _plane(seed=1)])
    estimated, _ = gravity.from_depth(depth[1], INTRINSICS)
    right = hha.encode(FILLS[choice](depth), INTRINSICS, tf.stack([DOWN, estimated]))
    given = holes.encode(depth, INTRINSICS, np.stack([DOWN, 0 * DOWN]), holes=choice, rgb=_color(depth))
    np.testing.assert_allclose(given, right, atol=0.05)
    alone = holes.encode(depth[1], INTRINSICS, holes=choice, rgb=_color(depth[1]))
    np.testing.assert_allclose(alone, right[1], atol=0.05)


def test_a_fill_does_not_turn_a_real_frame(real_frames):
    """Estimated from a filled image, the gravity of this desk comes out elsewhere, and every measured angle with it."""
    depth, camera = real_frames[0], np.array([517.3, 516.5, 318.6, 255.3], np.float32)
    measured = ndimage.distance_transform_edt(depth > 0) > 6  # normals of 7 x 7 pixels see no hole
    angles = [holes.encode(depth, camera, holes=choice)[..., 2].numpy()[measured] for choice in ("none", "nearest")]
    np.testing.assert_allclose(*angles, atol=0.5)


def test_an_unknown_choice_is_refused():
    with pytest.raises(ValueError, match=r"none, mask, neutral, nearest, inpaint, guided, learned, not 'wish'"):
        _encode("wish", _plane())
