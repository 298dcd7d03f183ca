"""One worker of a run, for test_two_workers.py to start: train.py on networks whose graph is quick to build.

SIGNAL_AT="<step> <signal>" sends the process a signal before that step, the first since it started being 1.
"""

from keras_simsiam.core.command import run_command

import functools
import os

from tensorflow import keras

from keras_simsiam.commands import train
from keras_simsiam.methods import build
from keras_simsiam.training import run, untrained


class SignalAt(keras.callbacks.Callback):
    """Sends this process a signal before a step."""

    def __init__(self, step, number):
        super().__init__()
        self.step, self.number, self.begun = step, number, 0

    def on_train_batch_begin(self, batch, logs=None):
        self.begun += 1
        if self.begun == self.step:
            os.kill(os.getpid(), self.number)


def tiny_encoder(_modality, _backbone, size, synchronized=False, **_settings):
    """An encoder of a convolution and a BatchNorm."""
    view = {"rgb": keras.Input([size, size, 3], name="rgb")}
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(view["rgb"]))
    return keras.Model(view, {"embedding": keras.layers.BatchNormalization(synchronized=synchronized)(pooled)})


if __name__ == "__main__":
    untrained.build_encoder, build.PROJECTION, build.CONTRASTED = tiny_encoder, 8, 8
    if "SIGNAL_AT" in os.environ:
        run.train = functools.partial(run.train, callbacks=[SignalAt(*map(int, os.environ["SIGNAL_AT"].split()))])
    run_command(train.main, train.define_flags)
