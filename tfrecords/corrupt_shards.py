"""Damaged shards: which one, which record, and reading on without it. TensorFlow's own errors name neither."""

import contextlib
import sys
from dataclasses import dataclass

import tensorflow as tf

from keras_simsiam.core.errors import UserError
from tfrecords import filesystems, reader

# What reading may end in: a checksum, a shard that is not there, other than the expected number of records, a transfer.
_READING = (
    tf.errors.DataLossError,
    tf.errors.NotFoundError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)
_FRAMING = 16  # bytes around a record: its length, the checksums of the length and of the data


@dataclass(frozen=True)
class Reading:
    """What reading a shard to its end found.

    Attributes:
      count: records before the first fault.
      fault: what is wrong with the record after them; None where nothing is.
    """

    count: int
    fault: str | None = None


def read_through(shard: str, size: int) -> Reading:
    """Reads a shard to its end, against the checksums that it holds.

    Args:
      shard: its path.
      size: its bytes as written.

    Raises:
      UserError: it cannot be read at all, or a transfer failed.
    """
    count = end = 0
    try:
        for length in tf.data.TFRecordDataset(shard).map(tf.strings.length):
            count += 1
            end += int(length) + _FRAMING
    except tf.errors.DataLossError as error:
        kind = "is cut off" if "truncated" in error.message else "fails its checksum"
        return Reading(count, f"record {count} (from 0) {kind}")
    except tf.errors.OpError as error:
        raise UserError(
            f"{shard} cannot be read ({filesystems.reason(error)}): mend that and give the same command again"
        ) from None
    # A file that ends inside the header of a record is not an error to TensorFlow.
    return Reading(count) if end == size else Reading(count, f"record {count} (from 0) is missing or cut off")


def leave_out(info: reader.Info, splits: tuple[str, ...]) -> reader.Info:
    """The data set without the damaged records of some splits, and without what follows them in their shards.

    Reads these splits once. What is left out of a split is said in one line on stderr.

    Args:
      info: the data set.
      splits: their names; those that it has not are passed over.

    Raises:
      UserError: a shard cannot be read, or nothing of a split remains.
    """
    for split in info.splits:
        info = _intact(info, split) if split in splits else info
    return info


def _intact(info, split):
    shards, readings = _read_all(info, split)
    if all(reading.fault is None for reading in readings):
        return info
    intact = reader.only(info, split, tuple((0, reading.count) for reading in readings))
    kept, written = intact.splits[split].count, info.splits[split].count
    faulty = [pair for pair in zip(shards, readings, strict=True) if pair[1].fault]
    left_out = ", ".join(f"the rest of {shard}, where {reading.fault}" for shard, reading in faulty)
    if not kept:
        raise UserError(f"split {split}: nothing remains without {left_out}: copy or build the data set again")
    print(f"WARNING: split {split} is read without {left_out}: {kept} of {written} frames remain", file=sys.stderr)
    return intact


@contextlib.contextmanager
def named(info: reader.Info, splits: tuple[str, ...]):
    """A context in which an error of reading a data set becomes a UserError that names the shard and the record.

    Finding them takes reading the splits once more. An error that has another cause is raised as it was.

    Args:
      info: the data set that is read.
      splits: the names of those that are read; those that it has not are passed over.
    """
    try:
        yield
    except _READING as error:
        for split in info.splits:
            if split in splits:
                counts(info, split)
        if filesystems.is_transfer(error):
            raise UserError(
                f"reading {info.path} failed for a while ({filesystems.reason(error)}): give the same command again"
            ) from None
        raise


def counts(info: reader.Info, split: str) -> list[int]:
    """The number of records in each shard of a split, by reading all of them.

    Raises:
      UserError: there is no such split; a shard is damaged or cannot be read; there are other than `count` records.
    """
    shards, readings = _read_all(info, split)
    for shard, reading in zip(shards, readings, strict=True):
        if reading.fault:
            raise UserError(
                f"{shard} is damaged, {reading.fault}: copy or build the data set again, or read on without the rest of "
                "this shard by --on_corrupt=skip"
            )
    found, written = sum(reading.count for reading in readings), info.splits[split].count
    if found != written:
        raise UserError(f"{info.path}: split {split} has {found} frames, not {written} as written: build it again")
    return [reading.count for reading in readings]


def _read_all(info, split):
    """The shards of a split and, of the part of each that is read, what reading it found."""
    chosen = reader.get_split(info, split)
    readings = [read_through(*pair) for pair in zip(chosen.shards, chosen.sizes, strict=True)]
    if chosen.ranges is None:
        return chosen.shards, readings
    return chosen.shards, [_within(*pair) for pair in zip(readings, chosen.ranges, strict=True)]


def _within(reading, part):
    first, number = part
    found = max(0, reading.count - first)
    return Reading(number) if found >= number else Reading(found, reading.fault)
