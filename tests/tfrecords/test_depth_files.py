import os

import cv2
import numpy as np
import pytest

from keras_simsiam.core.errors import UserError
from tfrecords import depth_files


def _save(path, image):
    if path.suffix == ".npy":
        np.save(path, image)
    else:
        assert cv2.imwrite(str(path), image)
    return str(path)


def _as_metres(millimetres):
    return millimetres.astype(np.float32) / np.float32(1000)


INTEGERS = ("a.png", "a.PNG", "a.pgm", "a.tif", "a.tiff", "a.npy")
FLOATS = ("a.tiff", "a.exr", "a.npy")


@pytest.mark.parametrize("name", INTEGERS)
def test_integers(tmp_path, depth, name):
    read = depth_files.read(_save(tmp_path / name, depth), 1000, (32, 24))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, _as_metres(depth))


@pytest.mark.parametrize("name", FLOATS)
def test_floats_are_metres_where_that_is_said(tmp_path, depth, name):
    path = _save(tmp_path / name, _as_metres(depth))
    np.testing.assert_array_equal(depth_files.read(path, 1), _as_metres(depth))
    np.testing.assert_allclose(depth_files.read(path, 10), _as_metres(depth) / 10, rtol=1e-6)


@pytest.mark.parametrize("kind", [np.int16, np.uint32, np.int64, np.float16, np.float64])
def test_other_types_of_numpy_files(tmp_path, depth, kind):
    path = _save(tmp_path / "a.npy", depth.astype(kind))
    np.testing.assert_array_equal(depth_files.read(path, 1000), _as_metres(depth.astype(kind)))


@pytest.mark.parametrize("name", INTEGERS + FLOATS)
def test_a_real_frame_is_the_same_in_every_format(tmp_path, real_depth, name):
    image = real_depth if name in INTEGERS else _as_metres(real_depth)
    read = depth_files.read(_save(tmp_path / name, image), 1000 if name in INTEGERS else 1)
    np.testing.assert_array_equal(read, _as_metres(real_depth))


def test_holes_and_what_float32_cannot_hold_are_missing(tmp_path):
    image = np.full([4, 5], 2.0)
    image[0] = np.nan, np.inf, -np.inf, -1, 1e300
    read = depth_files.read(_save(tmp_path / "a.npy", image), 1)
    np.testing.assert_array_equal(read[0], [np.nan, np.inf, -np.inf, -1, np.inf])
    np.testing.assert_array_equal(read[1:], 2)


@pytest.mark.parametrize(
    ("image", "units", "message"),
    [
        (np.ones([24, 32], np.uint8), 1, "is of type uint8, not of 16 bits"),
        (np.ones([24, 32, 3], np.uint16), 1, "is not of one channel"),
        (np.ones([23, 32], np.uint16), 1, "is 32x23 but its camera's images are 32x24"),
        (np.zeros([24, 32], np.uint16), 1, "holds no depth"),
        (np.full([24, 32], 2000, np.uint16), 1, "median depth 2000 m: 1 units per metre are wrong"),
        (np.full([24, 32], 3, np.uint16), 1000, "median depth 0.003 m: 1000 units per metre are wrong"),
    ],
)
def test_what_is_no_depth_image_is_named(tmp_path, image, units, message):
    path = _save(tmp_path / "a.png", image)
    with pytest.raises(UserError, match=message) as error:
        depth_files.read(path, units, (32, 24))
    assert path in str(error.value) and "\n" not in str(error.value)


def test_the_median_is_that_of_the_pixels_that_have_depth(tmp_path):
    image = np.zeros([24, 32], np.uint16)
    image[:3] = 1500
    image[3] = 65535
    assert depth_files.read(_save(tmp_path / "a.png", image), 1000)[0, 0] == 1.5


@pytest.mark.parametrize("name", [*INTEGERS, "a.exr"])
@pytest.mark.parametrize("share", [0, 0.5])
def test_truncated_files_are_named(tmp_path, depth, name, share):
    path = _save(tmp_path / name, _as_metres(depth) if name == "a.exr" else depth)
    os.truncate(path, int(share * os.path.getsize(path)))
    with pytest.raises(UserError, match=f"{path} is not a readable"):
        depth_files.read(path, 1)


def test_a_pickle_is_not_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"code": 1}]), allow_pickle=True)
    with pytest.raises(UserError, match="is not a readable"):
        depth_files.read(str(tmp_path / "a.npy"), 1)


def _decode(encoded):
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)


def test_a_png_is_kept_byte_for_byte_for_a_record(tmp_path, real_depth):
    path = _save(tmp_path / "a.png", real_depth)
    with open(path, "rb") as file:
        assert depth_files.read_for_record(path, 1000.0) == (file.read(), 1000.0, (480, 640))


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_of_any_format_keep_their_values_in_a_record(tmp_path, real_depth, name):
    encoded, units, size = depth_files.read_for_record(_save(tmp_path / name, real_depth), 1000.0)
    np.testing.assert_array_equal(_decode(encoded), real_depth)
    assert (units, size) == (1000.0, (480, 640))


