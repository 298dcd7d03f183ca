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


def nearest(image, box, size):
    """Cut a box out of an image and resize it in one step, each pixel that of the image nearest to its centre.

    Of a point map: a mean of two points is a point between two surfaces, or between one and the camera.

    Args:
        image, box, size: as in `resample`.

    Returns:
        float32 [size,size,C], without any value that the image does not have.
    """
    for axis in range(2):
        places = box[axis] + (tf.range(size, dtype=tf.float32) + 0.5) * box[2 + axis] / size
        image = tf.gather(image, tf.clip_by_value(tf.cast(places, tf.int32), 0, tf.shape(image)[axis] - 1), axis=axis)
    return tf.ensure_shape(image, [size, size, image.shape[-1]])


def resample_images(images, box, size, *, depth_input):
    """Cut a box out of all images of a view and resize it, all in one step.

    Args:
        images: a dict of float32 [H,W,C].
        box, size: as in `resample`.
        depth_input: what the `hha` image shows: of `voxels`, points, it has the `nearest` pixels.

    Returns:
        float32 [size,size,ΣC], the channels in the order of the dict.
    """
    if depth_input == "voxels" and "hha" in images:
        each = ((nearest if name == "hha" else resample)(image, box, size) for name, image in images.items())
        return tf.concat(list(each), axis=-1)
    return resample(tf.concat(list(images.values()), axis=-1), box, size)


def centre_square(size):
    """The box of an image's centre square: float32 [4], top, left, side, side; `size` is int32 [2], height and width."""
    height, width = tf.unstack(tf.cast(size, tf.float32))
    side = tf.minimum(height, width)
    return tf.stack([(height - side) / 2, (width - side) / 2, side, side])
