"""The hidden folder of a build that has not ended yet: what a killed build leaves, and the same command goes on from."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable

from keras_simsiam.core.errors import UserError
from tfrecords import dataset_json
from tfrecords.shard import writing

FOLDER = ".unfinished"
_BUILD_JSON = "build.json"
_LOCK = "lock"


def check_output(output: str) -> None:
    """Check that a data set can be begun in a folder, which need not exist.

    Raises:
        UserError: it holds a data set, or is a file.
    """
    if os.path.exists(os.path.join(output, dataset_json.DATASET_JSON)):
        raise UserError(f"`output={output}` already holds a data set: choose another folder or delete it")
    if os.path.exists(output) and not os.path.isdir(output):
        raise UserError(f"`output={output}` is a file: choose a folder")


def record(folder: str, facts: dict) -> None:
    """Note in the hidden folder that a shard is finished, with its facts.

    Raises:
        WriteError: the note cannot be written.
    """
    dataset_json.write(os.path.join(folder, f"{facts['name']}.json"), json.dumps(facts))


class Unfinished:
    """A context manager of the hidden folder inside `output`; leaving it keeps finished shards and removes all else."""

    def __init__(self, output: str):
        """
        Args:
            output: the data set's folder on a local file system; made if it does not exist.

        Raises:
            UserError: it holds a data set or is a file; on entering the context, where it cannot be made.
        """
        check_output(output)
        self._output = output
        self.folder = os.path.join(output, FOLDER)
        self._lock = None

    def __enter__(self):
        self._made_output = not os.path.isdir(self._output)
        with writing(f"`output={self._output}`"):
            os.makedirs(self._output, exist_ok=True)
        return self

    def __exit__(self, *exception):
        if self._lock is not None:
            self._remove_partial()
            keep = self._facts_names()
            # NFS keeps an open file, under another name: the folder of the lock can only be removed without it.
            os.close(self._lock)
            if not keep:
                shutil.rmtree(self.folder)
        if self._made_output and not os.listdir(self._output):
            os.rmdir(self._output)

    def begin(self, command: dict, make_layout: Callable[[], dict]) -> dict:
        """Begin a build, or go on with the unfinished one.

        Args:
            command: what makes it the same build: `source` (name and arguments) and `input` (a digest), as JSON values.
            make_layout: how the frames are dealt out to shards, as JSON values; called only where no shard is finished yet.

        Returns:
            The layout of the build.

        Raises:
            UserError: the build there is another command's, of other input, or goes on at this moment.
            WriteError: the folder cannot be written.
        """
        self._open()
        path = os.path.join(self.folder, _BUILD_JSON)
        if self._facts_names():
            with open(path, encoding="utf-8") as file:
                there = json.load(file)
            self._compare(there, json.loads(json.dumps(command)))
            return there["layout"]
        layout = make_layout()
        dataset_json.write(path, json.dumps(command | {"layout": layout}))
        return layout

    def finished(self) -> dict[str, dict]:
        """The facts of the shards that are finished, by their names."""
        finished = {}
        for name in self._facts_names():
            with open(os.path.join(self.folder, name), encoding="utf-8") as file:
                facts = json.load(file)
            if not facts["count"] or self._exists(facts):
                finished[facts["name"]] = facts
        return finished

    def publish(self, content: dict, skipped: list[dict]) -> None:
        """`tfrecords.dataset.publish`; then removes the folder.

        Raises:
            WriteError: the output cannot be written.
        """
        dataset_json.publish(self.folder, self._output, content, skipped)
        for name in self._facts_names():
            os.remove(os.path.join(self.folder, name))

    def _open(self):
        with writing(self.folder):
            os.makedirs(self.folder, exist_ok=True)
            # A file, open for writing: NFS locks no other exclusively, and a folder cannot be opened so.
            lock = os.open(os.path.join(self.folder, _LOCK), os.O_RDWR | os.O_CREAT, 0o644)
            try:
                # Gone with the process that holds it, however that ends.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                raise UserError(f"another build is writing to `output={self._output}`: wait for it to end") from None
        self._lock = lock
        check_output(self._output)
        self._remove_partial()

    def _compare(self, there, command):
        remedy = f"or delete {self.folder} to start over"
        if there["source"] != command["source"]:
            raise UserError(
                f"`output={self._output}` holds the unfinished build of another command "
                f"({_flags(there['source'], command['source'])}): give that one to go on with it, {remedy}"
            )
        if there["input"] != command["input"]:
            raise UserError(
                f"`output={self._output}` holds an unfinished build, but its input has changed since it began: "
                f"delete {self.folder} to start over"
            )

    def _exists(self, facts):
        """Whether the shard exists in full, here or already where dataset.json will be."""
        paths = [os.path.join(folder, facts["name"]) for folder in (self.folder, self._output)]
        return any(os.path.exists(path) and os.path.getsize(path) == facts["bytes"] for path in paths)

    def _facts_names(self):
        return sorted(name for name in os.listdir(self.folder) if name.endswith(".tfrecord.json"))

    def _remove_partial(self):
        for name in os.listdir(self.folder):
            if name.startswith("."):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(os.path.join(self.folder, name))


def _flags(there, command):
    """The flags of the unfinished build, as far as they differ."""
    if there["name"] != command["name"]:
        return f"`source={there['name']}`"
    differing = {name for name, value in there["arguments"].items() if command["arguments"].get(name) != value}
    return " ".join(f"`{name}={there['arguments'][name]}`" for name in sorted(differing))
