"""Learning-rate schedules."""

import math

import tensorflow as tf
from tensorflow import keras


@keras.utils.register_keras_serializable("keras_simsiam")
class HalfCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Half a cosine from the initial rate to zero, changing once an epoch as in FAIR's code.

    lr(step) = initial · (1 + cos(π · epoch / epochs)) / 2 with epoch = ⌊step / steps_per_epoch⌋.

    Reference: Loshchilov & Hutter, SGDR, ICLR 2017, Eq. 5 without restarts; Chen & He, section 3.

    Example:
        >>> schedule = HalfCosine(0.1, epochs=10, steps_per_epoch=100)
        >>> float(schedule(500))
        0.05
    """

    def __init__(self, initial, epochs, steps_per_epoch):
        """
        Args:
            initial: learning rate of the first epoch.
            epochs: number of epochs; the rate would be zero at its end.
            steps_per_epoch: optimizer steps of one epoch.
        """
        self.initial = initial
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch

    def __call__(self, step):
        epoch = tf.cast(step // self.steps_per_epoch, tf.float32)
        return self.initial * 0.5 * (1 + tf.cos(math.pi * epoch / self.epochs))

    def get_config(self):
        return {"initial": self.initial, "epochs": self.epochs, "steps_per_epoch": self.steps_per_epoch}


def scaled_rate(base_lr, batch_size):
    """The learning rate of a global batch by the linear rule: base_lr · batch_size / 256 (Goyal et al. 2017, section 2.1)."""
    return base_lr * batch_size / 256