@pytest.mark.parametrize("name", FLOATS)
def test_floats_are_rounded_to_a_step_in_a_record(tmp_path, real_depth, name):
    encoded, units, _ = depth_files.read_for_record(_save(tmp_path / name, _as_metres(real_depth)), 1.0)
    assert np.abs(_decode(encoded) / units - real_depth / 1000).max() <= 0.5 / 4096 + 1e-6


def test_float16_metres_are_exact():
    """All of them from 0.25 m up to 16 m, as NYU Depth v2 comes from TensorFlow Datasets."""
    metres = np.arange(2**15).astype(np.uint16).view(np.float16)
    metres = metres[(metres >= 0.25) & (metres < 15.99)].reshape(1, -1)
    values, units = depth_files.quantise(metres, 1.0, "a")
    np.testing.assert_array_equal(values / units, metres.astype(np.float64))


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.float32, np.float64])
def test_what_is_not_positive_and_finite_becomes_zero(kind):
    image = np.full((4, 5), 2, kind)
    image[0, 0] = -1
    image[0, 1] = 0
    if image.dtype.kind == "f":
        image[0, 2:] = np.nan, np.inf, -np.inf
    values, units = depth_files.quantise(image, 1.0, "a")
    expected = np.where(np.isfinite(image) & (image > 0), image, 0)
    np.testing.assert_array_equal(values / units, expected)


@pytest.mark.parametrize(
    ("image", "units", "message"),
    [
        (np.full([2, 2], 70000), 10000.0, "depth up to 7 m, but 16 bits at 10000 steps a metre end at 6.553 m"),
        (np.full([2, 2], 16.1), 1.0, "depth up to 16.1 m, but 16 bits at 4096 steps"),
        (np.full([2, 2], 700.0), 1.0, "median depth 700 m"),
        (np.full([2, 2], np.nan), 1.0, "holds no depth"),
        (np.ones([2, 2, 3]), 1.0, "is not of one channel"),
        (np.ones([2, 2], np.uint8), 1.0, "is of type uint8"),
    ],
)
def test_what_16_bits_do_not_hold_is_named(image, units, message):
    with pytest.raises(UserError, match=f"^here:? {message}"):
        depth_files.quantise(image, units, "here")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full([2, 2], 100, np.uint8), "is not a 16-bit image of one channel"),
        (np.zeros([2, 2], np.uint16), "holds no depth"),
        (np.full([2, 2], 3, np.uint16), "median depth 0.003 m"),
    ],
)
def test_a_png_for_a_record_is_checked(tmp_path, image, message):
    path = _save(tmp_path / "a.png", image)
    with pytest.raises(UserError, match=f"{path}:? {message}"):
        depth_files.read_for_record(path, 1000.0)


@pytest.fixture
def tree(tmp_path):
    """Files in folders, one of which has a wildcard in its name; the function gives paths found, without tmp_path."""
    for name in ("d/2.png", "d/10.tif", "d/in/3.npy", "d/notes.txt", "d/out/2.png", "e[1]/4.EXR", "d/.hidden.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def find(pattern, output="elsewhere"):
        root, paths = depth_files.find(str(tmp_path / pattern), str(tmp_path / output))
        return os.path.relpath(root, tmp_path), [os.path.relpath(path, tmp_path) for path in paths]

    return find


def test_finding(tree):
    assert tree("d") == ("d", ["d/10.tif", "d/2.png", "d/in/3.npy", "d/out/2.png"])
    assert tree("d/*.png") == ("d", ["d/2.png"])
    assert tree("d/**/*.png") == ("d", ["d/2.png", "d/out/2.png"])
    assert tree("*/in/*") == (".", ["d/in/3.npy"])
    assert tree("d/2.png") == ("d", ["d/2.png"])
    assert tree("e[1]") == ("e[1]", ["e[1]/4.EXR"])


def test_the_output_is_not_searched(tree):
    assert tree("d", output="d/out")[1] == ["d/10.tif", "d/2.png", "d/in/3.npy"]
    assert tree("**/*.png", output="d/out")[1] == ["d/2.png"]
    assert tree("d/*.png", output=".")[1] == ["d/2.png"]


def test_finding_relative_to_the_working_folder(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path / "d")
    assert depth_files.find("*.png", "out") == (".", ["2.png"])


@pytest.mark.parametrize("pattern", ["nowhere", "d/*.jpg", "f"])
def test_nothing_found_is_said(tree, tmp_path, pattern):
    (tmp_path / "f").mkdir()
    with pytest.raises(UserError, match=r"^`input=.*`: there are no depth images"):
        tree(pattern)
