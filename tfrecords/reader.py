"""Reads a data set that `tfrecords.build` wrote, from a local folder or from http://, https:// or s3://."""

import json
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
      UserError: there is none in `data_dir`, it is not readable as JSON, or a newer version of this package wrote it.
    """
    path = tf.io.gfile.join(data_dir, DATASET_JSON)
    text = _read(data_dir, path)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is damaged ({error}): delete {data_dir} and build it again") from None
    if content["schema_version"] > example.SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema version {content['schema_version']}, this package reads up to "
            f"{example.SCHEMA_VERSION}: update the package or build the data set again"
        )
    splits = {
        name: Split(tuple(tf.io.gfile.join(data_dir, shard) for shard in split["shards"]), split["count"])
        for name, split in content["splits"].items()
    }
    return Info(data_dir, splits, tuple(content["classes"]), tuple(content["instances"]), content["has_depth"])


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
