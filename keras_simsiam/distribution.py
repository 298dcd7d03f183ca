"""Where a run computes and how precisely: the devices, and Keras's policy."""

import contextlib

import tensorflow as tf
from tensorflow import keras

from keras_simsiam.errors import UserError

DISTRIBUTIONS = ("one", "mirrored")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def strategy(distribution):
    """The tf.distribute strategy of `one` device, or of all (`mirrored`): GPUs, or where there are none, logical CPUs."""
    if distribution == "one":
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def check_precision(policy):
    """Refuses `mixed_float16` where there is no GPU: a CPU emulates it, slowly.

    Raises:
        UserError: there is none.
    """
    if policy == "mixed_float16" and not tf.config.list_physical_devices("GPU"):
        raise UserError("--precision=mixed_float16: there is no GPU here; use mixed_bfloat16 or float32")


@contextlib.contextmanager
def precision(policy):
    """A context in which Keras's global policy is `policy`, such as `mixed_bfloat16`."""
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)
