"""A data set that `tfrecords.build` wrote, as programs read it; shards on http:// and s3:// like those in a folder."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import tensorflow as tf

from keras_simsiam.core.errors import UserError
from tfrecords import corrupt_shards, description, example, filesystems, splits, workers
from tfrecords.splits import Split

# Shards read side by side, a record of each in turn. It decides the order, so it never follows from the machine.
INTERLEAVED = 8

# A split of at most so many bytes is read in the order written: the default shuffle holds all of it.
SMALL_BYTES = 64 * 2**20


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A data set of RGB-D frames: TFRecord shards and their dataset.json.

    Example:
        >>> dataset = ks.Dataset(data_dir)
        >>> for sample in dataset.samples("test").take(1):
        ...     print(dataset.classes[sample["label"]], sample["rgb"].shape, sample["depth"].shape)
        box (24, 32, 3) (24, 32)

    It holds no records, so copies are cheap. `only`, `share` and `without_corrupt_records` give a copy of which less is read.

    Attributes:
        path: its folder, local or at http://, https:// or s3://; a web server must answer requests for byte ranges.
        splits: by name.
        classes: the name of each label.
        instances: the name of each instance.
        has_depth: whether the frames have depth.
        depth_origin: what predicted the depth (tools.pseudo_depth), in words; empty where it was measured, or has none.

    Raises:
        UserError: `path` has no dataset.json, or one that this package did not write, or that a newer version wrote; or, in a
            local folder, a shard is missing or not of the size that was written.
    """

    path: str
    _: dataclasses.KW_ONLY
    splits: Mapping[str, Split] = None  # this and what follows is read from dataset.json, unless it is given
    classes: Sequence[str] = ()
    instances: Sequence[str] = ()
    has_depth: bool = True
    depth_origin: str = ""

    def __post_init__(self):
        if self.splits is None:
            vars(self).update(description.read(self.path))

    def split(self, name: str) -> Split:
        """A split by its name.

        Raises:
            UserError: the data set has no such split.
        """
        if name not in self.splits:
            raise UserError(f"{self.path} has no split '{name}': it has {', '.join(sorted(self.splits))}")
        return self.splits[name]

    def records(self, split: str) -> tf.data.Dataset:
        """The undecoded records of a split to train on, scalar strings, in the same order every time.

            samples = dataset.records("train").shuffle(1000).map(dataset.decode)

        Of a split larger than SMALL_BYTES eight shards are read side by side, a record of each in turn: consecutive records
        come from different shards.

        Raises:
            UserError: the data set has no such split.
            tf.errors.DataLossError: while reading, a record fails its checksum (`naming_corrupt_shards` tells which).
            tf.errors.FailedPreconditionError: while reading, the shards hold other than `count` records.
        """
        chosen = self.split(split)
        return chosen.records(INTERLEAVED if sum(chosen.sizes) > SMALL_BYTES else 1)

    def decode(self, record: tf.Tensor) -> dict[str, tf.Tensor]:
        """The sample of a record; a graph function, for tf.data's map (`tfrecords.example.decode` says what it holds)."""
        return example.decode(record, has_depth=self.has_depth)

    def samples(self, split: str) -> tf.data.Dataset:
        """The decoded samples of a split in the order written, at the frames' native sizes (so not batched).

        Raises:
            UserError, tf.errors.DataLossError, tf.errors.FailedPreconditionError: as `records`.
        """
        records = self.split(split).records(1)
        return records.map(self.decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def record_bytes(self, split: str) -> int:
        """Mean size of a split's records, at least 1.

        Raises:
            UserError: the data set has no such split.
        """
        chosen = self.split(split)
        return max(1, sum(chosen.sizes) // max(1, chosen.count))

    def identity(self, split: str) -> str:
        """A text that differs where reading a split could give other samples, or the same ones in another order.

        Local shards count as changed when their time of modification has changed, remote ones by their checksums.

        Raises:
            UserError: no such split exists, or the data set is remote and was built before dataset.json had checksums.
        """
        chosen = self.split(split)
        times = None
        if not filesystems.is_remote(self.path):
            times = [os.stat(shard).st_mtime_ns for shard in chosen.shards]
        elif not chosen.checksums:
            raise UserError(f"{self.path} has no checksums to know it again by: build it again, or use `cache=memory`")
        relative = dataclasses.replace(chosen, shards=tuple(os.path.basename(shard) for shard in chosen.shards))
        sources = (__file__, splits.__file__, example.__file__)
        code = [hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest() for file in sources]
        return repr((relative, self.has_depth, times, code))

    @property
    def checksum(self) -> str:
        """A SHA-256 of all shards, in hexadecimal digits: of their checksums."""
        shards = {name: list(split.checksums) for name, split in sorted(self.splits.items())}
        return hashlib.sha256(json.dumps(shards).encode()).hexdigest()

    def only(self, split: str, ranges: tuple[tuple[int, int], ...]) -> "Dataset":
        """The data set with a part of one split's records.

        Args:
            split: name of the split.
            ranges: as `Split.only` takes them.

        Raises:
            UserError: the data set has no such split.
        """
        return self._with(split, self.split(split).only(ranges))

    def share(self, split: str, context: tf.distribute.InputContext) -> "Dataset":
        """The data set with one worker's stretch of a split: every record falls to exactly one worker.

        The stretches follow each other in the order written and differ by at most one record, whatever the shards hold; a
        worker opens only those shards that its stretch lies in. dataset.json does not say where that is: each worker reads
        the split once to count. Meant for `strategy.distribute_datasets_from_function`, which never shards by itself.

        Args:
            split: name of the split.
            context: which worker of how many, as tf.distribute passes it to the dataset function.

        Raises:
            UserError: no such split exists, a shard is corrupt or cannot be read, or there are more workers than records.
        """
        count, of_all = self.split(split).count, context.num_input_pipelines
        if count < of_all:
            raise UserError(
                f"split {split} of {self.path} has {count} frames for {of_all} workers: use at most {count}"
            )
        if of_all == 1:
            return self
        return self.only(split, workers.ranges(self._shard_counts(split), context.input_pipeline_id, of_all))

    def first_index(self, split: str, context: tf.distribute.InputContext) -> int:
        """The place, from 0, of the first record of a worker's `share` in the split.

        Raises:
            UserError: the data set has no such split.
        """
        return workers.start(self.split(split).count, context.input_pipeline_id, context.num_input_pipelines)

    def without_corrupt_records(self, splits: Sequence[str]) -> "Dataset":
        """The data set without the corrupt records of some splits, and without what follows them in their shards.

        Reads these splits once. One line on stderr for each says what is left out.

        Args:
            splits: their names; those that the data set lacks are passed over.

        Raises:
            UserError: a shard cannot be read, or nothing of a split remains.
        """
        intact = self
        for name, split in self.splits.items():
            if name in splits:
                intact = intact._with(name, corrupt_shards.leave_out(name, split))
        return intact

    @contextlib.contextmanager
    def naming_corrupt_shards(self, splits: Sequence[str]) -> Iterator[None]:
        """A context in which an error of reading this data set becomes a UserError that names the shard and the record.

        Finding them takes reading the splits once more. An error that has another cause is raised as it was.

        Args:
            splits: the names of those that are read; those that the data set lacks are passed over.
        """
        try:
            yield
        except corrupt_shards.READING_ERRORS as error:
            for name in self.splits:
                if name in splits:
                    self._shard_counts(name)
            if filesystems.is_transfer(error):
                raise UserError(
                    f"reading {self.path} failed for a while ({filesystems.reason(error)}): give the same command again"
                ) from None
            raise

    def _with(self, name, split):
        if split is self.splits[name]:
            return self
        return dataclasses.replace(self, splits={**self.splits, name: split})

    def _shard_counts(self, split):
        """The number of records in each shard of a split, by reading all of them; refuses other than `count` in total."""
        counts, written = corrupt_shards.counts(self.split(split)), self.splits[split].count
        if sum(counts) != written:
            raise UserError(
                f"{self.path}: split {split} has {sum(counts)} frames, not {written} as written: build it again"
            )
        return counts
