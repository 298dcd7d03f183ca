"""The linear probes over cached features.

    python -m benchmarks.linear

Each probe that is asked for (--solvers) is trained once on 50,000 × 2048 features of a memory-mapped file: random, not
negative, as pooled features are, of 10 classes, as many as CIFAR-10 has. On a machine that others use too, the seconds of all
cores together are an upper bound for those that it would take alone.
"""

from keras_simsiam.core.command import run_command

import tempfile
import time

import numpy as np
from absl import flags

from benchmarks import machine
from keras_simsiam.probes import linear, linear_sgd

flags.DEFINE_list("solvers", ["lars", "sgd"], "Of lars, sgd, lbfgs.")

SAMPLES, SIZE, CLASSES, TESTED = 55_000, 2048, 10, 5_000


def main():
    print(machine.describe())
    random = np.random.default_rng(0)
    means, labels = random.standard_normal((CLASSES, SIZE), np.float32) / 8, random.integers(0, CLASSES, SAMPLES)
    features = random.standard_normal((SAMPLES, SIZE), np.float32)
    features += means[labels]
    np.maximum(features, 0, out=features)
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, features)
        file.flush()
        mapped = np.load(file.name, mmap_mode="r")
        print("| probe | epochs | s | of all cores, s | top-1 of 5,000 others, % |\n|---|---|---|---|---|")
        for solver in flags.FLAGS.solvers:
            start, used = time.perf_counter(), time.process_time()
            predicted = _predict(solver, mapped[:-TESTED], labels[:-TESTED], mapped[-TESTED:])
            seconds, used = time.perf_counter() - start, time.process_time() - used
            accuracy = 100 * np.mean(predicted == labels[-TESTED:])
            epochs = linear_sgd.RECIPES[solver].epochs if solver in linear_sgd.RECIPES else "–"
            print(f"| {solver} | {epochs} | {seconds:.0f} | {used:.0f} | {accuracy:.1f} |", flush=True)


def _predict(solver, train, labels, queries):
    if solver == "lbfgs":
        return linear.classify(train, labels, queries)
    return linear_sgd.classify(train, labels, queries, linear_sgd.RECIPES[solver], CLASSES)


if __name__ == "__main__":
    run_command(main)
