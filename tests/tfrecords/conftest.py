"""Small frames and data sets in the layouts that the tests need."""

import json

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tfrecords.example import Frame, encode

FOCAL_LENGTH = 570.3


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def table_depth(degrees, size, corner, height=0.5):
    """Depth [H,W], metres, of a table `height` below a camera that looks so many degrees below the horizon."""
    y, x = np.mgrid[: size[0], : size[1]]
    v = (y + corner[1] - 1 - 239.0) / FOCAL_LENGTH
    return height / (v * np.cos(np.radians(degrees)) + np.sin(np.radians(degrees))) + 0 * x


@pytest.fixture
def make_frame():
    """A function that makes a frame of random pixels, 5×7."""

    def make(name="a_1_1", seed=0, **changes):
        random = np.random.default_rng(seed)
        values = {
            "name": name,
            "rgb": png(random.integers(0, 256, (5, 7, 3), np.uint8)),
            "depth": png(random.integers(0, 65536, (5, 7), np.uint16)),
            "intrinsics": (570.3, 570.3, 50.0, 28.0),
            "gravity": (0.0, 0.8, 0.6),
            "label": 3,
            "instance": 11,
        }
        return Frame(**(values | changes))

    return make


@pytest.fixture
def washington_frame(tmp_path):
    """A function that writes the files of one frame: a table with a nearer square object in the middle of it.

    Returns the frame's stem.
    """

    def write(instance, video, number, degrees=40.0, corner=(269, 211), cropped=True):
        folder = tmp_path / "rgbd-dataset" / instance.rsplit("_", 1)[0] / instance
        folder.mkdir(parents=True, exist_ok=True)
        size = (60, 70) if cropped else (480, 640)
        random = np.random.default_rng(number)
        depth = table_depth(degrees, size, corner if cropped else (1, 1))
        depth += random.normal(0, 0.001, size)
        mask = np.zeros(size, np.uint8)
        mask[15:45, 15:55] = 255
        depth[mask > 0] = depth.min() - 0.1
        stem = folder / f"{instance}_{video}_{number}"
        color, depth_suffix, mask_suffix = ("_crop", "_depthcrop", "_maskcrop") if cropped else ("", "_depth", "_mask")
        (folder / f"{stem.name}{color}.png").write_bytes(png(random.integers(0, 256, (*size, 3), np.uint8)))
        (folder / f"{stem.name}{depth_suffix}.png").write_bytes(png((depth * 1000).round().astype(np.uint16)))
        (folder / f"{stem.name}{mask_suffix}.png").write_bytes(png(mask))
        if cropped:
            (folder / f"{stem.name}_loc.txt").write_text("{},{}\n".format(*corner))
        return str(stem)

    write.root = str(tmp_path / "rgbd-dataset")
    return write


@pytest.fixture
def write_shards(make_frame, tmp_path):
    """A function that writes a data set of the split train with so many frames in each shard, and gives its folder.

    The frames' names are shard_number.
    """

    def write(counts):
        folder = tmp_path / "shards"
        folder.mkdir()
        shards = [f"{shard}.tfrecord" for shard in range(len(counts))]
        for shard, count in enumerate(counts):
            with tf.io.TFRecordWriter(str(folder / shards[shard])) as writer:
                for number in range(count):
                    writer.write(encode(make_frame(f"{shard}_{number}", 100 * shard + number, label=0, instance=0)))
        sizes = [(folder / name).stat().st_size for name in shards]
        content = {
            "schema_version": 1,
            "splits": {"train": {"shards": shards, "bytes": sizes, "count": sum(counts)}},
            "has_depth": True,
            "classes": ["a"],
            "instances": ["a_1"],
        }
        (folder / "dataset.json").write_text(json.dumps(content))
        return str(folder)

    return write
