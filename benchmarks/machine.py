"""What every benchmark says of where it ran, and how it takes time."""

import os
import pathlib
import platform
import statistics
import time

import numpy as np
import tensorflow as tf


def describe():
    """One line: processor, cores, versions."""
    return (
        f"{_processor()}, {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"TensorFlow {tf.__version__}, NumPy {np.__version__}"
    )


def milliseconds(call, repeats):
    """Median duration of `call` in milliseconds, after two calls to warm up."""
    durations = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        call()
        durations.append(1000 * (time.perf_counter() - start))
    return statistics.median(durations[2:])


def peak_megabytes():
    """Peak resident memory of this process so far, in units of 10⁶ bytes."""
    # Not getrusage's ru_maxrss: a process begins with that of the one that started it.
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6


def in_turns(rounds, *calls, clock=time.perf_counter):
    """Seconds of each call in each of so many turns, a list of lists; what else the machine does meets all alike.

    One turn before them warms up. `clock` may be time.process_time, the seconds of all cores together: where other work has the
    cores, its ratios are steadier.
    """
    seconds = [[] for _ in calls]
    for _ in range(rounds + 1):
        for call, taken in zip(calls, seconds, strict=True):
            start = clock()
            call()
            taken.append(clock() - start)
    return [taken[1:] for taken in seconds]


def clock(busy):
    """The clock of a benchmark: of the wall, or of this process's cores where others have the machine."""
    return time.process_time if busy else time.perf_counter


def _processor():
    """The processor's name, where the system tells it."""
    information = pathlib.Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
