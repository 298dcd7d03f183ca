"""HHA: a depth image as three channels, horizontal disparity, height above ground and angle with gravity."""

import math
import numbers

import tensorflow as tf

from keras_simsiam.depth import camera
from keras_simsiam.depth import gravity as gravity_estimation
from keras_simsiam.depth import normals as surface
from keras_simsiam.depth.camera import TensorLike

ENCODINGS = ("gupta", "paper")
GROUNDS = ("auto", "lowest")

# Window radius in pixels of the normals of the angle channel.
ANGLE_RADIUS = 3

# The published constants: disparity = 31000 / Z with Z in centimetres and no nearer than 100, angle in degrees + 38.
DISPARITY_SCALE = 31000.0
NEAREST_CENTIMETRES = 100.0
ANGLE_OFFSET = 38.0
NO_NORMAL_DEGREES = 180.0
# Where nothing is seen lower than 90 cm below the camera no floor is in sight; it is then taken to be 130 cm below.
NO_FLOOR_ABOVE = -90.0
ASSUMED_FLOOR = -130.0

# The paper's encoding stretches each channel to its range in the image, but no range below these (1/m, m, degrees):
# a flat channel would otherwise show nothing but rounding errors.
LEAST_RANGE = (1e-3, 1e-3, 1.0)


def encode(
    depth: TensorLike,
    intrinsics: TensorLike,
    gravity: TensorLike | None = None,
    valid: TensorLike | None = None,
    *,
    encoding: str = "gupta",
    ground: float | str = "auto",
) -> tf.Tensor:
    """Encode depth as HHA: channels disparity, height, angle.

    `gupta` is the published encoding (Gupta et al. 2014, as its MATLAB code and Python port compute it): disparity
    31000/Z, height above the lowest point in centimetres, angle in degrees + 38. `paper` is that of Zhu, section 3.2:
    1/Z, relative height and angle of gradient normals, each stretched to 0..255 per image over its valid pixels.

    Example:
        >>> wall = tf.fill([48, 64], 2.0)  # 2 m in front of a camera that is held level
        >>> image = ks.hha(wall, intrinsics=[60.0, 60.0, 32.0, 24.0], gravity=[0.0, 1.0, 0.0])
        >>> image.shape, np.round(image[24, 32, ::2]).tolist()  # disparity 31000 / 200, angle 90 + 38
        (TensorShape([48, 64, 3]), [155.0, 128.0])

    Args:
        depth: float32 `[..., H, W]`, metres; what is not positive and finite is missing.
        intrinsics: float32 `[..., 4]`, fx, fy, cx, cy in pixels, zero-based pixel centres.
        gravity: float32 `[..., 3]` (`[3]` for one of all images), direction of gravity in the camera's frame (x right, y
            down, z forward); all zero is unknown. Unknown gravity, or None, is estimated from the image. The estimation is
            about half of the cost; it is skipped where all gravities of the batch are known.
        valid: bool `[..., H, W]`, False where the depth was filled in rather than measured. `gupta` keeps such pixels
            out only of the normals, as published; `paper` treats them as missing.
        encoding: "gupta" or "paper".
        ground: where `gupta` counts height from. "auto", as published: the lowest point in sight, or 130 cm below the
            camera where no point is lower than 90 cm below it. "lowest": the lowest point in any case. A number: the
            camera's height above the ground in metres, for a camera on a known stand; the same level is then the same
            height in every image. `paper` counts from the lowest point under both names and refuses a number, which its
            stretching would cancel.

    Returns:
        float32 `[..., H, W, 3]` in 0..255, not rounded and never NaN. Missing depth: in `gupta` the published (255, the
        camera's height, the angle of the surrounding pixels or 218), in `paper` black. An image without any depth has
        height 130 in `gupta` (`lowest`: 0; a number: that height).

    Raises:
        ValueError: the encoding or the ground is not known; depth or intrinsics as `camera.checked`, which says when a
            graph raises InvalidArgumentError instead.
    """
    _check_choices(encoding, ground)
    shape = tf.convert_to_tensor(depth, tf.float32).shape
    depth, valid, intrinsics = camera.checked(depth, intrinsics, valid)
    gravity = gravity_estimation.known_or_estimated(gravity, depth, intrinsics, valid)
    if encoding == "gupta":
        channels = _gupta(depth, intrinsics, gravity, valid, ground)
    else:
        channels = _paper(depth, intrinsics, gravity, valid)
    return tf.ensure_shape(interleaved(channels), shape.concatenate(3))


