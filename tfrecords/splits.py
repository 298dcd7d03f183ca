"""A split of a data set: its shards, and the records in them."""

import dataclasses
from dataclasses import dataclass, field

import tensorflow as tf


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

    def records(self, side_by_side: int) -> tf.data.Dataset:
        """The undecoded records, scalar strings; so many shards are read at a time, a record of each in turn.

        Raises:
            tf.errors.DataLossError: while reading, a record fails its checksum.
            tf.errors.FailedPreconditionError: while reading, the shards hold other than `count` records.
        """
        ranges = self.ranges or [(0, -1)] * len(self.shards)
        first, number = tf.unstack(tf.constant(ranges, tf.int64), axis=1)
        # The names come from dataset.json because globbing finds nothing over HTTP and S3.
        stretches = tf.data.Dataset.from_tensor_slices((list(self.shards), first, number))
        read = stretches.interleave(
            lambda shard, first, number: tf.data.TFRecordDataset(shard).skip(first).take(number),
            cycle_length=side_by_side,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        # A shard cut off inside a record's header reads as one that ends there.
        return read.apply(tf.data.experimental.assert_cardinality(self.count))

    def only(self, ranges: tuple[tuple[int, int], ...]) -> "Split":
        """The split with a part of its records.

        Args:
            ranges: for each shard the first record that is kept, from 0, and how many, of those that are read so far; a
                shard with none is not opened.
        """
        so_far = self.ranges or [(0, self.count)] * len(self.shards)
        kept = [
            (shard, size, (start + first, number))
            for shard, size, (start, _), (first, number) in zip(self.shards, self.sizes, so_far, ranges, strict=True)
            if number
        ]
        shards, sizes, ranges = zip(*kept, strict=True) if kept else ((), (), ())
        count = sum(number for _, number in ranges)
        return dataclasses.replace(self, shards=shards, sizes=sizes, ranges=ranges, count=count)
