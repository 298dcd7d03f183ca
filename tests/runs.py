"""What tests of runs share: a run's data, and what two runs are compared by."""

import json
import pathlib

import numpy as np
import tensorflow as tf

from keras_simsiam.training import run
from keras_simsiam.training.data import Data

PER_PROCESS = ("images_per_second", "memory_mb")  # what is logged of the process, and not of the run


def of_nine_frames(make_sample):
    """A `Data` of nine samples, the first six of them the bank, the others the queries."""
    samples = [make_sample(index) for index in range(9)]
    stacked = {key: tf.stack([sample[key] for sample in samples]) for key in samples[0]}
    dataset = tf.data.Dataset.from_tensor_slices(stacked)
    return Data(dataset, lambda sample: sample, 9, dataset.take(6), dataset.skip(6), 2)


def logged(workdir):
    """The lines of a run's metrics.jsonl, but for what depends on the process."""
    lines = map(json.loads, (pathlib.Path(workdir) / "metrics.jsonl").read_text().splitlines())
    return [{name: value for name, value in line.items() if name not in PER_PROCESS} for line in lines]


def assert_same_encoders(*encoders):
    """Two encoders, of `run.load_encoder`'s kind, have the same weights bit for bit."""
    for one, other in zip(*(run.load_encoder(str(encoder)).get_weights() for encoder in encoders), strict=True):
        np.testing.assert_array_equal(one, other)
