"""Good data, into which the tests plant defects: synthetic crops, real crops, real whole frames."""

import json

import cv2
import numpy as np
import pytest

from tfrecords import example
from tfrecords.sources import synthetic, washington


def as_sample(frame, split):
    """A frame of a source as the checks take it."""
    decoded = {name: value.numpy() for name, value in example.decode(example.encode(frame)).items()}
    return decoded | {"frame": frame.name, "split": split}


def load(plan, step=1):
    return [as_sample(plan.load(one), split) for split, all_ in plan.splits.items() for one in all_[::step]]


@pytest.fixture(scope="session")
def crops():
    """64 synthetic crops to train on and 32 to test on, of other objects."""
    return load(synthetic.plan(train_instances=2, test_instances=1))


@pytest.fixture(scope="session")
def real_crops(unpack):
    """Some 40 frames of four Washington objects; gravity by the table."""
    folder = unpack("uw-rgbd-mini.tar.xz", ("/apple_2/", "/ball_2/", "/bowl_1/", "/cereal_box_1/"))
    return load(washington.plan(str(folder / "rgbd-dataset"), every=8))


@pytest.fixture(scope="session")
def whole_frames(unpack):
    """A function from a folder of rgbd_frames to its frames, 640×480 or 512×424; gravity unknown."""

    def read(name):
        folder = unpack("rgbd_frames.tar.xz", [f"rgbd_frames/{name}/"]) / "rgbd_frames" / name
        camera = json.loads((folder / "camera.json").read_text())
        colour = sorted([*folder.glob("color/*"), *folder.glob("rgb/*")])
        return [_read(*pair, camera) for pair in zip(colour, sorted(folder.glob("depth/*")), strict=True)]

    return read


def _read(colour, depth, camera):
    values = cv2.imread(str(depth), cv2.IMREAD_UNCHANGED).astype(np.float32)
    return {
        "rgb": cv2.cvtColor(cv2.imread(str(colour)), cv2.COLOR_BGR2RGB),
        "depth": values / np.float32(camera["depth_units_per_metre"]),
        "intrinsics": np.array([camera[key] for key in ("fx", "fy", "cx", "cy")], np.float32),
        "gravity": np.zeros(3, np.float32),
        "frame": depth.name,
        "split": "train",
    }


@pytest.fixture(scope="session")
def redwood(whole_frames):
    return whole_frames("redwood")


@pytest.fixture
def change():
    """A function that gives samples with some of their arrays changed: change(samples, depth=lambda depth: ...)."""

    def change(samples, **changes):
        return [sample | {key: make(sample[key]) for key, make in changes.items()} for sample in samples]

    return change
