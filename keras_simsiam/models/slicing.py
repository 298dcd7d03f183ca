"""Layers that take tensors apart and pad them. Keras has none of these, and Keras 3 no TensorFlow operation between layers."""

import tensorflow as tf
from tensorflow import keras


@keras.utils.register_keras_serializable("keras_simsiam")
class Halves(keras.layers.Layer):
    """The two halves of a tensor along an axis.

    Example:
        >>> rgb, hha = Halves(axis=0)(features)  # of a batch that is one after the other
    """

    def __init__(self, axis, **kwargs):
        """
        Args:
            axis: along which the tensor is halved.
            **kwargs: of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs):
        """A tensor of even size along the axis to a list of two."""
        return tf.split(inputs, 2, axis=self.axis)

    def compute_output_shape(self, input_shape):
        """The shapes of both halves."""
        shape = list(input_shape)
        shape[self.axis] = shape[self.axis] // 2 if shape[self.axis] is not None else None
        return [tuple(shape)] * 2

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


@keras.utils.register_keras_serializable("keras_simsiam")
class FullMask(keras.layers.Layer):
    """Adds a last channel of ones to images: a mask by which all of them was measured."""

    def call(self, inputs):
        """[B,h,w,C] to [B,h,w,C+1]."""
        return tf.pad(inputs, [[0, 0], [0, 0], [0, 0], [0, 1]], constant_values=1.0)

    def compute_output_shape(self, input_shape):
        """The shape with one channel more."""
        return (*input_shape[:-1], input_shape[-1] + 1)
