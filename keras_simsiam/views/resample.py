"""Cutting and resizing an image in one step."""

import tensorflow as tf


def resample(image, box, size):
    """Cut a box out of an image and resize it in one step, bilinear and antialiased.

    Args:
        image: float32 [H,W,C].
        box: float32 [4]: top, left, height, width in pixels.
        size: the side of the square result in pixels.

    Returns:
        float32 [size,size,C].
    """
    scale = size / box[2:]
    resized = tf.raw_ops.ScaleAndTranslate(
        images=image[tf.newaxis],
        size=[size, size],
        scale=scale,
        translation=-box[:2] * scale,
        kernel_type="triangle",
        antialias=True,
    )
    return tf.ensure_shape(resized[0], [size, size, image.shape[-1]])


def centre_square(size):
    """The box of an image's centre square: float32 [4], top, left, side, side; `size` is int32 [2], height and width."""
    height, width = tf.unstack(tf.cast(size, tf.float32))
    side = tf.minimum(height, width)
    return tf.stack([(height - side) / 2, (width - side) / 2, side, side])
