"""What holds for every image, whatever its size, mask, camera and scale: properties tried on drawn examples."""

import functools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import hha_scenes
from keras_simsiam.depth import camera, gravity, hha, normals

STRANGE = np.array([np.nan, np.inf, -np.inf, -1, 0, 1e-38, 3e38], np.float32)
drawn = functools.partial(settings, max_examples=20, deadline=None, derandomize=True)

seeds = st.integers(0, 2**32 - 1)
encodings = st.sampled_from(hha.ENCODINGS)


@st.composite
def cameras(draw, smallest=1, largest=24):
    """(size, intrinsics): an image of few pixels with about any field of view."""
    height, width = (draw(st.integers(smallest, largest)) for _ in range(2))
    focal = [draw(st.floats(8, 200, width=32)) for _ in range(2)]
    centre = [draw(st.floats(-2, side + 2, width=32)) for side in (width, height)]
    return (height, width), np.float32([*focal, *centre])


def _unit(random):
    vector = random.normal(size=3)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def _smooth(size, random, missing):
    """Depth of a bowed surface with missing pixels: normals depend on it continuously."""
    y, x = np.indices(size) / 24
    a, b, c, d = random.uniform(-0.2, 0.2, 4)
    depth = 1 / (0.6 + a * x + b * y + c * x * y + d * x * x)
    return np.where(random.random(size) < missing, 0, depth).astype(np.float32)


@drawn(max_examples=40)
@given(cameras(), seeds, st.floats(0, 1), encodings, st.sampled_from(["auto", "lowest"]), st.booleans())
def test_never_a_nan_and_always_in_range(frame, seed, strange, encoding, ground, known):
    (size, intrinsics), random = frame, np.random.default_rng(seed)
    depth = np.where(random.random(size) < strange, random.choice(STRANGE[:-1], size), random.uniform(0.1, 9, size))
    down, valid = _unit(random) if known else None, random.random(size) < 0.8
    image = hha.encode(depth.astype(np.float32), intrinsics, down, valid, encoding=encoding, ground=ground).numpy()
    assert image.shape == (*size, 3)
    assert np.isfinite(image).all() and image.min() >= 0 and image.max() <= 255


@drawn()
@given(cameras(), seeds, st.floats(0, 1), st.integers(1, 10))
def test_normals_are_unit_and_point_away(frame, seed, missing, radius):
    (size, intrinsics), random = frame, np.random.default_rng(seed)
    depth = np.where(random.random(size) < missing, 0, random.uniform(0.2, 5, size)).astype(np.float32)
    points = camera.back_project(depth, intrinsics).numpy()
    for vectors, valid in (
        normals.plane_normals(depth, intrinsics, None, radius=radius),
        normals.gradient_normals(points, depth > 0),
    ):
        vectors, valid = vectors.numpy(), valid.numpy()
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=0), valid, atol=1e-5)
        assert (np.sum(vectors * points, axis=0) >= -1e-4).all()


@drawn()
@given(cameras(8), seeds, st.floats(0, 0.4), encodings, st.sampled_from([0, 1]))
def test_flipping_the_image_flips_its_encoding(frame, seed, missing, encoding, axis):
    """A mirrored scene under a mirrored camera: the principal point and gravity are mirrored too."""
    (size, intrinsics), random = frame, np.random.default_rng(seed)
    depth, down = _smooth(size, random, missing), _unit(random)
    mirrored, mirrored_down = intrinsics.copy(), down.copy()
    mirrored[3 - axis] = size[axis] - 1 - intrinsics[3 - axis]
    mirrored_down[1 - axis] *= -1
    image = hha.encode(depth, intrinsics, down, encoding=encoding).numpy()
    flipped = hha.encode(np.flip(depth, axis), mirrored, mirrored_down, encoding=encoding).numpy()
    _same(np.flip(flipped, axis), image, depth, encoding)


def _same(image, expected, depth, encoding):
    """Equal but for rounding: `paper` stretches that of its whole range, `gupta` asks for windows that fix a plane."""
    if encoding == "paper":
        np.testing.assert_allclose(image[..., :2], expected[..., :2], atol=0.05)
        assert np.mean(np.abs(image[..., 2] - expected[..., 2])) < 1
    else:
        posed = hha_scenes.well_posed(depth, depth > 0)
        np.testing.assert_allclose(image[posed], expected[posed], atol=0.2)


