"""What the library asks of a data set. `tfrecords.Dataset` is one; a program may bring its own."""

import contextlib
import typing
from collections.abc import Mapping, Sequence

import tensorflow as tf


class Split(typing.Protocol):
    """The part of a data set under one name."""

    @property
    def count(self) -> int:
        """Number of frames."""

    @property
    def unlabelled(self) -> int:
        """Number of frames without a label."""


class Dataset(typing.Protocol):
    """Frames in splits, which are read as Samples (docs/architecture.md); `split` is the name of one."""

    @property
    def path(self) -> str:
        """Its folder or its name, for messages and flags.txt."""

    @property
    def splits(self) -> Mapping[str, Split]:
        """The splits by name: `train`, and `val` or `test` where there is something to measure on."""

    @property
    def classes(self) -> Sequence[str]:
        """The name of each label; empty where there are no labels."""

    @property
    def has_depth(self) -> bool:
        """Whether the frames have depth."""

    @property
    def checksum(self) -> str:
        """A text that differs for data sets of other frames, wherever they lie."""

    def samples(self, split: str) -> tf.data.Dataset:
        """The Samples of a split, in the same order at every pass."""

    def records(self, split: str) -> tf.data.Dataset:
        """The undecoded records of a split to train on, in the same order at every pass: the shuffle holds these."""

    def decode(self, record: tf.Tensor) -> dict[str, tf.Tensor]:
        """The Sample of a record; a graph function."""

    def record_bytes(self, split: str) -> int:
        """Mean size of a split's records, at least 1."""

    def identity(self, split: str) -> str:
        """A text that differs where reading a split could give other Samples, or the same ones in another order."""

    def share(self, split: str, context: tf.distribute.InputContext) -> "Dataset":
        """The data set with one worker's part of a split; every record falls to exactly one worker."""

    def first_index(self, split: str, context: tf.distribute.InputContext) -> int:
        """The place, from 0, of the first record of a worker's `share` in the split."""

    def without_corrupt_records(self, splits: Sequence[str]) -> "Dataset":
        """The data set without what cannot be read of some splits; names that it lacks are passed over."""

    def naming_corrupt_shards(self, splits: Sequence[str]) -> contextlib.AbstractContextManager:
        """A context in which an error of reading becomes a UserError that says where; names it lacks are passed over."""
