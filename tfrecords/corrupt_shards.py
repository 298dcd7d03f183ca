"""Corrupt shards: which one, which record, and reading on without it. TensorFlow's own errors name neither."""

import sys
from dataclasses import dataclass

import tensorflow as tf

from keras_simsiam.core.errors import UserError
from tfrecords import filesystems
from tfrecords.splits import Split

# What reading may end in: a checksum, a shard that is missing, other than the expected number of records, a transfer.
READING_ERRORS = (
    tf.errors.DataLossError,
    tf.errors.NotFoundError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)
_FRAMING = 16  # bytes around a record: its length, the checksums of the length and of the data


@dataclass(frozen=True)
class Reading:
    """What reading a shard to its end has given.

    Attributes:
        count: records before the first corrupt one.
        problem: what is wrong with that one; None where all are intact.
    """

    count: int
    problem: str | None = None


def read_through(shard: str, size: int) -> Reading:
    """Read a shard to its end, against the checksums that it holds.

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
            f"{shard} cannot be read ({filesystems.reason(error)}): fix that and give the same command again"
        ) from None
    # A file that ends inside the header of a record is not an error to TensorFlow.
    return Reading(count) if end == size else Reading(count, f"record {count} (from 0) is missing or cut off")


def leave_out(name: str, split: Split) -> Split:
    """A split without its corrupt records, and without what follows them in their shards; itself where all are intact.

    Reads the split once. One line on stderr says what is left out.

    Args:
        name: of the split, for that line.
        split: the split.

    Raises:
        UserError: a shard cannot be read, or nothing of the split remains.
    """
    readings = _read_all(split)
    if all(reading.problem is None for reading in readings):
        return split
    intact = split.only(tuple((0, reading.count) for reading in readings))
    corrupt = [pair for pair in zip(split.shards, readings, strict=True) if pair[1].problem]
    left_out = ", ".join(f"the rest of {shard}, where {reading.problem}" for shard, reading in corrupt)
    if not intact.count:
        raise UserError(f"split {name}: nothing remains without {left_out}: copy or build the data set again")
    print(
        f"WARNING: split {name} is read without {left_out}: {intact.count} of {split.count} frames remain",
        file=sys.stderr,
    )
    return intact


def counts(split: Split) -> list[int]:
    """The number of records in each shard of a split, by reading all of them.

    Raises:
        UserError: a shard is corrupt or cannot be read.
    """
    readings = _read_all(split)
    for shard, reading in zip(split.shards, readings, strict=True):
        if reading.problem:
            raise UserError(
                f"{shard} is corrupt, {reading.problem}: copy or build the data set again, or read on without the rest of "
                "this shard by `on_corrupt=skip`"
            )
    return [reading.count for reading in readings]


def _read_all(split):
    """What reading each shard, or the split's part of it, has given."""
    readings = [read_through(*pair) for pair in zip(split.shards, split.sizes, strict=True)]
    if split.ranges is None:
        return readings
    return [_within(*pair) for pair in zip(readings, split.ranges, strict=True)]


def _within(reading, part):
    first, number = part
    count = max(0, reading.count - first)
    return Reading(number) if count >= number else Reading(count, reading.problem)
