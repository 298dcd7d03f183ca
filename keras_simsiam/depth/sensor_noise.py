"""Sensor noise of a structured-light depth camera: shadows next to near things, disparity in steps, holes.

Depth `[H, W]` is float32 metres; anything not positive or not finite is missing, and 0 in what is returned. No noise gives
a missing pixel a depth. Every draw is stateless.
"""

import math

import tensorflow as tf

from keras_simsiam.depth import camera
from keras_simsiam.depth.camera import TensorLike

# What is drawn: holes and their half sides as a share of the image's; a Kinect's baseline is 7.5 cm, and its disparity comes
# in steps of 1/8 pixel (Khoshelham & Elberink 2012).
_MOST_HOLES = 4
_HALF_SIDES = (0.03, 0.15)
_BASELINE = (0.05, 0.10)  # metres
_STEP = (1 / 8, 1 / 2)  # pixels

# Disparity noise as a share of the step (Handa et al. 2014, of Barron & Malik 2013).
_NOISE = 1 / 6

# A shadow is looked for within 2^8 columns: a baseline of 10 cm at 600 pixels of focal length needs 240 at 0.25 m.
_DOUBLINGS = 8


def simulate(depth: TensorLike, intrinsics: TensorLike, seed: TensorLike) -> tf.Tensor:
    """The depth as another camera of this kind would have given it: its shadows, its steps, then holes.

    The camera is drawn: its projector 5 to 10 cm to the left or right, its disparity in steps of 1/8 to 1/2 pixel (uniform in
    the logarithm).

    Args:
        depth: float32 [H,W], metres.
        intrinsics: float32 [4], fx, fy, cx, cy in pixels.
        seed: int32 [2].

    Returns:
        float32 [H,W], metres, 0 = missing.
    """
    camera_seed, side_seed, noise_seed, holes_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
    baseline, log_step = tf.unstack(
        tf.random.stateless_uniform(
            [2], camera_seed, [_BASELINE[0], math.log(_STEP[0])], [_BASELINE[1], math.log(_STEP[1])]
        )
    )
    baseline_focal = baseline * tf.convert_to_tensor(intrinsics, tf.float32)[0]
    side = tf.where(tf.random.stateless_uniform([], side_seed) < 0.5, -1.0, 1.0)
    depth = shadow(depth, side * baseline_focal)
    depth = quantise(depth, baseline_focal / tf.exp(log_step), noise_seed)
    return holes(depth, holes_seed)


def shadow(depth: TensorLike, baseline_focal: TensorLike) -> tf.Tensor:
    """Lose the pixels that the projector's light does not reach: those next to a nearer surface.

    A projector b to the right of the camera lights the point at column x and depth Z from its own column x − bf/Z. Where a
    pixel farther right is lit from the same column or one farther left, it stands in the light of this one. The shadow
    of a step from Z₁ to Z₂ is thus bf·(1/Z₁ − 1/Z₂) columns wide, at most 256. Depth counts as one surface: what
    lies between a thin object and its shadow goes too.

    Args:
        depth: float32 [H,W], metres.
        baseline_focal: scalar, b·fx in metres · pixels; shadows fall to the left of near things, to the right where negative.

    Returns:
        float32 [H,W], metres, 0 = missing.
    """
    depth = _present(depth)
    baseline_focal = tf.convert_to_tensor(baseline_focal, tf.float32)
    right = baseline_focal < 0
    lit = tf.cond(right, lambda: tf.reverse(depth, [1]), lambda: depth)
    columns = tf.cast(tf.range(tf.shape(depth)[1]), tf.float32)
    source = tf.where(lit > 0, columns - tf.math.divide_no_nan(tf.abs(baseline_focal), lit), math.inf)
    kept = tf.where(source < _least_to_the_right(source), lit, 0.0)
    return tf.ensure_shape(tf.cond(right, lambda: tf.reverse(kept, [1]), lambda: kept), depth.shape)


def quantise(depth: TensorLike, steps: TensorLike, seed: TensorLike) -> tf.Tensor:
    """Depth from a disparity in whole steps: Z = steps / round(steps / Z + noise), so that the error grows with Z².

    Khoshelham & Elberink, Accuracy and resolution of Kinect depth data, Sensors 2012; the noise, normal with a deviation
    of 1/6 step, as Handa et al. (ICRA 2014) took it from Barron & Malik (CVPR 2013).

    Args:
        depth: float32 [H,W], metres.
        steps: scalar, the disparity of one metre in steps: baseline · focal length / step, about 350 of a Kinect.
        seed: int32 [2].

    Returns:
        float32 [H,W], metres; 0 where depth is missing or so far that its disparity is 0.
    """
    depth = _present(depth)
    noise = tf.random.stateless_normal(tf.shape(depth), seed, stddev=_NOISE)
    disparity = tf.round(tf.math.divide_no_nan(tf.cast(steps, tf.float32), depth) + noise)
    seen = (depth > 0) & (disparity > 0)
    return tf.where(seen, steps / tf.where(seen, disparity, 1.0), 0.0)


def holes(depth: TensorLike, seed: TensorLike) -> tf.Tensor:
    """Lose one to four patches, ellipses or rectangles whose half sides are 3 to 15 % of the image's.

    Args:
        depth: float32 [H,W], metres.
        seed: int32 [2].

    Returns:
        float32 [H,W], metres, 0 = missing.
    """
    depth = _present(depth)
    count_seed, *seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
    count = tf.random.stateless_uniform([], count_seed, 1, _MOST_HOLES + 1, tf.int32)
    size = tf.cast(tf.shape(depth), tf.float32)
    centre = tf.random.stateless_uniform([_MOST_HOLES, 2], seeds[0]) * size - 0.5
    half = tf.random.stateless_uniform([_MOST_HOLES, 2], seeds[1], *_HALF_SIDES) * size
    elliptic = tf.random.stateless_uniform([_MOST_HOLES, 1, 1], seeds[2]) < 0.5

    def distance(axis):
        pixels = tf.cast(tf.range(tf.shape(depth)[axis]), tf.float32)
        return tf.abs(pixels - centre[:, axis, tf.newaxis]) / half[:, axis, tf.newaxis]

    y, x = distance(0)[:, :, tf.newaxis], distance(1)[:, tf.newaxis, :]
    inside = tf.where(elliptic, x * x + y * y, tf.maximum(x, y)) < 1
    return tf.where(tf.reduce_any(inside[:count], axis=0), 0.0, depth)


def _present(depth):
    """The depth, bit for bit, and 0 where it is missing."""
    depth = tf.convert_to_tensor(depth, tf.float32)
    return tf.where(camera.measured(depth)[1], depth, 0.0)


def _least_to_the_right(values):
    """For each pixel the least of the 256 values to its right in its row, infinity where there are none."""
    least = _shifted(values, 1)
    for doubling in range(_DOUBLINGS):
        least = tf.minimum(least, _shifted(least, 1 << doubling))
    return least


def _shifted(values, columns):
    columns = tf.minimum(columns, tf.shape(values)[1])
    return tf.pad(values[:, columns:], [[0, 0], [0, columns]], constant_values=math.inf)
