"""How much memory a run has taken."""

import resource
import sys

import tensorflow as tf
from tensorflow import keras

MB = 10**6
_RESIDENT_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes: getrusage(2)


class Memory(keras.callbacks.Callback):
    """Callback that adds `memory_mb` to each epoch's logs, and `gpu_memory_mb` where there is a GPU; both in 10⁶ bytes.

    The first is the largest resident set that the process has had, the second the most that TensorFlow has had in use on any
    one GPU. Both are peaks since the process started, so they never fall.
    """

    def on_epoch_end(self, epoch, logs=None):
        logs["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RESIDENT_UNIT / MB
        peaks = [
            tf.config.experimental.get_memory_info(device.name.removeprefix("/device:"))["peak"]
            for device in tf.config.list_logical_devices("GPU")
        ]
        if peaks:
            logs["gpu_memory_mb"] = max(peaks) / MB