@drawn(max_examples=8)
@given(seeds, st.sampled_from([0, 1]))
def test_flipping_the_image_flips_estimated_gravity(seed, axis):
    depth = hha_scenes.room()[0][::4, ::4]
    depth = np.where(np.random.default_rng(seed).random(depth.shape) < 0.2, 0, depth)
    intrinsics = camera.resize_intrinsics(hha_scenes.ROOM_INTRINSICS, 0.25).numpy()
    mirrored = intrinsics.copy()
    mirrored[3 - axis] = depth.shape[axis] - 1 - intrinsics[3 - axis]
    down, confidence = gravity.from_depth(depth, intrinsics)
    other, other_confidence = gravity.from_depth(np.flip(depth, axis), mirrored)
    # Upside down the floor is the ceiling, and gravity is again the direction nearest to the camera's y axis.
    expected = down * np.float32([[1, -1, 1], [-1, 1, 1]][axis]) * (1 if axis else -1)
    np.testing.assert_allclose(other, expected, atol=1e-3)
    np.testing.assert_allclose(other_confidence, confidence, atol=1e-3)


@drawn()
@given(cameras(4), seeds, st.floats(0, 0.4), st.floats(0.25, 4))
def test_scaling_depth_scales_height_and_leaves_papers_channels(frame, seed, missing, scale):
    """`lowest` heights are the paper's in centimetres before it stretches them, which undoes the scale."""
    (size, intrinsics), random = frame, np.random.default_rng(seed)
    depth, down, scale = _smooth(size, random, missing), _unit(random), np.float32(scale)
    heights = hha.encode(depth, intrinsics, down, ground="lowest")[..., 1].numpy()
    scaled = hha.encode(scale * depth, intrinsics, down, ground="lowest")[..., 1].numpy()
    inside = (depth > 0) & (heights < 255)
    np.testing.assert_allclose(scaled[inside], np.minimum(scale * heights, 255)[inside], atol=0.02)
    image = hha.encode(depth, intrinsics, down, encoding="paper").numpy()
    again = hha.encode(scale * depth, intrinsics, down, encoding="paper").numpy()
    if np.ptp(heights[inside]) > 1 and np.ptp(1 / depth[depth > 0]) > 0.02:
        np.testing.assert_allclose(again[..., :2], image[..., :2], atol=0.2)


@drawn()
@given(cameras(8), st.floats(-20, 90), st.floats(-180, 180), st.floats(0.3, 3))
def test_rotating_the_camera_leaves_the_floors_angle(frame, pitch, roll, distance):
    """A floor has level 38 and a wall 128, however the camera is held, where gravity is given."""
    size, intrinsics = frame
    rays = np.moveaxis(camera.rays(*size, intrinsics).numpy(), 0, -1).astype(np.float64)
    cp, sp, cr, sr = (f(np.radians(a)) for a in (pitch, roll) for f in (np.cos, np.sin))
    down = np.array([cp * sr, cp * cr, sp])
    across = np.array([cr, -sr, 0])
    with np.errstate(divide="ignore"):
        depth = distance / (rays @ down)
    seen = (depth > 0) & (depth < 20)
    depth = np.where(seen, depth, 0).astype(np.float32)
    posed = hha_scenes.well_posed(depth, depth > 0) & seen
    for gravity_given, level in ((down, 38), (-down, 218), (across, 128)):
        angle = hha.encode(depth, intrinsics, gravity_given.astype(np.float32))[..., 2].numpy()
        np.testing.assert_allclose(angle[posed], level, atol=0.5)


@drawn()
@given(st.lists(st.tuples(seeds, st.integers(1, 50), st.floats(0, 0.3)), min_size=0, max_size=4))
def test_gravity_is_a_unit_vector_whatever_the_normals(clusters):
    field = [np.zeros([1, 3])]
    for seed, count, spread in clusters:
        random = np.random.default_rng(seed)
        field.append(_unit(random) + random.normal(0, spread, [count, 3]))
    field = np.concatenate(field)[np.newaxis]
    length = np.linalg.norm(field, axis=-1)
    field = (field / np.maximum(length, 1e-9)[..., np.newaxis]).astype(np.float32)
    field = np.moveaxis(field, -1, 0)
    down = gravity.estimate(field, length > 0)
    np.testing.assert_allclose(np.linalg.norm(down), 1, atol=1e-4)
    assert 0 <= gravity.confidence(down, field, length > 0) <= 1
