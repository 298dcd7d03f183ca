"""Checkpoints of a run: all that the same command needs to go on as if it had never stopped."""

import os

import tensorflow as tf
from tensorflow import keras

CHECKPOINTS_KEPT = 2


class Checkpoints(keras.callbacks.Callback):
    """Saves after each epoch; the manager replaces its pointer to the newest only when all of it is on disk."""

    def __init__(self, manager, epoch):
        super().__init__()
        self.manager = manager
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.assign(epoch + 1)
        self.manager.save(checkpoint_number=epoch + 1)


def restore(method, epoch, workdir):
    """Puts the newest checkpoint of a run directory, if there is one, into its method and epoch.

    Args:
        method: a compiled `methods.base.Method`.
        epoch: int64 variable, the number of finished epochs.
        workdir: the run's folder.

    Returns:
        The tf.train.CheckpointManager that saves both.
    """
    method.optimizer.build(method.trained_variables)  # or its velocities would be made, empty, after the restore
    checkpoint = tf.train.Checkpoint(method=method, epoch=epoch)
    manager = tf.train.CheckpointManager(checkpoint, os.path.join(workdir, "checkpoints"), CHECKPOINTS_KEPT)
    if manager.latest_checkpoint:
        checkpoint.restore(manager.latest_checkpoint).assert_existing_objects_matched()
    return manager
