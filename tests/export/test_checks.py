"""Bad input, sent as a server would hand it on: tensors of any type and shape, straight into the session."""

import concurrent.futures
import resource
import struct

import cv2
import numpy as np
import pytest
import tensorflow as tf

from export.checks import MAX_PIXELS
from keras_simsiam.views.preprocessing import clean_view
from tests.export.conftest import PREPROCESSING
from tests.serving_session import Model


@pytest.fixture(scope="module")
def model(version):
    return Model(version)


def png(width, height, bits=8, color=2):
    """The beginning of a PNG file, all that a decoder needs to set its memory aside."""
    header = struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, bits, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + header


def jpeg(height, width):
    """A JPEG file whose header says another size than its content."""
    file = cv2.imencode(".jpg", np.full((8, 8, 3), 100, np.uint8))[1].tobytes()
    place = file.index(b"\xff\xc0") + 5
    return file[:place] + struct.pack(">HH", height, width) + file[place + 4 :]


def damaged(file):
    """A file with a byte changed in the middle."""
    return file[: len(file) // 2] + bytes([file[len(file) // 2] ^ 255]) + file[len(file) // 2 + 1 :]


NO_IMAGE = "image must be a JPEG or PNG file"
CUT_IMAGE = "image is damaged or cut short"
NO_DEPTH = "depth must be a 16-bit PNG file of one channel"
RANDOM = np.random.default_rng(0).bytes(2000)
SIDE = int(MAX_PIXELS**0.5)

# name of the input, what is made of the good one, the sentence
FILES = {
    "random bytes": ("image", lambda file: RANDOM, NO_IMAGE),
    "nothing": ("image", lambda file: b"", NO_IMAGE),
    "a GIF file": ("image", lambda file: b"GIF89a" + RANDOM, NO_IMAGE),
    "the first bytes of a PNG file": ("image", lambda file: file[:8], "image must have at least one pixel"),
    "a truncated PNG file": ("image", lambda file: file[: len(file) // 2], CUT_IMAGE),
    "a PNG file without its last chunk": ("image", lambda file: file[:-40], CUT_IMAGE),
    "a PNG file with a wrong byte": ("image", damaged, CUT_IMAGE),
    "the first bytes of a JPEG file": ("image", lambda file: jpeg(8, 8)[:30], CUT_IMAGE),
    "a truncated JPEG file": ("image", lambda file: jpeg(8, 8)[:-20], CUT_IMAGE),
    "a JPEG file of no lines": ("image", lambda file: jpeg(0, 8), CUT_IMAGE),
    "no width": ("image", lambda file: png(0, 30), r"image must have at least one pixel, not the size\] \[30 0"),
    "20,000 × 20,000": ("image", lambda file: png(20000, 20000), r"image must have at most 16777216 .*20000 20000"),
    "a pixel row too many": ("image", lambda file: png(SIDE, SIDE + 1), "image must have at most"),
    "20,000 × 20,000, JPEG": ("image", lambda file: jpeg(20000, 20000), r"image must have at most .*20000 20000"),
    "sides beyond 31 bits": ("image", lambda file: png(2**32 - 1, 2**31), "image must have at most"),
    "depth of random bytes": ("depth", lambda file: RANDOM, NO_DEPTH),
    "depth of 8 bits": ("depth", lambda file: cv2.imencode(".png", np.ones((30, 40), np.uint8))[1].tobytes(), NO_DEPTH),
    "depth in colours": ("depth", lambda file: png(40, 30, 16, 2), NO_DEPTH),
    "depth as JPEG": ("depth", lambda file: jpeg(30, 40), NO_DEPTH),
    "truncated depth": ("depth", lambda file: file[:-20], "depth is damaged or cut short"),
    "depth without height": ("depth", lambda file: png(40, 0, 16, 0), "depth must have at least one pixel"),
    "20,000 × 20,000, depth": ("depth", lambda file: png(20000, 20000, 16, 0), "depth must have at most"),
    "depth of another size": (
        "depth",
        lambda file: cv2.imencode(".png", np.ones((31, 40), np.uint16))[1].tobytes(),
        r"image and depth must have the same height and width, not\] \[30 40\] \[31 40",
    ),
}
NUMBERS = {
    "intrinsics that are not numbers": ("intrinsics", [np.nan, 1, 1, 1], "intrinsics must be finite"),
    "infinite intrinsics": ("intrinsics", [1, 1, np.inf, 1], "intrinsics must be finite"),
    "no focal length": ("intrinsics", [0, 1, 1, 1], "intrinsics must be .* focal lengths positive"),
    "gravity that is not a number": (
        "gravity",
        [0, np.nan, 0],
        "gravity must be finite, and zeros where it is unknown",
    ),
    "no units": ("units_per_metre", 0, "units_per_metre must be positive"),
    "negative units": ("units_per_metre", -1000, "units_per_metre must be positive"),
    "units that are not a number": ("units_per_metre", np.nan, "units_per_metre must be positive"),
    "infinite units": ("units_per_metre", np.inf, "units_per_metre must be positive"),
    "millimetres taken for metres": ("units_per_metre", 1, "depth must be in metres"),
}
FLAWED = {**FILES, **{name: (key, lambda _, value=value: value, text) for name, (key, value, text) in NUMBERS.items()}}


@pytest.mark.parametrize("flaw", FLAWED)
def test_a_frame_is_refused_with_a_sentence_that_names_the_input(model, make_frame, batch, flaw):
    name, change, sentence = FLAWED[flaw]
    good = make_frame()
    bad = good | {name: change(good[name])}
    for signature in ("serving_default", "features_map"):
        with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
            model.run(signature, batch(bad))
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):  # among good ones
        model.run("serving_default", batch(good, bad, good))


def test_shapes_are_refused_by_name(model, make_frame, batch):
    good = batch(make_frame())
    for name, value in {
        "image": good["image"][0],  # no batch
        "depth": good["depth"][[0, 0]],
        "intrinsics": np.ones((1, 3), np.float32),
        "gravity": np.ones((1, 3, 1), np.float32),
        "units_per_metre": np.ones((1, 1), np.float32),
    }.items():
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"{name} must have the shape"):
            model.run("serving_default", good | {name: np.asarray(value)})
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"image must have the shape \[B\] and at least one element"
    ):
        model.run("serving_default", {name: value[:0] for name, value in good.items()})


