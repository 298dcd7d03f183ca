"""Missing depth: two ways to fill it, and depth images that do so or that say where depth is missing.

A fill takes depth `[..., H, W]` in metres, of which anything not positive or not finite is missing, and returns it
complete. Measured pixels stay as they are, bit for bit; an image without any depth stays without, all zero.
"""

import tensorflow as tf

from keras_simsiam.depth import camera, depth_images, hha
from keras_simsiam.depth import gravity as gravity_estimation
from keras_simsiam.depth.camera import TensorLike

# What a channel of an unknown pixel is set to: the middle, which the encoder's normalisation maps to zero and which a
# dropped HHA (augment.py) is set to. A mean over the image would be another value in every image.
UNKNOWN = 128.0

_NOT_IN_ROW = 1 << 30  # farther than any two pixels, and its square fits int64
_LEVELS = 15  # halvings that bring an image of up to 32768 pixels a side to a single one


def nearest(depth: TensorLike) -> tf.Tensor:
    """Give each hole the depth of the nearest measured pixel: exact Euclidean distances between pixel centres.

    Separable, as in Saito & Toriwaki, New algorithms for Euclidean distance transformation, Pattern Recognition 1994:
    first the nearest measured pixel in each row, then for each hole the best of the rows at 0, 1, 2… pixels from it,
    until none farther can be better. The cost grows with the missing pixels times the radius of the largest hole.

    Args:
        depth: float32 `[..., H, W]`, metres.

    Returns:
        float32 `[..., H, W]`, metres. Of several pixels equally near always the same one is taken.
    """
    depth = tf.convert_to_tensor(depth, tf.float32)
    _, valid = camera.measured(depth)
    fillable = ~valid & tf.reduce_any(valid, axis=(-2, -1), keepdims=True)
    holes = tf.where(tf.reshape(fillable, [-1]))[:, 0]
    sources = _nearest_in_rows(holes, *_nearest_in_row(valid), tf.shape(depth, tf.int64))
    values = tf.reshape(tf.where(valid, depth, 0.0), [-1])
    filled = tf.tensor_scatter_nd_update(values, holes[:, tf.newaxis], tf.gather(values, sources))
    return tf.ensure_shape(tf.reshape(filled, tf.shape(depth)), depth.shape)


def inpaint(depth: TensorLike) -> tf.Tensor:
    """Fill holes smoothly from their rims, with a pyramid of means over measured pixels (pull-push).

    Gortler et al., The Lumigraph, SIGGRAPH 1996; Kraus, The pull-push algorithm revisited, GRAPP 2009. Pull: an image
    of half the size holds the mean of the known pixels around each, until nothing is unknown. Push: what an image does
    not know is interpolated in the complete one of half its size. No mean nor interpolation takes in a missing pixel.

    Args:
        depth: float32 `[..., H, W]`, metres, at most 32768 pixels a side.

    Returns:
        float32 `[..., H, W]`, metres; filled pixels lie between the least and the greatest depth measured in the image,
        which count as 0.1 mm to 10 km (keras_simsiam.depth.camera).
    """
    depth = tf.convert_to_tensor(depth, tf.float32)
    known, valid = camera.measured(depth)
    height, width = camera.image_size(depth)
    static = isinstance(height, int) and isinstance(width, int)
    levels = (max(height, width) - 1).bit_length() if static else _LEVELS
    filled = _pull_push(tf.reshape(known, [-1, height, width]), levels)
    return tf.where(valid, depth, tf.reshape(filled, tf.shape(depth)))


FILLS = {"nearest": nearest, "inpaint": inpaint}
CHOICES = ("none", "mask", "neutral", *FILLS)


