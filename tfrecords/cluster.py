"""Runs the tasks of a build on Apache Beam: an element a task.

An element is a task's name. The task, the function and what comes of them are files in the build's hidden folder, which
all machines share: runners limit the size of a pipeline, and none hands results back. These files go with the build, so a
job that outlives it can begin no task, nor finish one: its shard's hidden file is gone too.
"""

import contextlib
import functools
import logging
import os
import pickle
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from keras_simsiam.core.errors import UserError
from tfrecords import dataset_json
from tfrecords.processes import take_one_core
from tfrecords.shard import writing
from tfrecords.unfinished import Unfinished

_PATIENCE = 60  # seconds: for so long NFS may show a folder as it was (acdirmax)


class Cluster:
    """Pool like `tfrecords.processes.Pool`, on the runner that Beam's flags name."""

    def __init__(self, beam_flags: Sequence[str], unfinished: Unfinished, arguments: dict):
        """
        Args:
            beam_flags: of Beam and its runner.
            unfinished: of the build.
            arguments: of the source; `input`, where it has one, is looked for by each worker.
        """
        self._options = PipelineOptions(list(beam_flags))
        self._unfinished = unfinished
        self._input = arguments.get("input")

    def __call__(self, function: Callable, tasks: Iterable[Any], progress: Callable[[int], None]) -> Iterator[dict]:
        """Yield the facts of the shards, when all are written.

        Args:
            function: writes the shard of a task and notes its facts (`tfrecords.unfinished.record`).
            tasks: picklable, with a `name`, that of the shard, and `references`.
            progress: called with the number of references of each.

        Raises:
            UserError: of a task (then those not begun are left); or the facts of a shard do not appear.
        """
        tasks = {task.name: task for task in tasks}
        if not tasks:
            return
        prefix = os.path.join(self._unfinished.folder, f".{uuid.uuid4().hex}.")
        for name, content in {"function": function, **tasks}.items():
            with writing(prefix + name), open(prefix + name, "wb") as file:
                pickle.dump(content, file)
        self._run_pipeline(list(tasks), prefix)
        facts = self._wait_for(tasks.keys(), prefix)
        for name, task in tasks.items():
            progress(len(task.references))
            yield facts[name]

    def _run_pipeline(self, names, prefix):
        pipeline = beam.Pipeline(options=self._options)
        write = beam.Map(_run, prefix=prefix, input=self._input)
        _ = pipeline | beam.Create(names) | beam.Reshuffle() | write
        job = pipeline.run()
        try:
            job.wait_until_finish()
        except KeyboardInterrupt:
            job.cancel()
            raise

    def _wait_for(self, names, prefix):
        deadline = time.monotonic() + _PATIENCE
        while missing := names - (facts := self._unfinished.finished()).keys():
            with contextlib.suppress(FileNotFoundError), open(prefix + "failure", encoding="utf-8") as file:
                raise UserError(file.read())
            if time.monotonic() > deadline:
                raise UserError(
                    f"{len(missing)} of {len(names)} shards do not appear in {self._unfinished.folder}: `output` and "
                    "`input` must be absolute paths in a folder that all workers share (NFS, say); else see their log"
                )
            time.sleep(1)
        return facts


def _run(name, prefix, input):
    """In a worker. A UserError becomes a file: the runner would try again what raises, and then print its traceback."""
    if os.path.exists(prefix + "failure"):
        return
    try:
        if input and not (os.path.isfile(input) or (os.path.isdir(input) and os.listdir(input))):
            raise UserError(
                f"`input={input}` is missing on {socket.gethostname()}: give an absolute path that all share"
            )
        _function(prefix)(_unpickle(prefix + name), lambda amount: None)
    except UserError as error:
        logging.getLogger(__name__).error("%s: %s", name, error)
        with contextlib.suppress(UserError):
            dataset_json.write(prefix + "failure", str(error))


@functools.lru_cache(maxsize=1)
def _function(prefix):
    take_one_core()
    return _unpickle(prefix + "function")


def _unpickle(path):
    try:
        with open(path, "rb") as file:
            return pickle.load(file)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read on {socket.gethostname()} ({error.strerror}): `output` is not shared"
        ) from None
