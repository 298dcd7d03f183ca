"""What a run takes of a data set, and what it refuses; of data that a program brings itself too."""

import contextlib
import os
import types

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.methods import build
from keras_simsiam.models import resnet
from keras_simsiam.training import run
from keras_simsiam.training.config import RunConfig
from keras_simsiam.training.data import load_data
from keras_simsiam.views import augmentation
from tfrecords import Dataset, example
from tfrecords.example import Frame
from tfrecords.writer import Writer

SMALL = {"modality": "rgb", "image_size": 16, "width": 2, "batch_size": 4, "epochs": 1, "knn_every": 1, "knn_k": 2}


def _png(value):
    return cv2.imencode(".png", np.full((20, 20, 3), value, np.uint8))[1].tobytes()


@pytest.fixture
def write(tmp_path):
    """A function that writes frames of one grey each, eight a split, the first so many with a label; gives the folder."""

    def write(name, splits=("train", "val"), labelled=8):
        with Writer(str(tmp_path / name)) as writer:
            for split in splits:
                for index in range(8):
                    label = index // 4 if index < labelled else -1
                    writer.add(split, Frame(f"{split}/{index}", _png(30 * index), None, (0,) * 4, label=label))
            writer.commit({"classes": ["dark", "light"] if labelled else [], "instances": []})
        return str(tmp_path / name)

    return write


@pytest.fixture
def config(tmp_path):
    return lambda dataset, **changes: RunConfig(dataset.path, str(tmp_path / "run"), **SMALL | changes)


@pytest.fixture
def _tiny(monkeypatch):
    """Half of ResNet-18's blocks, small heads, and views of a crop: their graphs are quick to build."""
    monkeypatch.setattr(augmentation, "color_transforms", lambda image, seed, **_: image)
    monkeypatch.setitem(resnet.BACKBONES, "resnet18", ((1, 1, 1, 1), False))
    monkeypatch.setattr(build, "PROJECTION", 8)


def _names(samples):
    return [sample["frame"].numpy().decode() for sample in samples]


@pytest.mark.parametrize("given", [{"background": "removed"}, {"crop_3d": (0.2, 1.0)}])
def test_views_by_measured_depth_of_a_data_set_without_are_refused(write, config, given):
    dataset, (name,) = Dataset(write("data")), given
    with pytest.raises(UserError, match=rf"^`{name}=.*` needs measured depth, .*data has none: leave it out$"):
        load_data(config(dataset, **given), dataset)


def test_training_records_bank_and_queries(write, config):
    dataset = Dataset(write("data", ["train", "val", "test"], labelled=6))
    data = load_data(config(dataset), dataset)
    assert (data.count, data.num_classes, data.bank_classes, data.first_index) == (8, 2, ("dark", "light"), 0)
    assert _names(data.records.map(data.decode)) == [f"train/{index}" for index in range(8)]
    assert (_names(data.bank), _names(data.queries)) == (
        [f"train/{index}" for index in range(6)],
        [f"val/{index}" for index in range(6)],
    )
    assert data.choose_best and data.record_bytes == dataset.record_bytes("train")


def test_without_a_validation_split_the_test_split_is_watched_and_chooses_nothing(write, config):
    dataset = Dataset(write("data", ["train", "test"]))
    data = load_data(config(dataset), dataset)
    assert _names(data.queries)[0] == "test/0" and not data.choose_best


def test_labels_of_another_data_set(write, config):
    dataset, other = Dataset(write("data", ["train"], labelled=0)), Dataset(write("other"))
    assert load_data(config(dataset), dataset).bank is None
    data = load_data(config(dataset, knn_data_dir=other.path), dataset, knn_dataset=other)
    assert _names(data.queries)[0] == "val/0"
    assert (data.num_classes, data.bank_classes) == (0, ("dark", "light"))


def test_what_does_not_do_is_refused(write, config):
    dataset = Dataset(write("data", labelled=5))
    with pytest.raises(UserError, match=r"`modality=rgbd`: .*data has no depth; use `modality=rgb`$"):
        load_data(config(dataset, modality="rgbd"), dataset)
    with pytest.raises(UserError, match=r"`method=supervised`: 3 training frames of .*data have no label"):
        load_data(config(dataset, method="supervised"), dataset)
    other = Dataset(write("other", ["val"]))
    with pytest.raises(UserError, match=r"`knn_data_dir=.*other` has the splits val: kNN needs train, and val or test"):
        load_data(config(dataset, knn_data_dir=other.path), dataset, knn_dataset=other)


