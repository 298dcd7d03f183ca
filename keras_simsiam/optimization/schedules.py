"""Learning-rate schedules."""

import math

import tensorflow as tf
from tensorflow import keras

STEPS = ("epoch", "step")


@keras.utils.register_keras_serializable("keras_simsiam")
class HalfCosine(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up, if any, then half a cosine to zero that moves once an epoch, as in FAIR's code, or at every step.

    With e = step / steps_per_epoch and W = warmup_epochs:
    lr = initial · e / W while e < W, rising at every step from 0;
    then lr = initial · (1 + cos(π · (e' − W) / (epochs − W))) / 2, with e' = ⌊e⌋ once an epoch, e' = e at every step.

    References: Loshchilov & Hutter, SGDR, ICLR 2017, Eq. 5 without restarts; Chen & He, section 3; the warm-up: Goyal et al.
    2017, section 2.2, and SimCLR's code.

    Example:
        >>> schedule = HalfCosine(0.1, epochs=10, steps_per_epoch=100)
        >>> float(schedule(500))
        0.05
    """

    def __init__(self, initial, epochs, steps_per_epoch, *, warmup_epochs=0.0, cosine_per="epoch"):
        """
        Args:
            initial: learning rate at the cosine's start.
            epochs: number of epochs, the warm-up included; the rate would be zero at its end.
            steps_per_epoch: optimizer steps of one epoch.
            warmup_epochs: epochs of the warm-up, at least 0 and below `epochs`; fractions are allowed.
            cosine_per: `epoch` or `step`.
        """
        self.initial = initial
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.warmup_epochs = warmup_epochs
        self.cosine_per = cosine_per

    def __call__(self, step):
        passed = tf.cast(step, tf.float32) / self.steps_per_epoch
        epoch = passed if self.cosine_per == "step" else tf.cast(step // self.steps_per_epoch, tf.float32)
        # a warm-up of 2.5 epochs ends within an epoch that began before it
        cosine_epoch = tf.maximum(epoch - self.warmup_epochs, 0.0)
        rate = self.initial * 0.5 * (1 + tf.cos(math.pi * cosine_epoch / (self.epochs - self.warmup_epochs)))
        if not self.warmup_epochs:
            return rate
        return tf.where(passed < self.warmup_epochs, self.initial * passed / self.warmup_epochs, rate)

    def get_config(self):
        return {
            "initial": self.initial,
            "epochs": self.epochs,
            "steps_per_epoch": self.steps_per_epoch,
            "warmup_epochs": self.warmup_epochs,
            "cosine_per": self.cosine_per,
        }


def scaled_rate(base_lr, batch_size):
    """The learning rate of a global batch by the linear rule: base_lr · batch_size / 256 (Goyal et al. 2017, section 2.1)."""
    return base_lr * batch_size / 256
