"""What every test module shares: a small synthetic sample and data set."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf


@pytest.fixture(autouse=True)
def _float32():
    """A test that sets a precision or a session leaves nothing behind for the next one."""
    yield
    tf.keras.mixed_precision.set_global_policy("float32")


@pytest.fixture
def make_sample():
    """A function from (index, height, width) to a Sample: a tilted plane with a hole, and a random colour image."""

    def make(index=0, height=48, width=40):
        random = np.random.default_rng(index)
        rows, columns = np.mgrid[:height, :width]
        depth = 1 + 0.004 * rows + 0.002 * columns + 0.1 * index
        depth[5:9, 7:12] = 0
        return {
            "rgb": tf.constant(random.integers(0, 256, (height, width, 3)), tf.uint8),
            "depth": tf.constant(depth, tf.float32),
            "intrinsics": tf.constant([60.0, 60.0, width / 2, height / 2]),
            "gravity": tf.constant([0.0, 0.9, 0.43588989]),
            "label": tf.constant(index % 2, tf.int64),
            "instance": tf.constant(index, tf.int64),
            "frame": tf.constant(f"frame_{index}"),
        }

    return make
