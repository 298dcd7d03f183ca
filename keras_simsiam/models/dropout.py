"""Dropout whose random state is part of a checkpoint."""

import tensorflow as tf
from tensorflow import keras


@keras.utils.register_keras_serializable("keras_simsiam")
class ResumableDropout(keras.layers.Layer):
    """Dropout that a resumed run draws as an uninterrupted one would: its generator's state is a variable.

    Keras's own layer keeps its state where no checkpoint reaches it.

    Reference: Srivastava et al., Dropout, JMLR 2014, scaled in training (section 10, inverted).

    Example:
        >>> ResumableDropout(0.1)(features, training=True)
    """

    def __init__(self, rate, **kwargs):
        """
        Args:
            rate: share of the inputs that are set to zero in training, at least 0 and below 1.
            **kwargs: of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.rate = rate
        # the seed comes from TensorFlow's global one, as those of Keras's layers do
        seed = tf.random.uniform([], maxval=tf.int64.max, dtype=tf.int64)
        self.generator = tf.random.Generator.from_seed(int(seed))

    def call(self, inputs, training=False):
        """Inputs of any shape to the same shape; unchanged outside training."""
        if not training:
            return inputs
        kept = self.generator.uniform(self.drawn(inputs)) >= self.rate
        return tf.where(kept, inputs / (1 - self.rate), tf.zeros_like(inputs))

    def drawn(self, inputs):
        """The shape of what is drawn: a number for each input."""
        return tf.shape(inputs)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}


@keras.utils.register_keras_serializable("keras_simsiam")
class DropPath(ResumableDropout):
    """Stochastic depth: a residual branch is left out of some samples of a batch, and enlarged in the others.

    Reference: Huang et al., Deep Networks with Stochastic Depth, ECCV 2016, scaled in training as dropout is.
    """

    def drawn(self, inputs):
        """A number for each sample."""
        return [tf.shape(inputs)[0], *[1] * (inputs.shape.rank - 1)]
