"""What reading costs: memory against the number of records, and throughput against decoding alone.

    python -m benchmarks.reader
    python -m benchmarks.reader --data_dir=data/washington

Memory: peak resident memory, each of a fresh process that reads, shuffles and decodes 100,000 records, from a data set of 1,000
(a hundred times over) or of 100,000 small frames, with a shuffle of 1 MiB, which both fill, and of the default 128 MiB.
Throughput (with --data_dir): images a second of `Dataset.samples` and of the bare tf.io.decode operations on the same images,
held in memory and decoded in parallel alike; the two take turns, and the medians are compared.
"""

from keras_simsiam.core.command import run_command

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks import machine
from keras_simsiam.views.batches import records_held
from tfrecords import Dataset, example
from tfrecords.writer import Writer

flags.DEFINE_string("data_dir", None, "Data set whose training split is decoded; none: only memory is measured.")
flags.DEFINE_integer("rounds", 5, "Passes over the training split, of each of the two.")
flags.DEFINE_string("memory_of", None, "Measures the memory of this one process: a data set's folder.")
flags.DEFINE_float("shuffle_mb", 1, "Memory of the shuffle, for --memory_of.")

RECORDS = (1_000, 100_000)
SHUFFLES_MB = (1, 128)
SIZE = 16
LEAST_FRAMES = 2_000  # of a pass that is timed


def main():
    settings = flags.FLAGS
    if settings.memory_of:
        return print(_megabytes(settings.memory_of, settings.shuffle_mb))
    print(machine.describe())
    if settings.data_dir:
        return _compare_throughput(settings.data_dir, settings.rounds)
    with tempfile.TemporaryDirectory() as folder:
        for count in RECORDS:
            _write(os.path.join(folder, str(count)), count)
        print("| shuffle, MiB | 1,000 records, MB | 100,000 records, MB | ratio |\n|---|---|---|---|")
        for shuffle_mb in SHUFFLES_MB:
            few, many = (_measure(os.path.join(folder, str(count)), shuffle_mb) for count in RECORDS)
            print(f"| {shuffle_mb} | {few:.0f} | {many:.0f} | {many / few:.3f} |")


def _write(folder, count):
    """Frames of 16×16 random pixels; 64 different images, each of many names."""
    random = np.random.default_rng(0)
    images = [
        [tf.io.encode_png(random.integers(0, top, (SIZE, SIZE, channels)).astype(kind)).numpy()
         for top, channels, kind in ((256, 3, np.uint8), (65536, 1, np.uint16))]
        for _ in range(64)
    ]  # fmt: skip
    with Writer(folder, shard_bytes=2**20) as writer:
        for index in range(count):
            rgb, depth = images[index % len(images)]
            writer.add("train", example.Frame(str(index), rgb, depth, (20.0, 20.0, 7.5, 7.5)))
        writer.commit({"classes": [], "instances": []})


def _measure(folder, shuffle_mb):
    command = [sys.executable, "-m", "benchmarks.reader", f"--memory_of={folder}", f"--shuffle_mb={shuffle_mb}"]
    root = pathlib.Path(__file__).parents[1]
    return float(subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout)


def _megabytes(folder, shuffle_mb):
    """Peak resident memory of this process once it has read 100,000 records through the shuffle, in units of 10⁶ bytes."""
    dataset = Dataset(folder)
    held = min(records_held(shuffle_mb, dataset.record_bytes("train")), dataset.splits["train"].count)
    shuffled = dataset.records("train").repeat().shuffle(held, seed=0).take(RECORDS[-1])
    _read_all(shuffled.map(dataset.decode, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE))
    return machine.peak_megabytes()


def _compare_throughput(data_dir, rounds):
    dataset = Dataset(data_dir)
    # So many that opening files and starting threads, once a pass, do not count.
    passes = max(1, LEAST_FRAMES // dataset.splits["train"].count)
    count = passes * dataset.splits["train"].count
    streams = [stream.repeat(passes) for stream in (_bare(dataset), dataset.samples("train"))]
    seconds = [[], []]
    for _ in range(rounds + 1):  # the first warms up
        for stream, taken in zip(streams, seconds, strict=True):
            start = time.perf_counter()
            _read_all(stream.prefetch(tf.data.AUTOTUNE))
            taken.append(time.perf_counter() - start)
    bare, read = (count / statistics.median(taken[1:]) for taken in seconds)
    print("| frames | decoding alone, frames/s | reading and decoding, frames/s | share |\n|---|---|---|---|")
    print(f"| {count} | {bare:.0f} | {read:.0f} | {100 * read / bare:.1f} % |")


def _bare(dataset):
    """The encoded images in memory, mapped to the two decoding operations."""
    names = (example._RGB, example._DEPTH) if dataset.has_depth else (example._RGB,)
    columns = {name: [] for name in names}
    for record in dataset.records("train").as_numpy_iterator():
        feature = tf.train.Example.FromString(record).features.feature
        for name, column in columns.items():
            column.append(feature[name].bytes_list.value[0])
    images = tf.data.Dataset.from_tensor_slices(tuple(columns.values()))
    return images.map(_decode, tf.data.AUTOTUNE, deterministic=True)


def _decode(rgb, depth=None):
    image = tf.io.decode_image(rgb, channels=3, expand_animations=False)
    return image if depth is None else (image, tf.io.decode_png(depth, channels=1, dtype=tf.uint16))


def _read_all(stream):
    stream.reduce(np.int64(0), lambda number, *_: number + 1)


if __name__ == "__main__":
    run_command(main)
