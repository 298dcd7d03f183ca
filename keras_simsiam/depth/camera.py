"""The pinhole camera: which depth is measured, where its pixels lie in space, what crops and resizes do to the camera.

Coordinates: x right, y down, z forward, metres; pixel centres are whole numbers counted from zero. Intrinsics are
`[..., 4]`: fx, fy, cx, cy in pixels of the image they come with; their leading dimensions broadcast against those of
the image.
"""

import tensorflow as tf

# A depth outside this range (metres) is no measurement of any sensor. It is clipped, so that neither 1/Z nor a product
# of two coordinates can overflow float32.
NEAREST = 1e-4
FARTHEST = 1e4


def measured(depth, valid=None):
    """Separates measured depth from missing depth.

    Args:
      depth: float32 `[..., H, W]`, metres; anything not positive or not finite is missing.
      valid: bool `[..., H, W]` or None, False where the depth is missing for other reasons.

    Returns:
      `(depth, valid)`: float32 metres in NEAREST..FARTHEST, 0 where the sensor gave none (whatever the argument
      `valid` says), and bool, True where the depth is positive, finite and valid.
    """
    depth = tf.convert_to_tensor(depth, tf.float32)
    present = (depth > 0) & tf.math.is_finite(depth)
    depth = tf.where(present, tf.clip_by_value(depth, NEAREST, FARTHEST), 0.0)
    return depth, present if valid is None else present & tf.cast(valid, tf.bool)


def slopes(height, width, intrinsics):
    """The viewing directions' slopes u = (x − cx)/fx and v = (y − cy)/fy: float32 `[..., 1, W]` and `[..., H, 1]`."""
    fx, fy, cx, cy = split(intrinsics)
    x = tf.range(width, dtype=tf.float32)[tf.newaxis, :]
    y = tf.range(height, dtype=tf.float32)[:, tf.newaxis]
    return (x - cx) / fx, (y - cy) / fy


def rays(height, width, intrinsics):
    """Viewing directions of all pixels, scaled to unit depth: (u, v, 1) = K⁻¹(x, y, 1).

    Args:
      height, width: the image's size in pixels, numbers or scalar tensors.
      intrinsics: float32 `[..., 4]`.

    Returns:
      float32 `[..., H, W, 3]`, no unit.
    """
    u, v = slopes(height, width, intrinsics)
    shape = tf.broadcast_dynamic_shape(tf.shape(u), tf.shape(v))
    return tf.stack([tf.broadcast_to(u, shape), tf.broadcast_to(v, shape), tf.ones(shape)], axis=-1)


def back_project(depth, intrinsics):
    """The point cloud of a depth image, P = Z·K⁻¹(x, y, 1) (Zhu, section 3.2, Eq. 2).

    Args:
      depth: float32 `[..., H, W]`, metres.
      intrinsics: float32 `[..., 4]`.

    Returns:
      float32 `[..., H, W, 3]`, metres in the camera's frame; the origin where depth is missing.
    """
    depth, _ = measured(depth)
    u, v = slopes(*image_size(depth), intrinsics)
    return tf.stack([depth * u, depth * v, depth], axis=-1)


def crop_intrinsics(intrinsics, left, top):
    """Intrinsics of a crop whose first pixel is (`left`, `top`) of the image: float32 `[..., 4]`, pixels."""
    intrinsics = tf.convert_to_tensor(intrinsics, tf.float32)
    corner = tf.stack([tf.cast(left, tf.float32), tf.cast(top, tf.float32)], axis=-1)
    return tf.concat([intrinsics[..., :2], intrinsics[..., 2:] - corner], axis=-1)


def resize_intrinsics(intrinsics, scale):
    """Intrinsics of the image resized by `scale` (new size / old size).

    A pixel's area, not its centre, is what a resize scales: with centres on whole numbers the principal point c moves
    to (c + ½)·s − ½.

    Args:
      intrinsics: float32 `[..., 4]`, pixels.
      scale: positive number or scalar tensor, or a pair (horizontal, vertical) of them.

    Returns:
      float32 `[..., 4]`, pixels of the resized image.
    """
    intrinsics = tf.convert_to_tensor(intrinsics, tf.float32)
    scale = tf.cast(scale, tf.float32)
    return tf.concat([intrinsics[..., :2] * scale, (intrinsics[..., 2:] + 0.5) * scale - 0.5], axis=-1)


def split(intrinsics):
    """fx, fy, cx, cy, each float32 `[..., 1, 1]`, to be broadcast over images."""
    intrinsics = tf.convert_to_tensor(intrinsics, tf.float32)
    return tf.unstack(intrinsics[..., tf.newaxis, tf.newaxis, :], axis=-1)


def image_size(image):
    """`(H, W)` of `[..., H, W]`: numbers where the shape is static, scalar tensors elsewhere."""
    dynamic = tf.shape(image)
    return tuple(dynamic[axis] if image.shape[axis] is None else image.shape[axis] for axis in (-2, -1))
