import os
import pickle
import struct
from typing import ClassVar

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from tfrecords import example
from tfrecords.sources import cifar10

CLASSES = [b"airplane", b"automobile", b"bird"]
FILES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


class _Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 wrote its texts, which is how the official files hold names and pixels."""

    def _save_bytes(self, value):
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch: ClassVar = pickle._Pickler.dispatch | {bytes: _save_bytes}


def _write(path, content):
    with open(path, "wb") as file:
        _Python2Pickler(file, protocol=2).dump(content)


def _pixels(number, count=4):
    return np.random.default_rng(number).integers(0, 256, (count, 3072), np.uint8)


@pytest.fixture
def root(tmp_path):
    """The six batches, four images each, and the names of three classes."""
    for number, name in enumerate(FILES):
        _write(tmp_path / name, {b"data": _pixels(number), b"labels": [0, 2, 1, 2], b"batch_label": b"one"})
    _write(tmp_path / "batches.meta", {b"label_names": CLASSES, b"num_vis": 3072})
    return tmp_path


def test_every_pixel_is_kept(root):
    plan = cifar10.plan(str(root))
    assert plan.classes == ["airplane", "automobile", "bird"]
    assert {split: len(references) for split, references in plan.splits.items()} == {"train": 20, "test": 4}
    frame = plan.load(plan.splits["train"][5])
    assert (frame.name, frame.label, frame.depth) == ("data_batch_2/00001", 2, None)
    red, green, blue = _pixels(1)[1].reshape(3, 32, 32)
    expected = np.stack([red, green, blue], axis=-1)

    def decode(record):
        return example.decode(record, has_depth=False)["rgb"]

    record = example.encode(frame)
    np.testing.assert_array_equal(decode(record), expected)
    np.testing.assert_array_equal(tf.function(decode)(record), expected)
    np.testing.assert_array_equal(next(iter(tf.data.Dataset.from_tensors(record).map(decode))), expected)


def test_the_image_stands_upright_in_an_image_viewer(root):
    pixels = np.zeros((3, 32, 32), np.uint8)
    pixels[0, 2, 7] = 200  # red, third row, eighth column
    _write(root / "test_batch", {b"data": pixels.reshape(1, 3072), b"labels": [1]})
    plan = cifar10.plan(str(root))
    image = cv2.imdecode(np.frombuffer(plan.load(plan.splits["test"][0]).rgb, np.uint8), cv2.IMREAD_COLOR)
    assert image[2, 7].tolist() == [0, 0, 200] and image.sum() == 200  # OpenCV: blue, green, red


def test_the_last_training_images_are_held_out(root):
    plan = cifar10.plan(str(root), val_fraction=0.2)
    assert [plan.load(reference).name for reference in plan.splits["val"]] == [
        f"data_batch_5/0000{i}" for i in range(4)
    ]
    assert len(plan.splits["train"]) == 16
    with pytest.raises(UserError, match="leaves no frame for"):
        cifar10.plan(str(root), val_fraction=1.0)


def test_a_plan_goes_to_other_processes(root):
    plan = cifar10.plan(str(root))
    sent = pickle.dumps((plan.load, plan.splits["test"][0]))
    assert len(sent) < 1000
    load, reference = pickle.loads(sent)
    assert load(reference) == plan.load(reference)


class _Call:
    """Pickled, it asks whoever unpickles it to call a function."""

    def __init__(self, function, argument):
        self._reduced = function, (argument,)

    def __reduce__(self):
        return self._reduced


@pytest.mark.parametrize("name", ["batches.meta", "data_batch_3"])
@pytest.mark.parametrize("function", [os.mkdir, eval, np.load])
def test_no_code_of_a_pickle_runs(root, name, function):
    target = root / "made"
    _write(root / name, {b"data": _Call(function, str(target))})
    asked = f"{name} is not a batch of CIFAR-10 .it asks for .*[.]{function.__name__}.: fetch"
    with pytest.raises(UserError, match=asked):
        cifar10.plan(str(root))
    assert not target.exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("batches.meta", {b"names": []}, "has no label_names"),
        ("batches.meta", [1], "is not a batch of CIFAR-10"),
        ("test_batch", {b"data": _pixels(0)}, "holds no images and labels"),
        ("test_batch", {b"data": _pixels(0), b"labels": [0]}, "holds no images and labels"),
        ("test_batch", {b"data": _pixels(0)[:, :10], b"labels": [0] * 4}, "holds no images and labels"),
        ("test_batch", {b"data": _pixels(0) / 2, b"labels": [0] * 4}, "holds no images and labels"),
        ("test_batch", {b"data": _pixels(0), b"labels": [0, 1, 2, 3]}, "labels that batches.meta does not name"),
        ("test_batch", {b"data": _pixels(0), b"fine_labels": [0] * 4}, "holds no images and labels"),
    ],
)
def test_other_content_is_named(root, name, content, message):
    _write(root / name, content)
    with pytest.raises(UserError, match=message) as error:
        cifar10.plan(str(root))
    assert str(root / name) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", [*FILES, "batches.meta"])
def test_missing_and_cut_off_files_are_named(root, name):
    os.truncate(root / name, 60)
    with pytest.raises(UserError, match=f"{name} is not a batch of CIFAR-10"):
        cifar10.plan(str(root))
    os.remove(root / name)
    with pytest.raises(UserError, match=f"{name}: No such file or directory: give the unpacked folder"):
        cifar10.plan(str(root))
