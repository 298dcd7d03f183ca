"""What a run needs of a data set, and how it is had of one: what does not do is refused, corrupt records are left out."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_simsiam.core import settings
from keras_simsiam.core.dataset import Dataset
from keras_simsiam.core.errors import UserError
from keras_simsiam.depth import camera
from keras_simsiam.training.config import RunConfig
from keras_simsiam.training.devices import Devices
from keras_simsiam.views import cache

BANK_FRAMES = 2000  # of each split that the kNN monitor reads: enough to see a trend, and quick


@dataclasses.dataclass(frozen=True)
class Data:
    """What a run needs of a data set.

    Attributes:
        records: tf.data.Dataset of undecoded training records, in the same order at every pass.
        decode: graph function from a record to a Sample.
        count: number of training records, of all workers.
        bank: tf.data.Dataset of labelled Samples for the kNN monitor, or None.
        queries: the same, unseen in training, or None.
        choose_best: whether the queries may choose an encoder: true of a validation split, never of a test split.
        num_classes: number of labels of the training records.
        record_bytes: mean size of a training record, by which the shuffle keeps to its memory.
        partner: graph function from a record and a seed to the record whose sample the second view is of; None: the same.
        first_index: place of the first of `records` in the data set; not 0 on a worker that has a later part of it.
        cache: function from (records, decode) to what stands for both (`views.cache`), called once the run is to start.
        bank_classes: the names of the labels of bank and queries; empty: they are the training records', without names.
        naming_corrupt_shards: function that gives a context in which an error of reading says which shard is corrupt.
    """

    records: tf.data.Dataset
    decode: Callable
    count: int
    bank: tf.data.Dataset | None = None
    queries: tf.data.Dataset | None = None
    num_classes: int = 0
    choose_best: bool = False
    record_bytes: int = 1
    partner: Callable | None = None
    first_index: int = 0
    cache: Callable = lambda records, decode: (records, decode)
    bank_classes: tuple[str, ...] = ()
    naming_corrupt_shards: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext


def load_data(
    config: RunConfig, dataset: Dataset, *, knn_dataset: Dataset | None = None, devices: Devices | None = None
) -> Data:
    """The data of a run: the split train of a data set, or this worker's part of it, and what the kNN monitor reads.

    Args:
        config: the run's configuration.
        dataset: the data set to train on.
        knn_dataset: another, labelled data set for kNN, with the splits train, and val or test; None: the same.
        devices: the `Devices` of the configuration, where they are made already.

    Raises:
        UserError: a data set does not do for the configuration or for kNN; a shard that is read is corrupt beyond use.
    """
    _check(config, dataset)
    if knn_dataset is None:
        dataset = knn_dataset = _readable(config, dataset)
    else:
        _check_for_knn(config, knn_dataset)
        dataset, knn_dataset = _readable(config, dataset), _readable(config, knn_dataset)
    _check_camera(config, dataset)
    place = (devices or Devices(config.distribution)).worker
    share = dataset.share("train", place)
    data = Data(
        share.records("train"),
        share.decode,
        dataset.splits["train"].count,
        record_bytes=dataset.record_bytes("train"),
        first_index=dataset.first_index("train", place),
        cache=functools.partial(_cached, config, dataset),
        naming_corrupt_shards=functools.partial(_naming_corrupt_shards, dataset, knn_dataset),
    )
    if not _has_labels(knn_dataset):
        return data
    bank, queries = (
        knn_dataset.samples(split).filter(lambda sample: sample["label"] >= 0).take(BANK_FRAMES)
        for split in _read(knn_dataset)
    )
    return dataclasses.replace(
        data,
        bank=bank,
        queries=queries,
        num_classes=len(dataset.classes),
        choose_best="val" in knn_dataset.splits,
        bank_classes=knn_dataset.classes,
    )


def _check(config, dataset):
    """Refuse a data set that the configuration cannot train on."""
    if not dataset.has_depth and config.modality != "rgb":
        raise UserError(f"`modality={config.modality}`: {dataset.path} has no depth; use `modality=rgb`")
    for name in config.augmentation.of_depth:
        if not dataset.has_depth:
            given = f"`{name}={settings.text(getattr(config, name))}`"
            raise UserError(f"{given} needs measured depth, {dataset.path} has none: leave it out")
    unlabelled = dataset.splits["train"].unlabelled if "train" in dataset.splits else 0
    if unlabelled and config.method == "supervised":
        raise UserError(
            f"`method=supervised`: {unlabelled} training frames of {dataset.path} have no label; leave them out"
        )


def _check_camera(config, dataset):
    """Refuse depth without a camera, of which no points can be made; the first frame speaks for all."""
    if config.depth_input != "voxels" or config.modality == "rgb" or "train" not in dataset.splits:
        return
    with _naming_corrupt_shards(dataset):
        sample = next(iter(dataset.samples("train").take(1)), None)
    if sample is None or not np.any(camera.measured(sample["depth"])[1]):
        return
    intrinsics = np.asarray(sample.get("intrinsics", np.zeros(4)))
    if not (np.isfinite(intrinsics).all() and intrinsics[:2].min() > 0):
        raise UserError(
            f"`depth_input=voxels` needs intrinsics, {dataset.path} has {settings.text(tuple(intrinsics.tolist()))}: build it "
            "with `camera=fx,fy,cx,cy`, or use another `depth_input`"
        )


def _check_for_knn(config, dataset):
    """Refuse a separate data set for kNN that kNN cannot use."""
    flag = f"`knn_data_dir={dataset.path}`"
    if not dataset.has_depth and config.modality != "rgb":
        raise UserError(f"{flag} has no depth, which `modality={config.modality}` looks at: give a data set with depth")
    if not dataset.classes:
        raise UserError(f"{flag} has no labels, by which kNN judges: give a labelled data set")
    if not set(_read(dataset)) <= set(dataset.splits):
        raise UserError(f"{flag} has the splits {', '.join(dataset.splits)}: kNN needs train, and val or test")
    if not _has_labels(dataset):
        raise UserError(f"{flag} has a split without any label, by which kNN judges: give a labelled data set")


def _readable(config, dataset):
    return dataset.without_corrupt_records(_read(dataset)) if config.on_corrupt == "skip" else dataset


def _read(dataset):
    """The splits that a run reads: train, and the one that kNN compares to it, val or else test."""
    return "train", "val" if "val" in dataset.splits else "test"


def _has_labels(dataset):
    """Whether some frames have labels, both to train on and held out."""
    splits = [dataset.splits.get(name) for name in _read(dataset)]
    return bool(dataset.classes) and all(split and split.unlabelled < split.count for split in splits)


def _cached(config, dataset, records, decode):
    """The training records and the function that decodes them, or what stands for both where --cache says so."""
    limits = {"preprocessing": config.preprocessing, "limit_gb": config.cache_gb}
    limits["depth"] = bool(config.augmentation.of_depth)
    if config.cache == "memory":
        return cache.in_memory(records, decode, **limits)
    if config.cache == "disk":
        count, identity = dataset.splits["train"].count, dataset.identity("train")
        return cache.on_disk(records, decode, count=count, folder=cache.default_folder(), identity=identity, **limits)
    return records, decode


@contextlib.contextmanager
def _naming_corrupt_shards(*datasets):
    with contextlib.ExitStack() as stack:
        for dataset in datasets:
            stack.enter_context(dataset.naming_corrupt_shards(_read(dataset)))
        yield
