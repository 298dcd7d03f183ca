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
