import functools
import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from keras_simsiam.core.errors import UserError
from tfrecords.processes import Pool

pytestmark = pytest.mark.slow


def alone(test):
    """Runs a test in a new process: the pool forks, and the one of pytest may have used TensorFlow in earlier tests."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            process.submit(_run, test.__module__, test.__name__, args, kwargs).result(timeout=120)

    return run


def _run(module, name, args, kwargs):
    getattr(importlib.import_module(module), name).__wrapped__(*args, **kwargs)


def square(number, progress):
    progress(number + 1)
    return number**2, os.getpid()


def misbehave(how, progress):
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "unusable":
        raise UserError("one line")
    if how == "mistaken":
        raise ZeroDivisionError("by zero")
    time.sleep(60)


def meet(folder, progress):
    """Ends only where two processes are here at once."""
    open(os.path.join(folder, str(os.getpid())), "w").close()
    deadline = time.monotonic() + 30
    while len(os.listdir(folder)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    return len(os.listdir(folder))


@alone
def test_all_tasks_are_done_by_other_processes():
    reported = []
    with Pool(3) as pool:
        results = list(pool.run(square, range(10), reported.append))
        assert list(pool.run(square, [])) == []
        assert [value for value, _ in pool.run(square, [7])] == [49]
    assert sorted(value for value, _ in results) == [number**2 for number in range(10)]
    assert sum(reported) == 55
    assert os.getpid() not in {process for _, process in results}


@alone
def test_workers_work_side_by_side(tmp_path):
    with Pool(2) as pool:
        assert list(pool.run(meet, [str(tmp_path)] * 2)) == [2, 2]


@alone
def test_a_killed_worker_is_one_line():
    with pytest.raises(UserError, match=r"^a worker process was killed .exit status -9") as error, Pool(2) as pool:
        list(pool.run(misbehave, ["sleep", "killed"]))
    assert "\n" not in str(error.value)


@alone
def test_errors_come_through():
    with pytest.raises(UserError, match=r"^one line$"), Pool(2) as pool:
        list(pool.run(misbehave, ["sleep", "unusable"]))
    with pytest.raises(ZeroDivisionError) as error, Pool(2) as pool:
        list(pool.run(misbehave, ["sleep", "mistaken"]))
    assert "in misbehave" in error.value.__notes__[0]


def test_no_worker_outlives_its_parent():
    code = (
        "import os; from tfrecords.processes import Pool; from tests.tfrecords.test_processes import misbehave\n"
        "with Pool(3) as pool:\n"
        "    print(*[process.pid for process in pool._workers.values()], flush=True)\n"
        "    list(pool.run(misbehave, ['sleep', 'sleep']))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        workers = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    deadline = time.monotonic() + 30
    while any(map(_runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(workers) == 3 and not any(map(_runs, workers))


def _runs(process):
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
