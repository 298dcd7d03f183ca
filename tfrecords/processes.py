"""Worker processes that a build can lose without losing its way: a killed one ends the build in one line."""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import connection
from typing import Any

import cv2

from keras_simsiam.core.errors import UserError

# Forked: a spawned process would take seconds to import TensorFlow again. A fork copies no thread, so one from a process
# in which TensorFlow (or OpenCV) has started its threads can hang. The pool therefore forks when it is made: the command
# makes it first of all, and what a source's plan runs in the parent after that, no worker has ever heard of.
_CONTEXT = multiprocessing.get_context("fork")

Progress = Callable[[int], None]


class Pool:
    """A context manager of worker processes, all forked on entering it; leaving it kills those that still work.

        with Pool(2) as pool:
            for result in pool.run(function, tasks):
                ...

    A worker also ends when its parent is gone, by `kill -9` too.
    """

    def __init__(self, workers: int):
        """
        Args:
            workers: how many processes, > 0.
        """
        self._count = workers

    def __enter__(self):
        self._workers = {}
        for _ in range(self._count):
            ours, theirs = _CONTEXT.Pipe()
            process = _CONTEXT.Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            # Held only by its own process, its end is closed by that process's death.
            theirs.close()
            self._workers[ours] = process
        return self

    def __exit__(self, *exception):
        for process in self._workers.values():
            process.kill()
        for pipe, process in self._workers.items():
            process.join()
            pipe.close()

    def run(
        self, function: Callable[[Any, Progress], Any], tasks: Iterable[Any], progress: Progress = lambda amount: None
    ) -> Iterator[Any]:
        """Call `function(task, progress)` for each task in some worker; yield the results in the order they come in.

        Args:
            function: picklable, as are the tasks and its results. It may call its own `progress` with amounts, > 0.
            tasks: are begun in this order.
            progress: called here with each of those amounts.

        Raises:
            UserError: a worker was killed.
            Exception: whatever `function` raised.
        """
        tasks = iter(tasks)
        busy = {pipe for pipe in self._workers if self._begin(pipe, function, tasks)}
        while busy:
            for pipe in connection.wait(busy):
                kind, value = self._receive(pipe)
                if kind == "progress":
                    progress(value)
                elif kind == "error":
                    raise value
                else:
                    if not self._begin(pipe, function, tasks):
                        busy.remove(pipe)
                    yield value

    def _begin(self, pipe, function, tasks):
        """Send a worker the next task; False where there is none left."""
        for task in tasks:
            try:
                pipe.send((function, task))
            except BrokenPipeError:
                self._mourn(pipe)
            return True
        return False

    def _receive(self, pipe):
        try:
            return pipe.recv()
        except (EOFError, ConnectionError):
            self._mourn(pipe)

    def _mourn(self, pipe):
        process = self._workers[pipe]
        process.join()
        raise UserError(
            f"a worker process was killed (exit status {process.exitcode}; -9: often for want of memory): give the same "
            "command again, which goes on from the finished shards, perhaps with fewer `workers`"
        )


def _work(pipe):
    _prepare()
    while True:
        try:
            function, task = pipe.recv()
        except EOFError:
            return
        try:
            message = "result", function(task, lambda amount: pipe.send(("progress", amount)))
        except Exception as error:
            if not isinstance(error, UserError):
                error.add_note(f"in a worker process:\n{traceback.format_exc()}")
            message = "error", error
        pipe.send(message)


def _prepare():
    # Ctrl-C reaches the whole group: it is the parent that ends the build.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    take_one_core()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def take_one_core() -> None:
    """Whatever a source computes in this process takes one core, and no graphics memory from the other workers.

    To be called before TensorFlow computes anything.
    """
    # By environment: a process forked from one that has used TensorFlow may no longer set its threads.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1"}
    cv2.setNumThreads(1)


def _end_with_parent():
    connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
