import io
import os
import pickle
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from tfrecords.sources import tfds

CAMERA = {"camera": "30,31,15.5,11.5", "units_per_metre": 1.0}


@pytest.fixture(scope="session")
def library():
    """TensorFlow Datasets, where it is installed (the extra tfds)."""
    pytest.importorskip("tensorflow_metadata.proto.v0.schema_pb2")
    return pytest.importorskip("tensorflow_datasets")


@pytest.fixture
def prepare(library, tmp_path):
    """A function that prepares a data set of the given features (by name) and examples (by split); its folder."""

    def prepare(features, splits, **arguments):
        class Tiny(library.core.GeneratorBasedBuilder, skip_registration=True):
            VERSION = library.core.Version("1.0.0")

            def _info(self):
                return library.core.DatasetInfo(builder=self, features=library.features.FeaturesDict(features))

            def _split_generators(self, dl_manager):
                return {split: self._generate_examples(examples) for split, examples in splits.items()}

            def _generate_examples(self, examples):
                yield from enumerate(examples)

        builder = Tiny(data_dir=tmp_path, **arguments)
        builder.download_and_prepare()
        return str(builder.data_dir)

    return prepare


def _example(number):
    random = np.random.default_rng(number)
    return {
        "image": random.integers(0, 256, (24, 32, 3), np.uint8),
        "depth": random.uniform(0.7, 9.9, (24, 32)).astype(np.float16),
        "label": number % 2,
    }


@pytest.fixture
def like_nyu(library):
    """Features as nyu_depth_v2 has them, and a label."""
    return {
        "image": library.features.Image(shape=(24, 32, 3)),
        "depth": library.features.Tensor(shape=(24, 32), dtype=np.float16),
        "label": library.features.ClassLabel(names=["kitchen", "bath"]),
    }


def _decode(encoded):
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)


def test_frames_are_those_that_the_library_reads(library, prepare, like_nyu):
    root = prepare(like_nyu, {"train": map(_example, range(5)), "validation": [_example(7)]})
    plan = tfds.plan(root, **CAMERA, gravity="0,1,0")
    assert plan.classes == ["kitchen", "bath"]
    assert {split: len(references) for split, references in plan.splits.items()} == {"train": 5, "val": 1}
    read_config = library.ReadConfig(interleave_cycle_length=1)
    for split, name in (("train", "train"), ("val", "validation")):
        expected = library.builder_from_directory(root).as_dataset(name, read_config=read_config)
        for number, (reference, sample) in enumerate(
            zip(plan.splits[split], expected.as_numpy_iterator(), strict=True)
        ):
            frame = plan.load(reference)
            np.testing.assert_array_equal(_decode(frame.rgb)[..., ::-1], sample["image"])
            np.testing.assert_array_equal(_decode(frame.depth) / frame.units_per_metre, sample["depth"].astype(float))
            assert (frame.name, frame.label) == (f"{name}/{number:07d}", sample["label"])
            assert (frame.intrinsics, frame.gravity) == ((30.0, 31.0, 15.5, 11.5), (0.0, 1.0, 0.0))


def test_a_plan_goes_to_other_processes(prepare, like_nyu):
    plan = tfds.plan(prepare(like_nyu, {"train": map(_example, range(3))}), **CAMERA)
    sent = pickle.dumps((plan.load, plan.splits["train"][2]))
    assert len(sent) < 2000
    load, reference = pickle.loads(sent)
    assert load(reference) == plan.load(reference)


def test_jpeg_without_depth_or_labels_keeps_its_bytes(library, prepare):
    image = cv2.imencode(".jpg", _example(0)["image"])[1].tobytes()
    features = {"image": library.features.Image(shape=(None, None, 3), encoding_format="jpeg")}
    folder = prepare(features, {"test": [{"image": io.BytesIO(image)}]})
    plan = tfds.plan(folder)
    frame = plan.load(plan.splits["test"][0])
    assert (frame.rgb, frame.depth, frame.label, list(plan.classes)) == (image, None, -1, [])


def test_depth_as_a_16_bit_image(library, prepare):
    depth = np.random.default_rng(0).integers(400, 9000, (24, 32, 1), np.uint16)
    features = {
        "rgb": library.features.Image(shape=(24, 32, 3)),
        "depth_map": library.features.Image(shape=(24, 32, 1), dtype=np.uint16),
    }
    folder = prepare(features, {"train": [{"rgb": _example(0)["image"], "depth_map": depth}]})
    plan = tfds.plan(folder, camera="30,30,15,11", units_per_metre=1000.0)
    frame = plan.load(plan.splits["train"][0])
    np.testing.assert_array_equal(_decode(frame.depth), depth[..., 0])
    assert frame.units_per_metre == 1000.0


def test_damage_is_named(prepare, like_nyu):
    folder = prepare(like_nyu, {"train": map(_example, range(3))})
    plan = tfds.plan(folder, **CAMERA)
    reference = plan.splits["train"][1]
    with open(reference.path, "r+b") as file:
        file.seek(reference.offset)
        file.write(b"\xff" * 40)
    with pytest.raises(UserError, match="train/0000001 is damaged") as error:
        plan.load(reference)
    assert "\n" not in str(error.value)
    os.truncate(reference.path, reference.offset)
    with pytest.raises(UserError, match=r"has 1 records, not 3 as dataset_info.json says"):
        tfds.plan(folder, **CAMERA)
    os.remove(reference.path)
    with pytest.raises(UserError, match="cannot be read"):
        tfds.plan(folder, **CAMERA)


def test_what_makes_the_whole_plan_impossible_is_said(library, prepare, like_nyu, tmp_path):
    folder = prepare(like_nyu, {"train": [_example(0)]})
    for arguments, message in (
        ({"input": str(tmp_path)}, "has no dataset_info.json: give the folder of one version"),
        ({"camera": None}, "has depth, whose camera TFDS does not keep: give --camera"),
        ({"units_per_metre": None}, "does not tell the units: give --units_per_metre"),
        ({"gravity": "up"}, "--gravity=up: give unknown, or a direction"),
    ):
        with pytest.raises(UserError, match=message):
            tfds.plan(**({"input": folder} | CAMERA | arguments))


def test_without_an_image_of_a_known_name_the_features_are_listed(library, prepare):
    folder = prepare({"text": library.features.Text()}, {"train": [{"text": "a"}]})
    with pytest.raises(UserError, match="has no 8-bit image called image, rgb, color: its features are text"):
        tfds.plan(folder)


def test_a_file_format_without_random_access_is_refused(prepare, like_nyu):
    pytest.importorskip("array_record")
    folder = prepare(like_nyu, {"train": [_example(0)]}, file_format="array_record")
    with pytest.raises(UserError, match="is not of TFRecord files"):
        tfds.plan(folder, **CAMERA)


@pytest.mark.parametrize("name", ["tensorflow_datasets", "tensorflow_metadata.proto.v0.schema_pb2"])
def test_without_the_library_it_says_what_to_install(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=r"needs tensorflow-datasets .*: pip install tensorflow-datasets") as error:
        tfds.plan("tiny/1.0.0")
    assert "\n" not in str(error.value)


def test_records_are_found_without_reading_them(tmp_path):
    path = str(tmp_path / "a.tfrecord")
    records = [bytes([number]) * length for number, length in enumerate((3, 0, 70000, 1))]
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(record)
    with open(path, "rb") as file:
        content = file.read()
    assert [content[offset : offset + length] for offset, length in tfds._scan(path)] == records
    os.truncate(path, len(content) - 1)
    assert len(list(tfds._scan(path))) == 3
