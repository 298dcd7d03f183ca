"""Where a run computes and how precisely: the devices, and Keras's policy."""

import contextlib

import tensorflow as tf
from tensorflow import keras


def strategy(distribution):
    """The tf.distribute strategy of `one` device, or of all (`mirrored`): GPUs, or where there are none, logical CPUs."""
    if distribution == "one":
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


@contextlib.contextmanager
def precision(policy):
    """A context in which Keras's global policy is `policy`, such as `mixed_bfloat16`."""
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)