def encode(
    depth: TensorLike,
    intrinsics: TensorLike,
    gravity: TensorLike | None = None,
    *,
    encoding: str = "gupta",
    holes: str = "none",
    depth_input: str = "hha",
) -> tf.Tensor:
    """Encode depth as HHA, or another depth image, with one of the choices of what becomes of missing depth.

    Args:
        depth: float32 `[..., H, W]`, metres; what is not positive and finite is missing.
        intrinsics, gravity, encoding: as `hha.encode` takes them.
        holes: `none`: as published (`hha.encode`); `mask`: the same with a fourth channel, 255 where depth was measured and
            0 where not; `neutral`: UNKNOWN in all channels where depth is missing; `nearest`, `inpaint`: the depth is filled
            first and then encoded as if measured; unknown gravity is still estimated only from what was measured.
        depth_input: one of `depth_images.DEPTH_INPUTS`; gravity and the encoding are of `hha` alone.

    Returns:
        float32 `[..., H, W, 3]` in 0..255, with `mask` `[..., H, W, 4]`.

    Raises:
        ValueError: the choice, the encoding or the depth image is not known.
    """

    def encoded(depth, gravity=gravity):
        if depth_input == "hha":
            return hha.encode(depth, intrinsics, gravity, encoding=encoding)
        return depth_images.encode(depth, intrinsics, depth_input)

    if holes not in CHOICES:
        raise ValueError(f"holes must be one of {', '.join(CHOICES)}, not {holes!r}")
    if holes in FILLS:
        if depth_input == "hha":
            # Estimated from a filled image it may be another: of one real frame (docs/holes.md) a right angle off.
            gravity = gravity_estimation.known_or_estimated(gravity, depth, intrinsics)
        return encoded(FILLS[holes](depth), gravity)
    image = encoded(depth)
    valid = camera.measured(depth)[1][..., tf.newaxis]
    if holes == "mask":
        return tf.concat([image, 255.0 * tf.cast(valid, tf.float32)], axis=-1)
    return tf.where(valid, image, UNKNOWN) if holes == "neutral" else image


def _nearest_in_row(valid):
    """For every pixel the nearest valid one of its row: index into the flattened images, and distance; int64 `[N]`."""
    width, flat = tf.shape(valid, tf.int64)[-1], tf.reshape(valid, [-1])
    pixels = tf.range(tf.size(flat, tf.int64))
    # The valid pixels in order, one beyond every row at either end: that before and that after any pixel are neighbours.
    ordered = tf.concat([[-_NOT_IN_ROW], tf.where(flat)[:, 0], [tf.size(flat, tf.int64) + width]], 0)
    place = tf.cumsum(tf.cast(flat, tf.int64))

    def distance(others):
        return tf.where(others // width == pixels // width, tf.abs(others - pixels), _NOT_IN_ROW)

    before, after = tf.gather(ordered, place), tf.gather(ordered, place + 1)
    to_before, to_after = distance(before), distance(after)
    return tf.where(to_before <= to_after, before, after), tf.minimum(to_before, to_after)


def _nearest_in_rows(holes, in_row, distance, shape):
    """The nearest valid pixel of each hole, from the nearest of each row: int64 `[holes]` to `[holes]`, flat indices."""
    height, width = shape[-2], shape[-1]
    rows, square = holes // width % height, distance * distance

    def closer(step, best, source):
        inside = (rows + step >= 0) & (rows + step < height)
        # a hole at the border looks at itself, which is never closer than what it has
        candidates = tf.where(inside, holes + step * width, holes)
        squares = tf.gather(square, candidates) + step * step
        return tf.minimum(best, squares), tf.where(squares < best, tf.gather(in_row, candidates), source)

    def widen(reach, best, source):
        return reach + 1, *closer(reach, *closer(-reach, best, source))

    def may_improve(reach, best, _source):
        return (reach < height) & tf.reduce_any(best > reach * reach)

    start = tf.constant(1, tf.int64), tf.gather(square, holes), tf.gather(in_row, holes)
    return tf.while_loop(may_improve, widen, start)[-1]


def _pull_push(depth, levels):
    """Complete depth `[B, H, W]`, 0 = unknown, from an image of half its size, completed likewise."""
    if levels == 0:
        return depth
    known = depth > 0
    height, width = camera.image_size(depth)
    padded = tf.pad(
        tf.stack([depth, tf.cast(known, tf.float32)]), [[0, 0], [0, 0], [2, 2 + height % 2], [2, 2 + width % 2]]
    )
    total, weight = tf.unstack(_half(_half(padded)))
    coarse = _pull_push(tf.math.divide_no_nan(total, weight), levels - 1)
    fine = tf.raw_ops.ResizeBilinear(
        images=coarse[..., tf.newaxis], size=2 * tf.shape(coarse)[1:], half_pixel_centers=True
    )
    return tf.where(known, depth, fine[:, :height, :width, 0])


def _half(images):
    """Sums weighted 1, 5, 10, 10, 5, 1 (binomial) at every pair of pixels of the last axis, which changes with the one before.

    Shifted additions: a convolution would be rounded to TensorFloat-32 on recent GPUs.
    """
    first, second = images[..., ::2], images[..., 1::2]
    outer = (first + 5.0 * second)[..., :-2] + (5.0 * first + second)[..., 2:]
    return tf.linalg.matrix_transpose(outer + 10.0 * (first + second)[..., 1:-1])