def test_the_data_sets_are_those_that_the_configuration_names(write, config):
    dataset, other = Dataset(write("data")), Dataset(write("other"))
    for given, knn_dataset in ((other, None), (dataset, other)):
        with pytest.raises(ValueError, match=r"the configuration has data_dir='.*data', knn_data_dir='', .*other"):
            run.train(config(dataset), given, knn_dataset=knn_dataset)
    with pytest.raises(ValueError, match="give the same"):
        run.train(config(dataset, knn_data_dir=other.path), dataset)
    assert not os.path.exists(config(dataset).workdir)


def _damage(shard):
    with open(shard, "r+b") as file:
        file.seek(os.path.getsize(shard) * 3 // 4)
        file.write(b"damage")


def test_a_corrupt_shard_is_named_or_left_out(write, config, capsys):
    path = write("data")
    _damage(os.path.join(path, "val-00000.tfrecord"))
    dataset = Dataset(path)
    data = load_data(config(dataset), dataset)
    with pytest.raises(UserError, match=r"val-00000\.tfrecord is corrupt, record \d"), data.naming_corrupt_shards():
        list(data.queries)
    data = load_data(config(dataset, on_corrupt="skip"), dataset)
    assert capsys.readouterr().err.count("WARNING: split val is read without the rest of") == 1
    with data.naming_corrupt_shards():
        assert 0 < len(list(data.queries)) < 8


@pytest.mark.usefixtures("_tiny")
def test_a_program_trains_in_one_call(write, config):
    dataset = Dataset(write("data"))
    seen = []
    watch = tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    last = run.train(config(dataset), dataset, callbacks=[watch])
    assert 0 <= last["knn"] <= 1 and seen == [0]
    assert os.path.exists(os.path.join(config(dataset).workdir, "encoder_best.keras"))


class Arrays:
    """A person's own images as a data set: what `keras_simsiam.core.dataset.Dataset` asks for, without any shards."""

    path, classes, has_depth = "arrays", (), False

    def __init__(self, images):
        self.splits = {"train": types.SimpleNamespace(count=len(images), unlabelled=len(images))}
        self._images = images

    def records(self, split):
        return tf.data.Dataset.from_tensor_slices(self._images)

    def decode(self, record):
        return {"rgb": record}

    def record_bytes(self, split):
        return self._images[0].nbytes

    def share(self, split, context):
        return self

    def first_index(self, split, context):
        return 0

    def naming_corrupt_shards(self, splits):
        return contextlib.nullcontext()


@pytest.mark.usefixtures("_tiny")
def test_a_data_set_of_another_kind(config):
    dataset = Arrays(np.random.default_rng(0).integers(0, 256, (8, 20, 20, 3), np.uint8))
    assert np.isfinite(run.train(config(dataset), dataset)["loss"])


@pytest.mark.parametrize("lacks", ["zeros", "nothing"])
def test_a_3d_tower_needs_the_camera(config, write, lacks):
    """A program's own data set: the builder has a camera wherever it has depth."""

    class WithDepth(Dataset):
        def samples(self, split):
            return super().samples(split).map(self._with_depth)

        def decode(self, record):
            return example.decode(record, has_depth=False)

        @staticmethod
        def _with_depth(sample):
            known = {name: part for name, part in sample.items() if lacks == "zeros" or name != "intrinsics"}
            return known | {"depth": tf.ones([20, 20])}

    dataset = WithDepth(**vars(Dataset(write("data"))) | {"has_depth": True})
    with pytest.raises(
        UserError, match=r"^`depth_input=voxels` needs intrinsics, .* has 0.0,0.0,0.0,0.0: .*`camera=fx"
    ):
        load_data(config(dataset, modality="hha", depth_input="voxels"), dataset)
    load_data(config(dataset, modality="hha", depth_input="jet"), dataset)
