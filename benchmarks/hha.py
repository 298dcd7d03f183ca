"""Milliseconds per 640×480 frame: HHA by graph operations, by stage and in tf.data, against the published algorithm in NumPy.

    python -m benchmarks.hha

A real frame is encoded where the golden images are at hand, else a synthetic room. Each figure is the median of
repeated calls; machines differ, and so does one machine from minute to minute: compare only the ratios of one run.
"""

import keras_simsiam.core.command  # noqa: F401

import time

import numpy as np
import tensorflow as tf

from benchmarks import hha_numpy, hha_scenes, machine
from keras_simsiam.depth import camera, gravity, hha, normals

SIZE = (480, 640)
REPEATS = 20
UNKNOWN = np.zeros(3, np.float32)


def main():
    source, depth, intrinsics = _frame()
    down = hha_numpy.estimate_gravity(
        hha_numpy.plane_normals(depth, hha_numpy.rays(SIZE, intrinsics), depth > 0, hha_numpy.GRAVITY_RADIUS)
    ).astype(np.float32)
    print(f"{machine.describe()}; {source}, median of {REPEATS} calls")
    _compare_with_numpy(depth, intrinsics, down)
    _stages(depth, intrinsics, down)
    _sizes(depth, intrinsics)
    _floor(depth)


def _frame():
    """A name, depth `[480, 640]` in metres and intrinsics."""
    for name, depth, intrinsics, _valid, _published in hha_scenes.golden_frames():
        if depth.shape == SIZE:
            return f"golden frame {name}", depth, intrinsics
    depth, _plane = hha_scenes.room(SIZE, hha_scenes.NYU_INTRINSICS)
    return "synthetic room", depth, hha_scenes.NYU_INTRINSICS


def _compare_with_numpy(depth, intrinsics, down):
    holed = np.where(np.random.default_rng(0).random(SIZE) < 0.1, 0, depth).astype(np.float32)
    rows = (
        ("gupta, gravity estimated", "gupta", depth, UNKNOWN, lambda: hha_numpy.encode(depth, intrinsics)),
        ("gupta, gravity known", "gupta", depth, down, lambda: hha_numpy.encode(depth, intrinsics, down)),
        ("the same, 10 % missing, estimated", "gupta", holed, UNKNOWN, None),
        ("the same, 10 % missing, known", "gupta", holed, down, None),
        ("paper, gravity known", "paper", depth, down, None),
    )
    print("\n| encoding | graph, ms | tf.data, frames/s | NumPy, ms | NumPy / graph |\n|---|---|---|---|---|")
    for name, encoding, frame, direction, plain in rows:
        graph = _milliseconds(_encoder(encoding), frame, intrinsics, direction)
        rate = _frames_per_second(_encoder(encoding), frame, intrinsics, direction)
        published = machine.milliseconds(plain, REPEATS // 4) if plain else None
        compared = f"{published:.0f} | {published / graph:.1f}" if plain else "| "
        print(f"| {name} | {graph:.1f} | {rate:.0f} | {compared} |")


def _stages(depth, intrinsics, down):
    """Each stage as a graph of its own. Together they take longer than the whole, by some calls."""
    sparse = normals.plane_normals(depth, intrinsics, None, radius=gravity.RADIUS, stride=gravity.STRIDE)
    dense = normals.plane_normals(depth, intrinsics, None, radius=hha.ANGLE_RADIUS)[0]
    # Variables, for of constants the graph would be computed when it is made.
    tf_depth, tf_intrinsics, sparse, dense = tf.nest.map_structure(tf.Variable, (depth, intrinsics, sparse, dense))
    stages = (
        ("checks of depth and camera", lambda: camera.checked(tf_depth, tf_intrinsics)),
        (
            "normals, R = 3, all pixels",
            lambda: normals.plane_normals(tf_depth, tf_intrinsics, None, radius=hha.ANGLE_RADIUS),
        ),
        (
            f"normals, R = 10, every {gravity.STRIDE}rd pixel",
            lambda: normals.plane_normals(tf_depth, tf_intrinsics, None, radius=gravity.RADIUS, stride=gravity.STRIDE),
        ),
        ("gravity from these", lambda: gravity.estimate(*sparse)),
        (
            "angle from normals",
            lambda: tf.acos(tf.reduce_sum(dense.value() * down[:, np.newaxis, np.newaxis], axis=-3)),
        ),
    )
    print("\n| stage | ms |\n|---|---|")
    for name, stage in stages:
        print(f"| {name} | {_milliseconds(stage):.1f} |")


def _sizes(depth, intrinsics):
    print("\n| size | gupta, gravity estimated, ms | microseconds a kilopixel |\n|---|---|---|")
    for factor in (4, 2, 1, 0.5):
        thin = depth[::factor, ::factor] if factor >= 1 else np.kron(depth, np.ones([2, 2], np.float32))
        resized = camera.resize_intrinsics(intrinsics, 1 / factor).numpy()
        taken = _milliseconds(_encoder("gupta"), thin, resized, UNKNOWN)
        print(f"| {thin.shape[1]}×{thin.shape[0]} | {taken:.1f} | {1e6 * taken / thin.size:.0f} |")


def _floor(depth):
    """What reading the depth and writing three channels would cost at the speed of a copy."""
    large = tf.random.uniform([64 * 2**20 // 4])
    gigabytes = 2 * 64 * 2**20 / 1e6 / machine.milliseconds(lambda: tf.negative(large), REPEATS)
    print(f"\ncopy: {gigabytes:.1f} GB/s; depth read and HHA written: {4 * depth.nbytes / 1e6 / gigabytes:.2f} ms")


def _encoder(encoding):
    """Whether gravity is known is decided at run time, as in the input pipeline."""
    return lambda *arguments: hha.encode(*arguments, encoding=encoding)


def _milliseconds(function, *arguments):
    graph, arguments = tf.function(function, autograph=False), [tf.constant(value) for value in arguments]
    return machine.milliseconds(lambda: graph(*arguments), REPEATS)


def _frames_per_second(function, *arguments, frames=100):
    """Of a data set that maps the frame over and over, after as many frames to warm up."""
    dataset = tf.data.Dataset.from_tensors(tuple(arguments)).repeat()
    iterator = iter(dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2))
    for _ in range(frames):
        next(iterator)
    start = time.perf_counter()
    for _ in range(frames):
        next(iterator)
    return frames / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
