import json
import os

import pytest

from keras_simsiam.core.errors import UserError
from tfrecords import camera_file

PLAIN = {"fx": 525.0, "fy": 524.0, "cx": 319.5, "cy": 239.5}
OPEN3D = {"width": 640, "height": 480, "intrinsic_matrix": [525.0, 0, 0, 0, 524.0, 0, 319.5, 239.5, 1]}


@pytest.fixture
def write(tmp_path):
    """A function that writes a camera.json of the given content and returns its path."""

    def write(content):
        path = tmp_path / "camera.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        camera_file.read.cache_clear()
        return str(path)

    return write


def test_the_flag():
    camera = camera_file.parse("518.9,519.5,324.6,252.7")
    assert camera.intrinsics == (518.9, 519.5, 324.6, 252.7)
    assert camera.size is None and camera.units_per_metre is None


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,2,3,4", "0,2,3,4", "5,-2,3,4", "5,5,nan,4", "inf,5,3,4"])
def test_a_bad_flag_is_named(text):
    with pytest.raises(UserError, match=f"^`camera={text}`: give it as fx,fy,cx,cy"):
        camera_file.parse(text)


@pytest.mark.parametrize("units", ["units_per_metre", "depth_units_per_metre"])
def test_plain_keys(write, units):
    path = write(PLAIN | {"width": 640, "height": 480, units: 5000})
    assert camera_file.read(path) == camera_file.Camera((525.0, 524.0, 319.5, 239.5), (640, 480), 5000.0, path)


def test_open3d_keeps_its_matrix_by_columns_and_tells_no_units(write):
    path = write(OPEN3D)
    assert camera_file.read(path) == camera_file.Camera((525.0, 524.0, 319.5, 239.5), (640, 480), None, path)


def test_pixels_counted_from_one_are_converted(write):
    camera = camera_file.read(write(PLAIN | {"pixel_coordinates": "one-based: u=1..width"}))
    assert camera.intrinsics == (525.0, 524.0, 318.5, 238.5)
    camera = camera_file.read(write(PLAIN | {"pixel_coordinates": "zero-based: u=0..width-1"}))
    assert camera.intrinsics == (525.0, 524.0, 319.5, 239.5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[1, 2]", "is not a JSON object"),
        ({"fx": 1, "cx": 2}, "has no fy, cy: add it"),
        (PLAIN | {"fx": 0}, "make no camera"),
        (PLAIN | {"fx": "wide"}, "make no camera"),
        (PLAIN | {"cy": None}, "make no camera"),
        ({"intrinsic_matrix": [525.0, 0, 319.5, 0, 524.0, 239.5, 0, 0, 1]}, "intrinsic_matrix is not Open3D's"),
        ({"intrinsic_matrix": [[525.0, 0, 0], [0, 524.0, 0], [319.5, 239.5, 1]]}, "intrinsic_matrix is not Open3D's"),
        (PLAIN | {"pixel_coordinates": "normalised"}, "pixel_coordinates begins neither"),
        (PLAIN | {"width": 640}, "width and height are not two positive"),
        (PLAIN | {"width": 640, "height": 0}, "width and height are not two positive"),
        (PLAIN | {"units_per_metre": 0}, "must be one positive number"),
        (PLAIN | {"units_per_metre": "mm"}, "must be one positive number"),
        (PLAIN | {"units_per_metre": 1000, "depth_units_per_metre": 5000}, "must be one positive number"),
        (PLAIN | {"encoding": "uint16 PNG, bits rotated (SUN3D)"}, "bits are rotated"),
    ],
)
def test_bad_files_are_named(write, content, message):
    path = write(content)
    with pytest.raises(UserError, match=message) as error:
        camera_file.read(path)
    assert path in str(error.value) and "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.json: No such file"):
        camera_file.read(str(tmp_path / "none.json"))


def test_the_nearest_file_is_taken_up_to_two_folders_above(tmp_path, monkeypatch):
    inner = tmp_path / "set" / "test" / "depth"
    (inner / "a").mkdir(parents=True)
    (tmp_path / "set" / "camera.json").write_text("{}")
    assert camera_file.nearest(str(inner)) == str(tmp_path / "set" / "camera.json")
    assert camera_file.nearest(str(inner / "a")) is None
    (inner / "camera.json").write_text("{}")
    monkeypatch.chdir(inner / "a")
    assert os.path.samefile(camera_file.nearest(""), inner / "camera.json")


def test_the_flags_of_the_camera(write):
    path = write(PLAIN)
    assert camera_file.given(None, None) is None
    assert camera_file.given(None, path) == camera_file.read(path)
    assert camera_file.given("5,6,7,8", None).intrinsics == (5.0, 6.0, 7.0, 8.0)
    with pytest.raises(UserError, match="exclude each other"):
        camera_file.given("5,6,7,8", path)


def test_the_camera_beside_an_image(write, tmp_path):
    path = write(PLAIN)
    camera_file.nearest.cache_clear()
    assert camera_file.of_image(str(tmp_path / "depth" / "1.png")).origin.endswith(os.path.basename(path))
    with pytest.raises(UserError, match=r"1.png has no camera.json next to or above it: give `camera"):
        camera_file.of_image(str(tmp_path / "a" / "b" / "c" / "1.png"))


def test_units_come_from_the_flag_then_from_the_file_and_are_never_guessed(write):
    camera = camera_file.read(write(PLAIN | {"units_per_metre": 5000}))
    assert camera_file.units(camera, None, "1.png") == 5000.0
    assert camera_file.units(camera, 1000.0, "1.png") == 1000.0
    with pytest.raises(UserError, match=r"1.png: .* does not tell the units: give `units_per_metre`"):
        camera_file.units(camera_file.read(write(PLAIN)), None, "1.png")
    for wrong in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(UserError, match="give a positive number"):
            camera_file.units(camera, wrong, "1.png")


def test_gravity_becomes_a_unit_vector():
    assert camera_file.parse_gravity("0,30,-40", "unknown") == pytest.approx((0, 0.6, -0.8))
    assert camera_file.parse_gravity("unknown", "unknown") is None


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3,4", "0,0,0", "nan,0,1", "inf,0,1", "down", "estimate"])
def test_other_gravity_is_refused(text):
    with pytest.raises(UserError, match=f"^`gravity={text}`: give unknown, or a direction"):
        camera_file.parse_gravity(text, "unknown")
