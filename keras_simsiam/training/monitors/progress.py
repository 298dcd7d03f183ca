"""The progress bar, and how fast a run is."""

import time

from tensorflow import keras
from tqdm import tqdm

SHOWN_EVERY = 1.0  # seconds


class Progress(keras.callbacks.Callback):
    """A progress bar with images/s and the time left; adds `images_per_second` to each epoch's logs.

    The rate counts the time between an epoch's first and last step, so that graph building and the other callbacks, which
    work between epochs, do not blur it.
    """

    def __init__(self, batch_size, steps_per_epoch, epochs, first_epoch):
        """
        Args:
            batch_size: samples of a step.
            steps_per_epoch: steps of an epoch.
            epochs: number of epochs of the run.
            first_epoch: the epoch it begins with, from 0.
        """
        super().__init__()
        # as Keras's own progress bar says of itself: a step's logs stay on the device until somebody reads them
        self._supports_tf_logs = True
        self.batch_size = batch_size
        self.epoch_images = batch_size * steps_per_epoch
        self.epochs = epochs
        self.first_epoch = first_epoch

    def on_train_begin(self, logs=None):
        total, done = self.epochs * self.epoch_images, self.first_epoch * self.epoch_images
        self.bar = tqdm(total=total, initial=done, unit="img", desc="training", mininterval=1, dynamic_ncols=True)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.first_step_ended = epoch, None
        self.bar.set_description(f"epoch {epoch + 1}/{self.epochs}", refresh=False)

    def on_train_batch_end(self, batch, logs=None):
        first = self.first_step_ended is None
        if first or time.perf_counter() - self.shown > SHOWN_EVERY:
            self._show(logs)
        if first:
            self.first_step_ended, self.first_step = time.perf_counter(), batch
        # a resumed epoch begins with another step than its first
        self.bar.update(self.epoch * self.epoch_images + (batch + 1) * self.batch_size - self.bar.n)

    def _show(self, logs):
        """Reading a number waits for the device to have it: once a second, not once a step."""
        spread = next(value for name, value in logs.items() if name.startswith("std_"))
        self.bar.set_postfix(loss=f"{float(logs['loss']):.3f}", std=f"{float(spread):.2f}", refresh=False)
        self.shown = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        images = self.epoch_images - (self.first_step + 1) * self.batch_size
        if images:
            logs["images_per_second"] = images / (time.perf_counter() - self.first_step_ended)

    def on_train_end(self, logs=None):
        self.bar.close()
