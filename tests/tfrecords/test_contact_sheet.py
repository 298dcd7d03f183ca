import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.depth import hha
from tests.tfrecords import by_hand
from tests.tfrecords.conftest import png
from tfrecords import Dataset, contact_sheet

CAMERA, DOWN = (60.0, 60.0, 19.5, 14.5), (0.0, 0.8, 0.6)
COLOUR = (200, 30, 40)


def _frame(make_frame, name, **changes):
    rgb = np.full([30, 40, 3], COLOUR[::-1], np.uint8)
    depth = np.full([30, 40], 1500, np.uint16)
    values = {"rgb": png(rgb), "depth": png(depth), "intrinsics": CAMERA, "gravity": DOWN, "label": 0}
    return make_frame(name, **(values | changes))


@pytest.fixture
def build(make_frame, tmp_path):
    def build(train, test, **changes):
        frames = [_frame(make_frame, f"a_{number}", **changes) for number in range(train + test)]
        splits = {"train": [frames[:2], frames[2:train]]} | ({"test": [frames[train:]]} if test else {})
        return Dataset(str(by_hand.write(tmp_path / "data", splits, classes=["bowl"])))

    return build


def _names(chosen):
    return [(split, int(sample["frame"].decode().split("_")[1])) for split, sample in chosen]


def test_samples_are_evenly_spaced(build):
    chosen = _names(contact_sheet.choose(build(30, 4)))
    assert chosen == [("train" if number < 30 else "test", number) for number in range(0, 34, 3)]


def test_all_of_a_few_samples(build):
    assert _names(contact_sheet.choose(build(2, 1))) == [("train", 0), ("train", 1), ("test", 2)]


def _count(image, colour, tolerance=2):
    return np.count_nonzero(np.abs(image[..., :3].astype(int) - colour).max(axis=-1) <= tolerance)


@pytest.mark.parametrize(
    "gravity", [DOWN, pytest.param((0.0, 0.0, 0.0), marks=pytest.mark.slow)], ids=["declared", "estimated"]
)
def test_colour_and_hha_are_drawn_as_they_are(build, gravity):
    data = build(3, 0, gravity=gravity)
    image = tf.io.decode_png(contact_sheet.draw(contact_sheet.choose(data), data.classes)).numpy()
    assert _count(image, COLOUR) > 3 * 8000
    expected = hha.encode(np.full([30, 40], 1.5, np.float32), CAMERA, gravity).numpy().round()[15, 20]
    assert _count(image, np.minimum(expected, 255)) > 500


def test_color_only_has_one_picture_a_sample(build):
    data = build(4, 0, depth=None)
    image = tf.io.decode_png(contact_sheet.draw(contact_sheet.choose(data), data.classes)).numpy()
    assert image.shape[1] < 500 and _count(image, COLOUR) > 4 * 8000


def test_frames_without_any_depth(build):
    data = build(1, 0, depth=png(np.zeros([30, 40], np.uint16)))
    assert _count(tf.io.decode_png(contact_sheet.draw(contact_sheet.choose(data), ())).numpy(), (191, 191, 191)) > 8000
