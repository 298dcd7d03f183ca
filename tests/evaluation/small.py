"""A small data set and a run directory, for tests of what evaluates one on the other."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_simsiam.training import run
from keras_simsiam.training.config import RunConfig, open_workdir
from tfrecords.example import Frame
from tfrecords.writer import Writer

COLOURS = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])
CLASSES = ["apple", "leaf", "plum"]


def write_dataset(path, depth=False, classes=CLASSES, test_labels=None):
    """48 frames of three colours and three sizes, three quarters of them in train; other labels for the test frames."""
    random = np.random.default_rng(0)
    with Writer(str(path)) as writer:
        for index in range(48):
            label, height = index % 3, 20 + index // 6 % 3
            image = (COLOURS[label] + random.integers(-40, 40, (height, 24, 3))).astype(np.uint8)
            far = tf.fill([height, 24, 1], tf.constant(1000, tf.uint16))
            depth_png = tf.io.encode_png(far).numpy() if depth else None
            png = tf.io.encode_png(image).numpy()
            tested = index % 4 == 3
            if tested and test_labels is not None:
                label = test_labels[index // 4]
            frame = Frame(f"f{index}", png, depth_png, (30.0, 30.0, 11.5, 9.5), label=label if classes else -1)
            writer.add("test" if tested else "train", frame)
        writer.commit({"classes": classes, "instances": []})
    return str(path)


def make_run(workdir, data_dir, modality="rgb", seed=1, **changes):
    """A run directory as training leaves it; its encoder is one of another seed."""
    config = RunConfig(data_dir, str(workdir), modality=modality, image_size=16, width=4, stem="cifar", **changes)
    open_workdir(config)
    run.untrained_encoder(dataclasses.replace(config, seed=seed)).save(workdir / "encoder.keras")
    return str(workdir)
