"""What every test module shares: a small synthetic sample and data set."""

import gc
import os
import signal
import tarfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
import pytest
import tensorflow as tf

# Tests send Ctrl-C to themselves and to processes they start, which ignore it where `make test &` in a script did so.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Two devices, so that what happens across replicas can be tested in the process itself.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


def pytest_collection_finish():
    """The collector passes over TensorFlow's million objects, which stay anyway: a twentieth of the suite's time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="module", autouse=True)
def _collected():
    """Frees a module's graphs at its end: all at once, later, they take half a minute."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def _alone():
    """A test draws the same numbers wherever it stands in the suite, and leaves no precision behind for the next one."""
    tf.keras.utils.set_random_seed(0)
    yield
    tf.keras.mixed_precision.set_global_policy("float32")


@pytest.fixture(scope="session")
def unpack(tmp_path_factory):
    """A function that unpacks the members whose names hold one of `parts`, and gives the folder; skips without the pack."""

    def unpack(name, parts):
        path = Path(__file__).parents[2] / "shared" / "data" / name
        if not path.exists():
            pytest.skip("the real frames are not beside the repository")
        folder = tmp_path_factory.mktemp("unpacked")
        with tarfile.open(path) as pack:
            members = [member for member in pack if any(part in member.name for part in parts)]
            pack.extractall(folder, members=members, filter="data")
        return folder

    return unpack


@pytest.fixture(scope="session")
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


@pytest.fixture
def depth():
    """uint16 [24,32], millimetres: a tilted plane with a hole."""
    rows, columns = np.mgrid[:24, :32]
    image = (1500 + 20 * rows + 3 * columns).astype(np.uint16)
    image[4:7, 5:9] = 0
    return image


@pytest.fixture(scope="session")
def real_depth(unpack):
    """uint16 [480,640], millimetres: frame 0 of Open3D's Redwood sample, an eighth of it missing."""
    name = "rgbd_frames/redwood/depth/00000.png"
    return cv2.imread(str(unpack("rgbd_frames.tar.xz", [name]) / name), cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope="session")
def two_replicas():
    """One for all tests of a process: a second strategy would give its collective operations the numbers of the first's."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
