"""Keras callbacks that save a run as it goes: its checkpoints, and the best encoder."""

import math
import signal
import time

import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.training.signals import Stopped

CHECKED_EVERY = 1.0  # seconds between two looks at the losses


class Checkpoints(keras.callbacks.Callback):
    """Callback that saves the state after each epoch, every so many steps and on a signal.

    A run that was saved in mid-epoch goes on from there. The callback ends the run where the loss is no longer finite, before
    anything is saved. The losses stay on the device until they are looked at together, once a second and before each
    checkpoint: a look at each step would wait for the device each time.

    Several workers must act alike: they look at losses and signals only before and after each checkpoint, all at one step.
    """

    def __init__(self, store, steps_per_epoch, *, every, received, devices):
        """
        Args:
            store: a `checkpoints.Store`, restored.
            steps_per_epoch: optimizer steps of one epoch.
            every: steps of an epoch between two checkpoints; 0: only at its end.
            received: the list of signals that `signals.noted` yields.
            devices: the run's `Devices`.
        """
        super().__init__()
        self._supports_tf_logs = True  # as Keras's own callbacks say that a step's numbers may stay on the device
        self.losses, self.checked = [], time.monotonic()
        self.store = store
        self.position = store.position
        self.steps_per_epoch = steps_per_epoch
        self.every = every
        self.received = received
        self.devices = devices
        # of the begun epoch; they are reset before it begins
        means = [variable for mean in store.method.metrics for variable in mean.variables]
        self.means = [(variable, variable.numpy()) for variable in means] if self.position.step else []

    def on_epoch_begin(self, epoch, logs=None):
        for variable, value in self.means:
            variable.assign(value)
        self.means = []

    def on_train_batch_end(self, batch, logs=None):
        epoch, step = self.position.epoch, batch + 1
        self.losses.append((step, logs["loss"]))  # the epoch's mean, which one such step is enough to spoil
        single = not self.devices.several_workers
        if single and time.monotonic() - self.checked > CHECKED_EVERY:
            self._check_losses()
        ends = step == self.steps_per_epoch  # whose monitors would choke on what is not finite, and not say on what
        due = (self.received and single) or (self.every and step % self.every == 0)
        if ends or due:
            self._check_all(epoch, step)
        if due and not ends:  # the end of the epoch saves
            self._save(epoch, step)

    def on_epoch_end(self, epoch, logs=None):
        self._save(epoch + 1, 0)

    def _check_all(self, epoch, step):
        self._check_losses()
        variables = [*self.model.variables, *self.model.optimizer.variables]
        if not all(tf.reduce_all(tf.math.is_finite(each)) for each in variables if tf.as_dtype(each.dtype).is_floating):
            raise self._diverged("a weight is not finite", epoch, step)

    def _check_losses(self):
        for step, loss in self.losses:
            if not math.isfinite(loss):
                raise self._diverged(f"the loss is {float(loss)}", self.position.epoch, step)
        self.losses, self.checked = [], time.monotonic()

    def _save(self, epoch, step):
        self.position.epoch, self.position.step = epoch, step
        self.store.save()
        if self.devices.any_worker(bool(self.received)):
            raise Stopped(self.received[0] if self.received else signal.SIGTERM, self.store.last_good)

    def _diverged(self, what, epoch, step):
        """The error of a run whose numbers are no longer finite after `step` steps of the epoch, counted from 0."""
        number = epoch * self.steps_per_epoch + step
        return UserError(
            f"{what} after step {number} (epoch {(number - 1) // self.steps_per_epoch + 1}); last good checkpoint: "
            f"{self.store.last_good or 'none yet'}. Likely causes: a `base_lr` too large, frames with values that are not "
            "finite. The same command would get there again: use another `workdir` and a smaller `base_lr`"
        )


class BestEncoder(keras.callbacks.Callback):
    """Callback that keeps the encoder of the epoch in which kNN of whitened features is best; of two that are, the earlier."""

    def __init__(self, position, save):
        """
        Args:
            position: the run's `checkpoints.Position`, which remembers the accuracy.
            save: function that saves the encoder it is given.
        """
        super().__init__()
        self.position = position
        self.save = save

    def on_epoch_end(self, epoch, logs=None):
        if logs.get("knn_whitened", 0.0) > self.position.best_knn_whitened:
            self.save(self.model.encoder)
            self.position.best_knn_whitened = logs["knn_whitened"]
