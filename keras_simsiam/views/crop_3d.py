"""Crops in three dimensions: a window of so many metres around a point in space, however far away it is."""

import math

import tensorflow as tf

from keras_simsiam.depth import camera

_TRIES = 10
_SMALLEST = 8.0  # pixels


def metric_box(depth, intrinsics, seed, sides):
    """The box of a crop whose size is drawn in metres: side · f / Z pixels around a random pixel of measured depth Z.

    The pixel is the first of ten, uniform in the image, that has depth; the side is log-uniform. A box is at least 8 pixels
    high and wide, shrunk to the image where it is larger, and moved into it where it reaches beyond.

    Args:
        depth: float32 [H,W], metres; anything not positive or not finite is missing.
        intrinsics: float32 [4], pixels of this image.
        seed: int32 [2].
        sides: the smallest and the largest side, metres.

    Returns:
        (box, found): float32 [4], top, left, height, width in pixels, within the image; bool scalar, whether one of the ten
        had depth; the box has no meaning where not.
    """
    point_seed, side_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    size = tf.cast(tf.shape(depth), tf.float32)
    points = tf.floor(tf.random.stateless_uniform([_TRIES, 2], point_seed) * size)
    metres, valid = camera.measured(tf.gather_nd(depth, tf.cast(points, tf.int32)))
    first = tf.argmax(valid)
    side = tf.exp(tf.random.stateless_uniform([], side_seed, *map(math.log, sides)))
    fx, fy = intrinsics[0], intrinsics[1]
    extent = tf.maximum(side * tf.stack([fy, fx]) / tf.maximum(metres[first], camera.NEAREST), _SMALLEST)
    extent *= tf.minimum(1.0, tf.reduce_min(size / extent))
    corner = tf.clip_by_value(points[first] + 0.5 - extent / 2, 0.0, size - extent)
    return tf.concat([corner, extent], 0), tf.reduce_any(valid)
