"""Writes one shard: under a hidden name until it is complete and on the disk, so that no part of one can be taken for it."""

import contextlib
import hashlib
import os

import tensorflow as tf

from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from tfrecords import example
from tfrecords.frame_statistics import Statistics


class WriteError(UserError):
    """The output cannot be written, whatever the frame: the disk is full, say."""


class Shard:
    """A context manager that writes the frames of one shard; leaving it without `finish` removes what was written.

    with Shard(path) as shard:
        for frame in frames:
            shard.add(frame)
        facts = shard.finish()
    """

    def __init__(self, path: str):
        """
        Args:
            path: of the shard; until it is finished, a hidden file lies next to it.
        """
        self._path = path
        # another at each call: on a cluster a task may be tried again while it still runs
        self._hidden = str(files.hidden(path))
        self._statistics = Statistics()
        self.count = 0
        self.bytes = 0

    def __enter__(self):
        with writing(self._path):
            self._file = tf.io.TFRecordWriter(self._hidden)
        return self

    def __exit__(self, *exception):
        # A full disk makes closing fail once more, after the write that has been reported.
        with contextlib.suppress(tf.errors.OpError):
            self._file.close()
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._hidden)

    def add(self, frame: example.Frame) -> None:
        """Append a frame.

        Raises:
            UserError: its images are not what a record must hold; nothing was appended.
            WriteError: the shard cannot be written.
        """
        self._statistics.add(frame)
        record = example.encode(frame)
        with writing(self._path):
            self._file.write(record)
        self.count += 1
        self.bytes += len(record)

    def finish(self) -> dict:
        """Give the shard its name.

        Returns:
            Its facts: `name`, `count`, `bytes`, `sha256` (hexadecimal) of the file, and `Statistics.facts`.

        Raises:
            WriteError: the shard cannot be written.
        """
        with writing(self._path):
            self._file.close()
            with open(self._hidden, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                os.fsync(file.fileno())
                size = os.fstat(file.fileno()).st_size
            os.replace(self._hidden, self._path)
        name = os.path.basename(self._path)
        return {"name": name, "count": self.count, "bytes": size, "sha256": digest} | self._statistics.facts()


def writing(path: str) -> contextlib.AbstractContextManager[None]:
    """`files.writing` for what a build writes.

    Raises:
        WriteError: on leaving the context.
    """
    remedy = "make room or choose another `output`; the same command goes on from the finished shards"
    return files.writing(path, remedy, WriteError)
