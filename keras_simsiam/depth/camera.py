"""The pinhole camera: which depth is measured, where its pixels lie in space, what crops and resizes do to the camera.

Coordinates: x right, y down, z forward, metres; pixel centres are whole numbers counted from zero. Vectors of all pixels
are `[..., 3, H, W]`, three images (`normals` says why). Intrinsics are `[..., 4]`: fx, fy, cx, cy in pixels of the image
they come with; their leading dimensions broadcast against those of the image.
"""

import math

import tensorflow as tf

TensorLike = tf.types.experimental.TensorLike

# A depth outside this range (metres) is no measurement of any sensor. It is clipped, so that neither 1/Z nor a product
# of two coordinates can overflow float32.
NEAREST = 1e-4
FARTHEST = 1e4

# No depth camera's frame lies mostly beyond this (metres); one in millimetres taken for metres does.
FARTHEST_MEDIAN = 50.0

_IMPOSSIBLE = "intrinsics must be finite and their focal lengths positive (fx, fy, cx, cy in pixels), not"
_NOT_METRES = (
    "depth must be in metres (divide millimetres by 1000): most of what a frame measures lies beyond "
    f"{FARTHEST_MEDIAN:.0f} m, and its mean is"
)


def checked(
    depth: TensorLike, intrinsics: TensorLike, valid: TensorLike | None = None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Measured depth of a camera that can exist; refuses what would give an image without a meaning.

    What is known at once (eager tensors, constants of a graph) is refused with ValueError. Other tensors of a graph are
    checked when it runs, and one bad frame fails its batch or request with InvalidArgumentError. XLA (jit_compile) drops
    such checks; there, and nowhere else, a frame of a camera that cannot exist is taken for one without any depth.

    Args:
        depth: float32 `[..., H, W]`, metres; anything not positive or not finite is missing.
        intrinsics: float32 `[..., 4]`, pixels.
        valid: bool `[..., H, W]` or None, as for `measured`.

    Returns:
        `(depth, valid, intrinsics)`: what `measured` returns, and float32 `[..., 4]`, finite, with positive focal lengths.

    Raises:
        ValueError: the depth has fewer than two dimensions, or most of it lies beyond 50 m; the intrinsics are not four
            numbers, not finite, or have a focal length that is not positive.
    """
    depth, intrinsics = tf.convert_to_tensor(depth, tf.float32), tf.convert_to_tensor(intrinsics, tf.float32)
    if depth.shape.rank is not None and depth.shape.rank < 2:
        raise ValueError(f"depth must be [..., H, W], not of shape {depth.shape}")
    if not tf.TensorShape([4]).is_compatible_with(intrinsics.shape[-1:]):
        raise ValueError(f"intrinsics must be [..., 4] (fx, fy, cx, cy), not of shape {intrinsics.shape}")
    measured_depth, valid = measured(depth, valid)
    camera_checks = _require(_possible, intrinsics, _IMPOSSIBLE, _first_impossible)
    unit_checks = _require(_metric, depth, _NOT_METRES, _mean_depth)
    with tf.control_dependencies(camera_checks + unit_checks):
        depth = tf.identity(measured_depth)
    if camera_checks:
        possible = _possible(intrinsics)[..., tf.newaxis]
        intrinsics = tf.where(possible, intrinsics, 1.0)
        depth, valid = tf.where(possible[..., tf.newaxis], depth, 0.0), valid & possible[..., tf.newaxis]
    return depth, valid, intrinsics


def measured(depth: TensorLike, valid: TensorLike | None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """Separate measured depth from missing depth.

    Args:
        depth: float32 `[..., H, W]`, metres; anything not positive or not finite is missing.
        valid: bool `[..., H, W]` or None, False where the depth is missing for other reasons.

    Returns:
        `(depth, valid)`: float32 metres in NEAREST..FARTHEST, 0 where the sensor gave none (whatever the argument
        `valid` says), and bool, True where the depth is positive, finite and valid.
    """
    depth = tf.convert_to_tensor(depth, tf.float32)
    present = (depth > 0) & (depth < math.inf)
    depth = tf.where(present, tf.clip_by_value(depth, NEAREST, FARTHEST), 0.0)
    return depth, present if valid is None else present & tf.cast(valid, tf.bool)


def slopes(height: TensorLike, width: TensorLike, intrinsics: TensorLike) -> tuple[tf.Tensor, tf.Tensor]:
    """The viewing directions' slopes u = (x − cx)/fx and v = (y − cy)/fy: float32 `[..., 1, W]` and `[..., H, 1]`."""
    fx, fy, cx, cy = split(intrinsics)
    x = tf.range(width, dtype=tf.float32)[tf.newaxis, :]
    y = tf.range(height, dtype=tf.float32)[:, tf.newaxis]
    return (x - cx) / fx, (y - cy) / fy


def rays(height: TensorLike, width: TensorLike, intrinsics: TensorLike) -> tf.Tensor:
    """Viewing directions of all pixels, scaled to unit depth: (u, v, 1) = K⁻¹(x, y, 1).

    Args:
        height, width: the image's size in pixels, numbers or scalar tensors.
        intrinsics: float32 `[..., 4]`.

    Returns:
        float32 `[..., 3, H, W]`, no unit.
    """
    u, v = slopes(height, width, intrinsics)
    shape = tf.broadcast_dynamic_shape(tf.shape(u), tf.shape(v))
    return tf.stack([tf.broadcast_to(u, shape), tf.broadcast_to(v, shape), tf.ones(shape)], axis=-3)


def back_project(depth: TensorLike, intrinsics: TensorLike) -> tf.Tensor:
    """The point cloud of a depth image, P = Z·K⁻¹(x, y, 1) (Zhu, section 3.2, Eq. 2).

    Args:
        depth: float32 `[..., H, W]`, metres.
        intrinsics: float32 `[..., 4]`.

    Returns:
        float32 `[..., 3, H, W]`, metres in the camera's frame; the origin where depth is missing.
    """
    depth, _ = measured(depth)
    u, v = slopes(*image_size(depth), intrinsics)
    return tf.stack([depth * u, depth * v, depth], axis=-3)


def crop_intrinsics(intrinsics: TensorLike, left: TensorLike, top: TensorLike) -> tf.Tensor:
    """Intrinsics of a crop whose first pixel is (`left`, `top`) of the image: float32 `[..., 4]`, pixels."""
    intrinsics = tf.convert_to_tensor(intrinsics, tf.float32)
    corner = tf.stack([tf.cast(left, tf.float32), tf.cast(top, tf.float32)], axis=-1)
    return tf.concat([intrinsics[..., :2], intrinsics[..., 2:] - corner], axis=-1)


def resize_intrinsics(intrinsics: TensorLike, scale: TensorLike) -> tf.Tensor:
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


def split(intrinsics: TensorLike) -> list[tf.Tensor]:
    """fx, fy, cx, cy, each float32 `[..., 1, 1]`, to be broadcast over images."""
    intrinsics = tf.convert_to_tensor(intrinsics, tf.float32)
    return tf.unstack(intrinsics[..., tf.newaxis, tf.newaxis, :], axis=-1)


def image_size(image: TensorLike) -> tuple[int | tf.Tensor, int | tf.Tensor]:
    """`(H, W)` of `[..., H, W]`: numbers where the shape is static, scalar tensors elsewhere."""
    dynamic = tf.shape(image)
    return tuple(dynamic[axis] if image.shape[axis] is None else image.shape[axis] for axis in (-2, -1))


def _require(condition, tensor, message, culprit):
    """Raise ValueError now if `tensor` is known and fails; else return the operations that check it in the graph."""
    known = tf.get_static_value(tensor)
    if known is None:
        passes = tf.reduce_all(condition(tensor))

        def fail():
            with tf.control_dependencies([tf.debugging.Assert(False, [message, culprit(tensor)], summarize=4)]):
                return tf.constant(False)

        return [tf.cond(passes, lambda: tf.constant(True), fail).op]  # the culprit is looked for only if there is one
    with tf.init_scope():
        if not tf.reduce_all(condition(tf.constant(known))):
            raise ValueError(f"{message} {culprit(tf.constant(known)).numpy()}")
    return []


def _possible(intrinsics):
    """bool `[...]`: the camera can exist."""
    return tf.reduce_all(tf.math.is_finite(intrinsics), axis=-1) & tf.reduce_all(intrinsics[..., :2] > 0, axis=-1)


def _first_impossible(intrinsics):
    """The intrinsics `[4]` of the first camera that cannot exist."""
    # A camera more, or an empty batch would have no first one.
    cameras = tf.concat([tf.reshape(intrinsics, [-1, 4]), tf.ones([1, 4])], axis=0)
    return cameras[tf.argmin(tf.cast(_possible(cameras), tf.int32))]


def _metric(depth):
    """bool `[...]`: the median of the measured depth is at most FARTHEST_MEDIAN. Counted, for sorting takes longer."""
    near = (depth > 0) & (depth <= FARTHEST_MEDIAN)
    far = (depth > FARTHEST_MEDIAN) & (depth < math.inf)
    return _count(far) <= _count(near)


def _mean_depth(depth):
    """The largest mean of the measured depth among those frames that are not in metres, metres."""
    depth, present = measured(depth)
    mean = tf.math.divide_no_nan(tf.reduce_sum(depth, axis=(-2, -1)), _count(present))
    return tf.reduce_max(tf.where(_metric(depth), 0.0, mean))


def _count(mask):
    """How many are True in each image: float32 `[...]` of bool `[..., H, W]`."""
    return tf.reduce_sum(tf.cast(mask, tf.float32), axis=(-2, -1))