def interleaved(channels):
    """Images `[..., H, W]` as the channels of one, `[..., H, W, C]`.

    A transposition takes a quarter of the time of a stack along the last axis.
    """
    images = tf.stack(channels, axis=-3)
    rank = images.shape.rank
    return tf.transpose(images, [*range(rank - 3), rank - 2, rank - 1, rank - 3])


def _check_choices(encoding, ground):
    """Raise ValueError where `encode` does not know them."""
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding must be one of {', '.join(ENCODINGS)}, not {encoding!r}")
    if isinstance(ground, str) and ground in GROUNDS:
        return
    if isinstance(ground, bool) or not isinstance(ground, numbers.Real) or not 0 < ground < math.inf:
        raise ValueError(f"ground must be {', '.join(GROUNDS)} or the camera's height in metres, not {ground!r}")
    if encoding == "paper":
        raise ValueError(
            f"ground={ground!r} has no effect in the paper encoding, which stretches heights: leave it out"
        )


def _gupta(depth, intrinsics, gravity, valid, ground):
    """Disparity, height, angle of the published encoding."""
    disparity = DISPARITY_SCALE / tf.maximum(100.0 * depth, NEAREST_CENTIMETRES)
    height = 100.0 * _height(depth, intrinsics, gravity)
    height -= _ground(height, depth > 0, ground)
    normals, normals_valid = surface.plane_normals(depth, intrinsics, valid, radius=ANGLE_RADIUS)
    angle = ANGLE_OFFSET + tf.where(normals_valid, _angle(normals, gravity), NO_NORMAL_DEGREES)
    return [tf.clip_by_value(channel, 0.0, 255.0) for channel in (disparity, height, angle)]


def _ground(height, present, ground):
    """The height of the ground in centimetres relative to the camera, `[..., 1, 1]`."""
    if ground not in GROUNDS:
        return -100.0 * ground
    lowest = tf.reduce_min(tf.where(present, height, tf.float32.max), axis=(-2, -1), keepdims=True)
    return tf.where(lowest > NO_FLOOR_ABOVE, ASSUMED_FLOOR, lowest) if ground == "auto" else lowest


def _paper(depth, intrinsics, gravity, valid):
    """Disparity, height, angle of Zhu, section 3.2; a channel is black where it has no valid value."""
    normals, normals_valid = surface.gradient_normals(camera.back_project(depth, intrinsics), valid)
    channels = (
        (tf.math.divide_no_nan(1.0, depth), valid),
        (_height(depth, intrinsics, gravity), valid),
        (_angle(normals, gravity), normals_valid),
    )
    return [stretch(*channel, least) for channel, least in zip(channels, LEAST_RANGE, strict=True)]


def stretch(values, valid, least_range):
    """Scale each image's valid values, of `[..., H, W]`, to 0..255, but no range below `least_range`; 0 elsewhere."""
    low = tf.reduce_min(tf.where(valid, values, tf.float32.max), axis=(-2, -1), keepdims=True)
    high = tf.reduce_max(tf.where(valid, values, tf.float32.min), axis=(-2, -1), keepdims=True)
    scaled = (values - low) * (255.0 / tf.maximum(high - low, least_range))
    return tf.where(valid, tf.clip_by_value(scaled, 0.0, 255.0), 0.0)


def _height(depth, intrinsics, gravity):
    """−g·P in metres, the height above the camera: `[..., H, W]`."""
    u, v = camera.slopes(*camera.image_size(depth), intrinsics)
    gx, gy, gz = tf.unstack(gravity[..., tf.newaxis, tf.newaxis, :], axis=-1)
    return -depth * (gx * u + gy * v + gz)


def _angle(normals, gravity):
    """The angle between normal and gravity in degrees: floor 0, wall 90, ceiling 180."""
    # Not a matrix product, whose TensorFloat-32 form on recent GPUs is 2° off near 0° and 180°.
    cosine = tf.reduce_sum(normals * gravity[..., tf.newaxis, tf.newaxis], axis=-3)
    return tf.acos(tf.clip_by_value(cosine, -1.0, 1.0)) * (180.0 / math.pi)
