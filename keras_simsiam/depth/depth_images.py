"""Depth images other than HHA, in its place: surface normals, disparity, jet, standardised depth, points in space.

Each is float32 `[..., H, W, 3]` in 0..255, not rounded and never NaN, as HHA is: what comes after takes any of them. None needs
gravity, and only normals and points need the intrinsics. None needs statistics of a data set: their scales are fixed or the
image's own.
"""

import tensorflow as tf

from keras_simsiam.depth import camera, hha, voxels
from keras_simsiam.depth import normals as surface
from keras_simsiam.depth.camera import TensorLike

# A disparity of 255 is this near (metres), and so is all that is nearer: the least of a Kinect's operating range, 0.5 to 5 m
# (Khoshelham & Elberink 2012). HHA's own limit, 1.2 m, would show a hand held before the camera as one flat patch.
NEAREST = 0.5

# Standardised depth: the mean is at MEAN_LEVEL, which the encoder's normalisation maps to zero, and a standard deviation is
# LEVELS wide, so that four of them on either side are in range. Below LEAST_DEVIATION (metres) it is a sensor's noise.
MEAN_LEVEL, LEVELS = 128.0, 32.0
LEAST_DEVIATION = 1e-3
_FARTHEST_MILLIMETRE = (1 << 16) - 1

# A range of depth below this (metres) is not stretched further: it would show nothing but rounding errors.
LEAST_RANGE = 1e-3


def encode(depth: TensorLike, intrinsics: TensorLike, depth_input: str) -> tf.Tensor:
    """Encode depth as one of the depth images other than HHA.

    `normals`: surface normals as colours (Aakerberg et al. 2017), 127.5·(n + 1); `disparity`: 255·NEAREST/Z in three equal
    channels; `jet`: depth stretched over its range in the image and coloured from red, near, to blue, far (Eitel et al. 2015);
    `standardized`: mean 0 and variance 1 within the image, without its nearest and farthest tenth (Bachmann et al. 2022,
    MultiMAE), in three equal channels; `voxels`: X, Y and Z of each pixel, of which a 3-D CNN makes voxels
    (`keras_simsiam.depth.voxels`). docs/hha.md has their equations.

    Args:
        depth: float32 `[..., H, W]`, metres; what is not positive and finite is missing.
        intrinsics: float32 `[..., 4]`, fx, fy, cx, cy in pixels, zero-based pixel centres.
        depth_input: one of DEPTH_INPUTS but `hha`.

    Returns:
        float32 `[..., H, W, 3]` in 0..255. Missing depth: in `normals` the vector zero, 127.5, which a pixel without a normal
        has too; in `voxels` 128, which a point out of reach has too; in the others black.

    Raises:
        ValueError: it is none of them; depth or intrinsics as `camera.checked`, which says when a graph raises
            InvalidArgumentError instead.
    """
    if depth_input not in _IMAGES:
        raise ValueError(f"depth_input must be one of {', '.join(_IMAGES)}, not {depth_input!r}")
    shape = tf.convert_to_tensor(depth, tf.float32).shape
    depth, valid, intrinsics = camera.checked(depth, intrinsics)
    channels = _IMAGES[depth_input](depth, intrinsics, valid)
    return tf.ensure_shape(hha.interleaved(channels), shape.concatenate(3))


def _normals(depth, intrinsics, valid):
    """n as levels 127.5·(n + 1), n of planes fitted to 7×7 pixels, as the angle channel of `gupta` has them."""
    normals, normals_valid = surface.plane_normals(depth, intrinsics, valid, radius=hha.ANGLE_RADIUS)
    # the fit gives a missing pixel the normal of what lies around it
    shown = tf.where((valid & normals_valid)[..., tf.newaxis, :, :], normals, 0.0)
    return tf.unstack(tf.clip_by_value(127.5 * (shown + 1.0), 0.0, 255.0), axis=-3)


def _points(depth, intrinsics, valid):
    return voxels.point_map(depth, valid, intrinsics)


def _disparity(depth, _intrinsics, valid):
    """255 at NEAREST and nearer, half of that at twice the distance."""
    return [tf.where(valid, 255.0 * NEAREST / tf.maximum(depth, NEAREST), 0.0)] * 3


def _jet(depth, _intrinsics, valid):
    """The colours of MATLAB's jet, without their 64 steps; black, which is none of them, where depth is missing."""
    nearness = hha.stretch(-depth, valid, LEAST_RANGE) / 255.0
    peaks = (3.0, 2.0, 1.0)  # a quarter of the way up blue is brightest, then green, then red
    ramps = [tf.clip_by_value(1.5 - tf.abs(4.0 * nearness - peak), 0.0, 1.0) for peak in peaks]
    return [tf.where(valid, 255.0 * ramp, 0.0) for ramp in ramps]


def _standardised(depth, _intrinsics, valid):
    """MEAN_LEVEL + LEVELS·(Z − mean)/deviation, clipped: the farther the brighter."""
    mean, deviation = _middle(depth, valid)
    levels = MEAN_LEVEL + LEVELS * (depth - mean) / tf.maximum(deviation, LEAST_DEVIATION)
    return [tf.where(valid, tf.clip_by_value(levels, 0.0, 255.0), 0.0)] * 3


def _middle(depth, valid):
    """Mean and standard deviation of each image without its nearest and farthest tenth, metres: `[..., 1, 1]` each; 0 of none.

    By a histogram in millimetres, the unit of most sensors, which takes a twentieth of the time of sorting: farther than 65.5 m
    counts as that.
    """
    height, width = camera.image_size(depth)
    places = tf.clip_by_value(tf.cast(tf.round(1000.0 * depth), tf.int32), 1, _FARTHEST_MILLIMETRE)
    places = tf.reshape(tf.where(valid, places, 0), [-1, height * width])
    size = _FARTHEST_MILLIMETRE + 1
    counts = tf.math.bincount(places, minlength=size, maxlength=size, axis=-1)[:, 1:]  # the first are missing
    nearer = tf.cumsum(counts, axis=-1)
    total = nearer[:, -1:]
    tenth = total // 10
    # of the pixels at each distance those whose rank is neither in the first tenth nor in the last
    kept = tf.clip_by_value(nearer, tenth, total - tenth) - tf.clip_by_value(nearer - counts, tenth, total - tenth)
    share = tf.math.divide_no_nan(tf.cast(kept, tf.float32), tf.cast(total - 2 * tenth, tf.float32))
    metres = tf.range(1, size, dtype=tf.float32) / 1000.0
    mean = tf.reduce_sum(share * metres, axis=-1, keepdims=True)
    variance = tf.reduce_sum(share * tf.square(metres - mean), axis=-1)
    shape = tf.concat([tf.shape(depth)[:-2], [1, 1]], axis=0)
    return tf.reshape(mean, shape), tf.reshape(tf.sqrt(variance), shape)


_IMAGES = {
    "normals": _normals,
    "disparity": _disparity,
    "jet": _jet,
    "standardized": _standardised,
    "voxels": _points,
}
DEPTH_INPUTS = ("hha", *_IMAGES)
# Those of three equal channels, in which no transform of colours changes hue or saturation.
GREY = ("disparity", "standardized")
