"""Writes one shard: under a hidden name until it is complete and on the disk, so that no part of one can be taken for it."""

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterator

import tensorflow as tf

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
        """Args:
        path: of the shard; until it is finished, a hidden file lies beside it.
        """
        self._path = path
        self._hidden = hidden(path)
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
        """Appends a frame.

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
        """Gives the shard its name.

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


def hidden(path: str) -> str:
    """A path beside `path` for what is to become it, another at each call.

    Two processes, on a cluster of two machines, can be at the same file: where a build follows on one that was killed, or
    where a task is tried again.
    """
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{uuid.uuid4().hex}")


@contextlib.contextmanager
def writing(path: str) -> Iterator[None]:
    """Turns what goes wrong with writing a file into one line.

    Raises:
      WriteError: with the path, the reason and what to do.
    """
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        # TensorFlow's message begins with its own path.
        reason = error.strerror if isinstance(error, OSError) else error.message.rpartition("; ")[2]
        raise WriteError(
            f"{path} cannot be written ({reason}): make room or choose another --output; the same command goes on from "
            "the finished shards"
        ) from None
