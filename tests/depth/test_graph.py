"""Every public graph function eagerly, in a graph of dynamic size and in tf.data; batches; depth of any kind."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.depth import camera, depth_images, gravity, hha, normals

INTRINSICS = np.array([57.0, 57.0, 19.5, 14.5], np.float32)
DOWN = np.array([0, 0.8, 0.6], np.float32)
SIZE = (30, 40)


FUNCTIONS = {
    "measured": camera.measured,
    "back_project": lambda depth: camera.back_project(depth, INTRINSICS),
    "rays": lambda depth: camera.rays(*camera.image_size(depth), INTRINSICS),
    "crop": lambda depth: (
        camera.crop_intrinsics(INTRINSICS, depth[..., 0, 0], depth[..., 0, 1])
        if depth.shape.rank == 2
        else tf.constant(INTRINSICS)
    ),
    "resize": lambda depth: camera.resize_intrinsics(INTRINSICS, tf.cast(tf.shape(depth)[-1], tf.float32) / 10),
    "gradient_normals": lambda depth: normals.gradient_normals(
        camera.back_project(depth, INTRINSICS), camera.measured(depth)[1]
    ),
    "plane_normals": lambda depth: normals.plane_normals(depth, INTRINSICS, None, radius=3),
    "gravity": lambda depth: gravity.estimate(*normals.plane_normals(depth, INTRINSICS, None, radius=3)),
    "checked": lambda depth: camera.checked(depth, INTRINSICS)[:2],
    "gravity from depth": lambda depth: gravity.from_depth(depth, INTRINSICS),
    "gupta": lambda depth: hha.encode(depth, INTRINSICS),
    "gupta, known": lambda depth: hha.encode(depth, INTRINSICS, DOWN),
    "gupta, metres": lambda depth: hha.encode(depth, INTRINSICS, DOWN, ground=1.3),
    "paper": lambda depth: hha.encode(depth, INTRINSICS, encoding="paper"),
    "paper, known": lambda depth: hha.encode(depth, INTRINSICS, DOWN, encoding="paper"),
}

IMAGES = depth_images.DEPTH_INPUTS[1:]
FUNCTIONS |= {name: lambda depth, name=name: depth_images.encode(depth, INTRINSICS, name) for name in IMAGES}

KNOWN = ("gupta, known", "gupta, metres", "paper, known")  # parts of what the functions do that find gravity in depth


def _depth(kind, size=SIZE):
    generator = np.random.default_rng(4)
    y, x = np.indices(size, np.float32)
    corner = (1 / np.maximum(0.25 + 0.01 * x, 0.1 + 0.02 * y)).astype(np.float32)
    strange = np.array([np.nan, np.inf, -np.inf, -1, 0, 1e-38, 3e38], np.float32)
    return {
        "corner": corner,
        "holes": np.where(generator.random(size) < 0.2, 0, corner),
        "missing": np.zeros(size, np.float32),
        "strange": np.where(generator.random(size) < 0.5, generator.choice(strange, size), corner),
        "nan": np.full(size, np.nan, np.float32),
    }[kind]


def _equal(first, second):
    for one, other in zip(tf.nest.flatten(first), tf.nest.flatten(second), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4 * max(1, np.max(np.abs(other), initial=0)))


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in (*KNOWN, "paper", "gravity from depth") else n for n in FUNCTIONS],
)
def test_graph_and_dataset_give_what_eager_gives(name):
    function, depth = FUNCTIONS[name], _depth("holes")
    eager = function(tf.constant(depth))
    dynamic = tf.function(function, input_signature=[tf.TensorSpec([None, None], tf.float32)], autograph=False)
    _equal(eager, dynamic(depth))
    _equal(eager, next(iter(tf.data.Dataset.from_tensors(depth).map(function))))


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - {"rays", "crop", "resize"}))
def test_a_batch_gives_what_its_frames_give(name):
    function = FUNCTIONS[name]
    frames = np.stack([_depth("holes"), _depth("corner"), _depth("missing"), _depth("corner")[::-1]])
    single = [function(tf.constant(frame)) for frame in frames]
    _equal(function(tf.constant(frames)), tf.nest.map_structure(lambda *parts: np.stack(parts), *single))
    nested = function(tf.constant(frames.reshape(2, 2, *SIZE)))
    merged = tf.nest.map_structure(lambda part: tf.reshape(part, [4, *part.shape[2:]]), nested)
    _equal(function(tf.constant(frames)), merged)


@pytest.mark.parametrize("kind", ["missing", "nan", "strange", "holes"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3), SIZE])
def test_no_depth_makes_nan_or_inf(kind, size):
    depth = tf.constant(_depth(kind, size))
    for name in ("back_project", "gradient_normals", "plane_normals", "gravity from depth", "gupta", "paper", *IMAGES):
        for values in tf.nest.flatten(FUNCTIONS[name](depth)):
            assert np.isfinite(values.numpy().astype(np.float32)).all(), name
            if name in ("gupta", "paper", *IMAGES):
                assert values.shape == (*size, 3) and np.min(values) >= 0 and np.max(values) <= 255


@pytest.mark.parametrize("encoding", hha.ENCODINGS)
def test_known_and_unknown_gravity_in_one_batch(encoding):
    depth = np.stack([_depth("holes")] * 3)
    gravities = np.stack([2 * DOWN, 0 * DOWN, np.float32(np.nan) * DOWN])
    mixed = hha.encode(depth, INTRINSICS, gravities, encoding=encoding)
    _equal(mixed[0], hha.encode(depth[0], INTRINSICS, DOWN, encoding=encoding))
    for index in (1, 2):
        _equal(mixed[index], hha.encode(depth[0], INTRINSICS, encoding=encoding))


def test_known_gravity_skips_the_estimation(monkeypatch):
    """The estimation stands in a branch of the graph that is not run."""
    runs = []

    def counted(vectors, _valid):
        return tf.ensure_shape(tf.numpy_function(lambda _: runs.append(1) or DOWN, [vectors], tf.float32), [3])

    monkeypatch.setattr(hha.gravity_estimation, "estimate", counted)
    encode = tf.function(lambda gravity: hha.encode(_depth("corner"), INTRINSICS, gravity), autograph=False)
    encode(DOWN)
    assert not runs
    encode(0 * DOWN)
    assert len(runs) == 1


@pytest.mark.parametrize("encoding", ["gupta", pytest.param("paper", marks=pytest.mark.slow)])
def test_static_shapes_survive(encoding):
    encode = tf.function(lambda depth: hha.encode(depth, INTRINSICS, encoding=encoding), autograph=False)
    for shape in ([30, 40], [None, 30, 40], [4, None, 40], [2, 3, None, None]):
        output = encode.get_concrete_function(tf.TensorSpec(shape, tf.float32)).outputs[0]
        assert output.shape.as_list() == [*shape, 3]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_static_shape_gives_static_shapes(name):
    graph = tf.function(FUNCTIONS[name], autograph=False).get_concrete_function(tf.TensorSpec([2, 30, 40]))
    assert all(output.shape.is_fully_defined() for output in graph.outputs)


@pytest.mark.parametrize(
    "variant",
    [("gupta", "auto"), *(pytest.param(v, marks=pytest.mark.slow) for v in (("gupta", 1.3), ("paper", "lowest")))],
    ids=str,
)
def test_saved_model(tmp_path, variant):
    options = dict(zip(("encoding", "ground"), variant, strict=True))
    module = tf.Module()
    module.encode = tf.function(
        lambda depth, intrinsics, gravity: hha.encode(depth, intrinsics, gravity, **options),
        input_signature=[tf.TensorSpec([None, None, None]), tf.TensorSpec([None, 4]), tf.TensorSpec([None, 3])],
        autograph=False,
    )
    tf.saved_model.save(module, str(tmp_path))
    depth = np.stack([_depth("holes"), _depth("corner")])
    arguments = depth, np.stack([INTRINSICS] * 2), np.stack([DOWN, 0 * DOWN])
    loaded = tf.saved_model.load(str(tmp_path))
    _equal(loaded.encode(*map(tf.constant, arguments)), hha.encode(*arguments, **options))
    for wrong, message in ((1000 * depth, "metres"), (depth, "focal lengths")):
        camera_of = arguments[1] * (message == "metres")
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            loaded.encode(*map(tf.constant, (wrong, camera_of, arguments[2])))


@pytest.mark.parametrize("name", [*KNOWN, *IMAGES])
def test_xla_gives_what_eager_gives(name):
    compiled = tf.function(FUNCTIONS[name], autograph=False, jit_compile=True)
    for kind in ("holes", "missing"):
        _equal(FUNCTIONS[name](tf.constant(_depth(kind))), compiled(tf.constant(_depth(kind))))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gupta", "paper", "gravity from depth"])
def test_xla_estimates_gravity_as_eager_does(name):
    """Slow to compile: ten eigenproblems in a row."""
    compiled = tf.function(FUNCTIONS[name], autograph=False, jit_compile=True)
    _equal(FUNCTIONS[name](tf.constant(_depth("holes"))), compiled(tf.constant(_depth("holes"))))


def test_without_assertions_a_camera_that_cannot_exist_gives_an_empty_image():
    """XLA drops assertions; the image then shows no depth, and holds no NaN."""
    encode = tf.function(lambda *arguments: hha.encode(*arguments, DOWN), autograph=False, jit_compile=True)
    image = encode(tf.constant([_depth("corner")] * 2), tf.constant([INTRINSICS, 0 * INTRINSICS]))
    _equal(image[0], hha.encode(_depth("corner"), INTRINSICS, DOWN))
    _equal(image[1], hha.encode(_depth("missing"), INTRINSICS, DOWN))
