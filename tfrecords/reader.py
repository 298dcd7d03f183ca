"""Reads a data set that `tfrecords.build` wrote, from a local folder or from http://, https:// or s3://."""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Callable
from dataclasses import dataclass, field

import tensorflow as tf

from keras_simsiam.core.errors import UserError
from tfrecords import example, filesystems
from tfrecords.writer import DATASET_JSON

# Shards read side by side, a record of each in turn. It decides the order, so it never follows from the machine.
INTERLEAVED = 8

# A split of at most so many bytes is read in the order written: the default shuffle holds all of it.
SMALL_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Split:
    """The part of a data set under one name, or what is read of it.

    Attributes:
      shards: their paths, in the order of dataset.json.
      count: number of frames.
      sizes: bytes of each shard.
      checksums: SHA-256 of each shard, in hexadecimal digits; none in data sets of the first releases.
      ranges: of each shard the first record that is read, from 0, and how many; None where all of every shard is.
      labels: number of frames written with each label, −1 those without one; empty in data sets of the first releases.
    """

    shards: tuple[str, ...]
    count: int
    sizes: tuple[int, ...] = ()
    checksums: tuple[str, ...] = ()
    ranges: tuple[tuple[int, int], ...] | None = None
    labels: dict[int, int] = field(default_factory=dict)

    @property
    def unlabelled(self) -> int:
        """Number of frames written without a label, as far as the data set says."""
        return self.labels.get(-1, 0)


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
        # data sets of the first release did not say
        written = split.get("bytes", [None] * len(shards))
        sizes = tuple(_checked_size(*pair) for pair in zip(shards, written, strict=True))
        labels = {int(label): count for label, count in split.get("labels", {}).items()}
        splits[name] = Split(shards, split["count"], sizes, tuple(split.get("sha256", ())), labels=labels)
    return Info(data_dir, splits, tuple(content["classes"]), tuple(content["instances"]), content["has_depth"])


def _checked_size(shard, written):
    """A shard's bytes; a remote one's are believed where dataset.json has them, to spare a request for every shard."""
    if written is not None and filesystems.is_remote(shard):
        return written
    found = tf.io.gfile.stat(shard).length if tf.io.gfile.exists(shard) else None
    if found is None or written not in (None, found):
        state = "is missing" if found is None else f"has {found} bytes, not {written} as written"
        raise UserError(f"{shard} {state}: copy or build the data set again")
    return found


def _read(data_dir, path):
    filesystems.register_for(path)
    try:
        with tf.io.gfile.GFile(path) as file:
            return file.read()
    except tf.errors.OpError as error:
        if filesystems.is_remote(path):
            raise UserError(f"cannot read {path} ({filesystems.reason(error)}): check the address") from None
        raise UserError(
            f"no data set in {data_dir} ({DATASET_JSON} is missing): build one by "
            f"`python -m tfrecords.build --source=... --output={data_dir}`"
        ) from None


def records(info: Info, split: str) -> tf.data.Dataset:
    """The undecoded records of a split to train on, scalar strings, in the same order every time.

    Of a split larger than SMALL_BYTES eight shards are read side by side, a record of each in turn: neighbours come from
    different shards.

    Raises:
      UserError: the data set has no such split.
      tf.errors.DataLossError: while reading, a record fails its checksum (`tfrecords.faults` tells which).
      tf.errors.FailedPreconditionError: while reading, the shards hold other than `count` records.
    """
    chosen = get_split(info, split)
    return _stream(chosen, INTERLEAVED if sum(chosen.sizes) > SMALL_BYTES else 1)


def _stream(split, side_by_side):
    ranges = split.ranges or [(0, -1)] * len(split.shards)
    first, number = tf.unstack(tf.constant(ranges, tf.int64), axis=1)
    # The names come from dataset.json because globbing finds nothing over HTTP and S3.
    stretches = tf.data.Dataset.from_tensor_slices((list(split.shards), first, number))
    read = stretches.interleave(
        lambda shard, first, number: tf.data.TFRecordDataset(shard).skip(first).take(number),
        cycle_length=side_by_side,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    # A shard cut off inside a record's header reads as one that ends there.
    return read.apply(tf.data.experimental.assert_cardinality(split.count))


def record_bytes(info: Info, split: str) -> int:
    """Mean size of a split's records, at least 1.

    Raises:
      UserError: the data set has no such split.
    """
    chosen = get_split(info, split)
    return max(1, sum(chosen.sizes) // max(1, chosen.count))


def only(info: Info, split: str, ranges: tuple[tuple[int, int], ...]) -> Info:
    """The data set with a part of one split's records.

    Args:
      info: the data set.
      split: name of the split.
      ranges: for each of its shards the first record that is kept, from 0, and how many, of those that are read so far;
        a shard with none is not opened.

    Raises:
      UserError: the data set has no such split.
    """
    chosen = get_split(info, split)
    so_far = chosen.ranges or [(0, chosen.count)] * len(chosen.shards)
    kept = [
        (shard, size, (start + first, number))
        for shard, size, (start, _), (first, number) in zip(chosen.shards, chosen.sizes, so_far, ranges, strict=True)
        if number
    ]
    shards, sizes, ranges = zip(*kept, strict=True) if kept else ((), (), ())
    part = dataclasses.replace(
        chosen, shards=shards, sizes=sizes, ranges=ranges, count=sum(number for _, number in ranges)
    )
    return dataclasses.replace(info, splits=info.splits | {split: part})


def identity(info: Info, split: str) -> str:
    """A text that differs where reading a split could give other samples, or the same ones in another order.

    Local shards count as changed when their time of modification has changed, remote ones by their checksums.

    Raises:
      UserError: there is no such split, or the data set is remote and was built before dataset.json had checksums.
    """
    chosen = get_split(info, split)
    times = None
    if not filesystems.is_remote(info.path):
        times = [os.stat(shard).st_mtime_ns for shard in chosen.shards]
    elif not chosen.checksums:
        raise UserError(f"{info.path} has no checksums to know it again by: build it anew, or use --cache=memory")
    relative = dataclasses.replace(chosen, shards=tuple(os.path.basename(shard) for shard in chosen.shards))
    code = [hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest() for file in (__file__, example.__file__)]
    return repr((relative, info.has_depth, times, code))


def checksum(info: Info) -> str:
    """A SHA-256 of all shards, in hexadecimal digits: of their checksums."""
    shards = {name: list(split.checksums) for name, split in sorted(info.splits.items())}
    return hashlib.sha256(json.dumps(shards).encode()).hexdigest()


def get_split(info: Info, name: str) -> Split:
    """A split by its name.

    Raises:
      UserError: the data set has no such split.
    """
    if name not in info.splits:
        raise UserError(f"{info.path} has no split '{name}': it has {', '.join(sorted(info.splits))}")
    return info.splits[name]


def decode(info: Info) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """The map function from a record of this data set to a sample (`tfrecords.example.decode`)."""
    return lambda serialized: example.decode(serialized, has_depth=info.has_depth)


def samples(info: Info, split: str) -> tf.data.Dataset:
    """The decoded samples of a split in the order written, at the frames' native sizes (so not batched).

    Raises:
      UserError, tf.errors.DataLossError, tf.errors.FailedPreconditionError: as `records`.
    """
    return _stream(get_split(info, split), 1).map(decode(info), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
