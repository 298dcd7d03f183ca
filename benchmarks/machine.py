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


def _processor():
    """The processor's name, where the system tells it."""
    information = pathlib.Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
