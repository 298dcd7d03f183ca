"""Writes frames that are at hand to a data set, one after the other; tfrecords.build does it with many processes."""

import contextlib
import os

from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from tfrecords import dataset_json, example
from tfrecords.shard import Shard, writing
from tfrecords.unfinished import check_output

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
        """
        Args:
            output: the data set's folder on a local file system; made if it does not exist.
            shard_bytes: a shard that has reached this size is closed and the next one begun.

        Raises:
            UserError: `output` already holds a data set or is not a folder; on entering the context, where it cannot be
                made or written to.
        """
        check_output(output)
        self._output = output
        self._shard_bytes = shard_bytes
        self._stack = contextlib.ExitStack()
        self._open = {}
        self._finished = {}
        self._has_depth = None

    def __enter__(self):
        self._made_output = not os.path.isdir(self._output)
        with writing(f"`output={self._output}`"):
            self._partial = self._stack.enter_context(files.hidden_folder(self._output))
        return self

    def __exit__(self, *exception):
        self._stack.close()
        if self._made_output and not os.listdir(self._output):
            os.rmdir(self._output)

    def add(self, split: str, frame: example.Frame) -> None:
        """Append a frame to a split.

        Raises:
            ValueError: this frame has depth and earlier ones have not, or the reverse.
            UserError: its images are not what a record must hold, or the shard cannot be written.
        """
        has_depth = frame.depth is not None
        if self._has_depth not in (None, has_depth):
            raise ValueError(f"{frame.name}: either all frames of a data set have depth or none has")
        self._has_depth = has_depth
        if split in self._open and self._open[split].bytes >= self._shard_bytes:
            self._finish(split)
        if split not in self._open:
            finished = self._finished.setdefault(split, [])
            path = os.path.join(self._partial, dataset_json.shard_name(split, len(finished)))
            self._open[split] = self._stack.enter_context(Shard(path))
        self._open[split].add(frame)

    def commit(self, description: dict) -> dict:
        """Move the shards into the output folder, then dataset.json: the data set exists from that last step on.

        Args:
            description: what else dataset.json shall say: source, classes, instances and so on, as JSON values.

        Returns:
            The content of dataset.json.

        Raises:
            UserError: no frame was added, or something cannot be written.
        """
        for split in list(self._open):
            self._finish(split)
        if not self._finished:
            raise UserError("the source has no frames: nothing was written")
        content = dataset_json.describe(self._finished, {"skipped": 0} | description)
        dataset_json.publish(self._partial, self._output, content)
        return content

    def _finish(self, split):
        self._finished[split].append(self._open.pop(split).finish())
