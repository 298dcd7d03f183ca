"""Milliseconds per 640×480 frame: HHA by graph operations against the published algorithm in NumPy.

    python -m benchmarks.hha

A real frame is encoded where the golden images are at hand, else a synthetic room. Each figure is the median of
repeated calls; machines differ, and so does one machine from minute to minute: compare only the ratios of one run.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from benchmarks import hha_numpy, hha_scenes, machine
from keras_simsiam.depth import hha

SIZE = (480, 640)
REPEATS = 20


def main():
    source, depth, intrinsics = _frame()
    down = hha_numpy.estimate_gravity(
        hha_numpy.plane_normals(depth, hha_numpy.rays(SIZE, intrinsics), depth > 0, hha_numpy.GRAVITY_RADIUS)
    ).astype(np.float32)
    print(f"{machine.describe()}; {source}, median of {REPEATS} calls")
    numpy_estimated = machine.milliseconds(lambda: hha_numpy.encode(depth, intrinsics), REPEATS // 4)
    numpy_known = machine.milliseconds(lambda: hha_numpy.encode(depth, intrinsics, down), REPEATS // 4)
    rows = [
        ("gupta, gravity estimated", _graph(depth, intrinsics, "gupta", np.zeros(3, np.float32)), numpy_estimated),
        ("gupta, gravity known", _graph(depth, intrinsics, "gupta", down), numpy_known),
        ("paper, gravity known", _graph(depth, intrinsics, "paper", down), None),
    ]
    print("| encoding | graph, ms | NumPy, ms | ratio |\n|---|---|---|---|")
    for name, graph, plain in rows:
        compared = f"{plain:.0f} | {plain / graph:.1f}" if plain else "| "
        print(f"| {name} | {graph:.1f} | {compared} |")


def _frame():
    """A name, depth `[480, 640]` in metres and intrinsics."""
    for name, depth, intrinsics, _valid, _published in hha_scenes.golden_frames():
        if depth.shape == SIZE:
            return f"golden frame {name}", depth, intrinsics
    depth, _plane = hha_scenes.room(SIZE, hha_scenes.NYU_INTRINSICS)
    return "synthetic room", depth, hha_scenes.NYU_INTRINSICS


def _graph(depth, intrinsics, encoding, gravity):
    """Milliseconds of the compiled graph; whether gravity is known is decided at run time, as in the input pipeline."""
    encode = tf.function(lambda *arguments: hha.encode(*arguments, encoding=encoding), autograph=False)
    arguments = [tf.constant(value) for value in (depth, intrinsics, gravity)]
    return machine.milliseconds(lambda: encode(*arguments).numpy(), REPEATS)


if __name__ == "__main__":
    main()