def test_types_are_refused_by_name(model, make_frame, batch):
    good = batch(make_frame())
    for name, value in {
        "image": np.zeros((1, 30, 40, 3), np.uint8),
        "depth": np.ones((1, 30, 40), np.float32),
        "intrinsics": np.ones((1, 4), np.float64),
        "units_per_metre": np.array([1000]),
    }.items():
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"Type mismatch.*\n.*serving_default_{name}"):
            model.run("serving_default", good | {name: value})


def test_tensors_are_refused_by_name(model):
    good = {
        "rgb": np.zeros((1, 20, 30, 3), np.uint8),
        "depth": np.ones((1, 20, 30), np.float32),
        "intrinsics": np.array([[20, 20, 15, 10]], np.float32),
        "gravity": np.zeros((1, 3), np.float32),
    }
    assert model.run("tensors", good)["embedding"].shape == (1, 4)
    for changed, sentence in [
        ({"rgb": np.zeros((1, 20, 30, 4), np.uint8)}, "rgb must have the shape"),
        ({"rgb": np.zeros((1, 0, 0, 3), np.uint8), "depth": np.ones((1, 0, 0), np.float32)}, "rgb must have the shape"),
        ({"rgb": np.zeros((1, 20, 31, 3), np.uint8)}, "rgb and depth must have the same height and width"),
        ({"depth": 1000 * good["depth"]}, "depth must be in metres"),
        ({"rgb": good["rgb"].astype(np.float32)}, "Type mismatch.*\n.*tensors_rgb"),
    ]:
        with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
            model.run("tensors", good | changed)


def test_gravity_may_be_left_out_of_a_batch_of_any_size(model, make_frame, batch):
    frames = [make_frame(seed=seed) | {"gravity": (0, 0, 0)} for seed in range(3)]
    whole = batch(*frames)
    without = {name: value for name, value in whole.items() if name != "gravity"}
    expected = model.run("serving_default", whole)["embedding"]
    np.testing.assert_array_equal(model.run("serving_default", without)["embedding"], expected)


def test_bad_requests_among_good_ones_lose_no_answer(model, make_frame, batch, encoder):
    """At once, so that requests wait for a run of the network together."""
    frames = [make_frame(30 + seed, 40 - seed, seed) for seed in range(4)]
    expected = [_embedding(encoder, frame) for frame in frames]
    wrong = list(FLAWED.values())

    def ask(index):
        frame = frames[index % 4]
        if index % 2 == 0:
            return model.run("serving_default", batch(frame))["embedding"][0]
        name, change, _ = wrong[index // 2 % len(wrong)]
        with pytest.raises(tf.errors.InvalidArgumentError):
            model.run("serving_default", batch(frame | {name: change(frame[name])}))
        return None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(160)))
    for index in range(0, 160, 2):
        np.testing.assert_allclose(answers[index], expected[index % 4], atol=1e-4)


def _embedding(encoder, frame):
    """By the library, from pixels that OpenCV decoded."""
    rgb, depth = (
        cv2.imdecode(np.frombuffer(frame[name], np.uint8), cv2.IMREAD_UNCHANGED) for name in ("image", "depth")
    )
    sample = {
        "rgb": tf.constant(rgb[..., ::-1]),
        "depth": tf.constant(depth / 1000, tf.float32),
        "intrinsics": tf.constant(frame["intrinsics"]),
        "gravity": tf.constant(frame["gravity"]),
    }
    view = clean_view(sample, PREPROCESSING)
    return encoder({part: image[tf.newaxis] for part, image in view.items()})["embedding"][0]


def test_memory_is_not_taken_for_what_is_refused(model, make_frame, batch):
    good = make_frame()
    bombs = [good | {"image": png(20000, 20000)}, good | {"depth": png(20000, 20000, 16, 0)}]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for bomb in 50 * bombs:
        with pytest.raises(tf.errors.InvalidArgumentError):
            model.run("serving_default", batch(bomb))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100 * 1024  # KiB; one such image is 800 MB and more
