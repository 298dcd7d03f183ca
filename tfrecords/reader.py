"""Reads a data set that `tfrecords.build` wrote, from a local folder or from http://, https:// or s3://."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from keras_simsiam.errors import UserError
from tfrecords import example, filesystems
from tfrecords.writer import DATASET_JSON


@dataclass(frozen=True)
class Split:
    """The part of a data set under one name: the paths of its shards, in reading order, and its number of frames."""

    shards: tuple[str, ...]
    count: int


@dataclass(frozen=True)
class Info:
    """What dataset.json says.

    Attributes:
      path: the data set's folder.
      splits: by name.
      classes: the name of each label.
      instances: the name of each instance.
      has_depth: whether the frames have depth.
    """

    path: str
    splits: dict[str, Split]
    classes: tuple[str, ...]
    instances: tuple[str, ...]
    has_depth: bool


def load(data_dir: str) -> Info:
    """Reads the dataset.json of a folder, local or remote. A web server must answer requests for byte ranges.

    Raises:
      UserError: there is none in `data_dir`, it is not what this package writes, or a newer version wrote it; or, in a
        local folder, a shard is not there or not of the size that was written.
    """
    path = tf.io.gfile.join(data_dir, DATASET_JSON)
    text = _read(data_dir, path)
    try:
        content = json.loads(text)
        version = content["schema_version"]
        if version <= example.SCHEMA_VERSION:
            return _info(data_dir, content)
    except (ValueError, KeyError, TypeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise UserError(f"{path} is damaged ({reason}): delete {data_dir} and build it again") from None
    raise UserError(
        f"{path} has schema version {version}, this package reads up to {example.SCHEMA_VERSION}: "
        "update the package or build the data set again"
    )


def _info(data_dir, content):
    splits = {}
    for name, split in content["splits"].items():
        shards = tuple(tf.io.gfile.join(data_dir, shard) for shard in split["shards"])
        if not filesystems.is_remote(data_dir):
            # data sets of the first release did not say
            for shard, size in zip(shards, split.get("bytes", [None] * len(shards)), strict=True):
                _check_size(shard, size)
        splits[name] = Split(shards, split["count"])
    return Info(data_dir, splits, tuple(content["classes"]), tuple(content["instances"]), content["has_depth"])


def _check_size(shard, size):
    found = os.path.getsize(shard) if os.path.exists(shard) else None
    if found is None or size not in (None, found):
        state = "is missing" if found is None else f"has {found} bytes, not {size} as written"
        raise UserError(f"{shard} {state}: copy or build the data set again")


def _read(data_dir, path):
    filesystems.register_for(path)
    try:
        with tf.io.gfile.GFile(path) as file:
            return file.read()
    except tf.errors.OpError as error:
        if filesystems.is_remote(path):
            # The message of an HTTP error goes on with the page that the server sent.
            reason = error.message.partition(" with body ")[0]
            raise UserError(f"cannot read {path} ({reason}): check the address") from None
        raise UserError(
            f"no data set in {data_dir} ({DATASET_JSON} is missing): build one by "
            f"`python -m tfrecords.build --source=... --output={data_dir}`"
        ) from None


def records(info: Info, split: str) -> tf.data.Dataset:
    """The undecoded records of a split, scalar strings, in the same order every time.

    Raises:
      UserError: the data set has no such split.
    """
    if split not in info.splits:
        raise UserError(f"{info.path} has no split '{split}': it has {', '.join(sorted(info.splits))}")
    # The names come from dataset.json because globbing finds nothing over HTTP and S3.
    return tf.data.TFRecordDataset(list(info.splits[split].shards))


def decode(info: Info) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """The map function from a record of this data set to a sample (`tfrecords.example.decode`)."""
    return lambda serialized: example.decode(serialized, has_depth=info.has_depth)


def samples(info: Info, split: str) -> tf.data.Dataset:
    """The decoded samples of a split, in the order of `records`, at the frames' native sizes (so not batched).

    Raises:
      UserError: the data set has no such split.
    """
    return records(info, split).map(decode(info), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
