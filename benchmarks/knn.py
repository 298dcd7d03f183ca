"""kNN against a bare NumPy matmul of the same size, and its memory on a bank that is larger.

    python -m benchmarks.knn
    python -m benchmarks.knn --memory

Time: 10,000 random queries against a bank of 50,000, 2048 features each. The matmul of queries and bank, into an array that is
there already, and `knn.classify` take turns; the medians of each and of their ratios are printed.
Memory (with --memory): peak resident memory of a fresh process that classifies 1,000 queries by a bank of 1,000,000 × 2048 in a
file of 8.2 GB, mapped into memory.
"""

from keras_simsiam.core.command import run_command

import statistics
import subprocess
import sys
import tempfile

import numpy as np
from absl import flags

from benchmarks import machine
from keras_simsiam.probes import knn

flags.DEFINE_integer("rounds", 3, "Turns of each of the two.")
flags.DEFINE_list("k", ["20", "200"], "Numbers of neighbours.")
flags.DEFINE_integer("queries", 10_000, "Number of queries.")
flags.DEFINE_bool("busy", False, "Counts the seconds of the processor's cores, on a machine that others use too.")
flags.DEFINE_bool("memory", False, "Measures memory instead of time.")
flags.DEFINE_string("memory_of", None, "Measures the memory of this one process: the file of a bank.")

BANK, SIZE, CLASSES = 50_000, 2048, 10
LARGE_BANK, FEW_QUERIES = 1_000_000, 1_000


def main():
    settings = flags.FLAGS
    if settings.memory_of:
        return print(_megabytes(settings.memory_of))
    print(machine.describe())
    if settings.memory:
        return _measure_memory()
    random = np.random.default_rng(0)
    queries, bank = (random.standard_normal((count, SIZE), np.float32) for count in (settings.queries, BANK))
    labels, products = random.integers(0, CLASSES, BANK), np.empty((settings.queries, BANK), np.float32)
    print("| k | matmul, s | kNN, s | ratio |\n|---|---|---|---|")
    for k in map(int, settings.k):
        bare, ours = machine.in_turns(
            settings.rounds,
            lambda: np.matmul(queries, bank.T, out=products),
            lambda k=k: knn.classify(bank, labels, queries, k, 0.1, CLASSES),
            clock=machine.clock(settings.busy),
        )
        ratio = statistics.median(b / a for a, b in zip(bare, ours, strict=True))
        print(f"| {k} | {statistics.median(bare):.1f} | {statistics.median(ours):.1f} | {ratio:.2f} |", flush=True)


def _measure_memory():
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        random = np.random.default_rng(0)
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (LARGE_BANK, SIZE)}
        )
        rows = random.standard_normal((10_000, SIZE), np.float32)
        for _ in range(LARGE_BANK // len(rows)):
            file.write(rows)
        file.flush()
        command = [sys.executable, "-m", "benchmarks.knn", f"--memory_of={file.name}"]
        peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(f"{FEW_QUERIES} queries, {LARGE_BANK} × {SIZE}: peak resident memory {peak:.0f} MB")


def _megabytes(path):
    """Peak resident memory of this process once it has classified, in units of 10⁶ bytes."""
    bank, random = np.load(path, mmap_mode="r"), np.random.default_rng(1)
    queries = random.standard_normal((FEW_QUERIES, SIZE), np.float32)
    knn.classify(bank, random.integers(0, CLASSES, LARGE_BANK), queries, 200, 0.1, CLASSES)
    return machine.peak_megabytes()


if __name__ == "__main__":
    run_command(main)
