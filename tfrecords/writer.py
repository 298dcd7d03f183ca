"""Writes a data set: shards and dataset.json, which appear in the output folder only when all of it is written."""

import json
import os
import shutil
import tempfile

import tensorflow as tf

from keras_simsiam.errors import UserError
from tfrecords import example

DATASET_JSON = "dataset.json"

# Large enough to read at the disk's speed, small enough to fetch, to retry and to deal out among workers.
SHARD_BYTES = 64 * 2**20


class Writer:
    """A context manager that collects frames in shards and commits them together with their description.

    Until `commit`, everything lies in a hidden folder inside `output`; leaving the context without a commit (by an
    exception, say) removes it again, and `output` too where the writer had to make it.

        with Writer(output) as writer:
            for frame in frames:
                writer.add("train", frame)
            writer.commit({"classes": [...], "instances": [...]})
    """

    def __init__(self, output: str, shard_bytes: int = SHARD_BYTES):
        """Args:
          output: the data set's folder on a local file system; made if it is not there.
          shard_bytes: a shard that has reached this size is closed and the next one begun.

        Raises:
          UserError: `output` already holds a data set or is not a folder; on entering the context, where it cannot be
            made or written to.
        """
        if os.path.exists(os.path.join(output, DATASET_JSON)):
            raise UserError(f"--output={output} already holds a data set: choose another folder or delete it")
        if os.path.exists(output) and not os.path.isdir(output):
            raise UserError(f"--output={output} is a file: choose a folder")
        self._output = output
        self._shard_bytes = shard_bytes
        self._splits = {}
        self._has_depth = None

    def __enter__(self):
        self._made_output = not os.path.isdir(self._output)
        try:
            os.makedirs(self._output, exist_ok=True)
            self._partial = tempfile.mkdtemp(prefix=".partial-", dir=self._output)
        except OSError as error:
            raise UserError(f"--output={self._output} cannot be written ({error.strerror}): choose another") from None
        return self

    def __exit__(self, *exception):
        for split in self._splits.values():
            split.close()
        shutil.rmtree(self._partial)
        if self._made_output and not os.listdir(self._output):
            os.rmdir(self._output)

    def add(self, split: str, frame: example.Frame) -> None:
        """Appends a frame to a split.

        Raises:
          ValueError: this frame has depth and earlier ones have not, or the reverse.
        """
        has_depth = frame.depth is not None
        if self._has_depth not in (None, has_depth):
            raise ValueError(f"{frame.name}: either all frames of a data set have depth or none has")
        self._has_depth = has_depth
        if split not in self._splits:
            self._splits[split] = _Shards(self._partial, split, self._shard_bytes)
        self._splits[split].write(example.encode(frame))

    def commit(self, description: dict) -> dict:
        """Moves the shards into the output folder, then dataset.json: the data set exists from that last step on.

        Args:
          description: what else dataset.json shall say: source, classes, instances and so on, as JSON values.

        Returns:
          The content of dataset.json.

        Raises:
          UserError: no frame was added.
        """
        if not self._splits:
            raise UserError("the source has no frames: nothing was written")
        for split in self._splits.values():
            split.close()
        content = {
            "schema_version": example.SCHEMA_VERSION,
            "splits": {name: self._describe(split) for name, split in self._splits.items()},
            "has_depth": self._has_depth,
        } | description
        with open(os.path.join(self._partial, DATASET_JSON), "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.write("\n")
        names = [name for split in self._splits.values() for name in split.names]
        for name in [*names, DATASET_JSON]:
            os.replace(os.path.join(self._partial, name), os.path.join(self._output, name))
        return content

    def _describe(self, split):
        sizes = [os.path.getsize(os.path.join(self._partial, name)) for name in split.names]
        return {"shards": split.names, "bytes": sizes, "count": split.count}


class _Shards:
    """The shards of one split."""

    def __init__(self, folder, split, shard_bytes):
        self._folder, self._split, self._shard_bytes = folder, split, shard_bytes
        self._file = None
        self._size = 0
        self.names = []
        self.count = 0

    def write(self, record):
        if self._file is None or self._size >= self._shard_bytes:
            self.close()
            self.names.append(f"{self._split}-{len(self.names):05d}.tfrecord")
            self._file = tf.io.TFRecordWriter(os.path.join(self._folder, self.names[-1]))
            self._size = 0
        self._file.write(record)
        self._size += len(record)
        self.count += 1

    def close(self):
        if self._file is not None:
            self._file.close()
            self._file = None
