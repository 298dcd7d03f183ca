"""The direction of gravity, estimated from a scene's surface normals."""

import math

import tensorflow as tf

from keras_simsiam.depth import camera
from keras_simsiam.depth import normals as surface
from keras_simsiam.depth.camera import TensorLike

# Gravity before anything is known: the camera held level. y points down.
PRIOR = (0.0, 1.0, 0.0)

# (threshold in degrees, iterations): first coarse, then fine (Gupta et al. 2013, section 3).
SCHEDULE = ((45.0, 5), (15.0, 5))

# Window radius in pixels of the normals that gravity is estimated from (Gupta et al. 2013).
RADIUS = 10

# Of an image of so many pixels every third normal of each row and column is used: windows of 21 pixels overlap so far that
# the others move gravity by some hundredths of a degree, for four times the work. Every seventh moves it by tenths.
STRIDE, LARGE = 3, 200 * 200

# Two directions tie when one fits better than the other by less than this share of all normals, which is above what
# the noise of a single wall gives and below what a floor or a second wall gives.
TIE = 0.01


def from_depth(
    depth: TensorLike, intrinsics: TensorLike, valid: TensorLike | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Estimate gravity from a depth image, and say how far the image decides it.

    Args:
        depth: float32 `[..., H, W]`, metres; what is not positive and finite is missing.
        intrinsics: float32 `[..., 4]`, pixels.
        valid: bool `[..., H, W]` or None, False where the depth was filled in rather than measured.

    Returns:
        `(down, confidence)`: what `estimate` returns, and what `confidence` says of it.

    Raises:
        ValueError: as `camera.checked`.
    """
    depth, valid, intrinsics = camera.checked(depth, intrinsics, valid)
    normals, normals_valid = _normals(depth, intrinsics, valid)
    down = estimate(normals, normals_valid)
    return down, confidence(down, normals, normals_valid)


def known_or_estimated(
    gravity: TensorLike, depth: TensorLike, intrinsics: TensorLike, valid: TensorLike | None = None
) -> tf.Tensor:
    """Gravity where it is given, estimated from the depth elsewhere; nothing is estimated where all of it is given.

    Args:
        gravity: float32 `[..., 3]`, or `[3]` for all images, of any length; zero or not finite is unknown. None: all
            unknown.
        depth: float32 `[..., H, W]`, metres; what is not positive and finite is missing.
        intrinsics: float32 `[..., 4]`, pixels.
        valid: bool `[..., H, W]` or None, False where the depth was filled in rather than measured.

    Returns:
        float32 `[..., 3]` unit vectors in the camera's frame, pointing down.
    """
    depth = tf.convert_to_tensor(depth, tf.float32)

    def estimated():
        return estimate(*_normals(depth, intrinsics, valid))

    if gravity is None:
        return estimated()
    gravity = tf.convert_to_tensor(gravity, tf.float32)
    length = tf.norm(gravity, axis=-1, keepdims=True)
    known = (length > 0) & tf.math.is_finite(length)
    given = tf.where(known, tf.math.divide_no_nan(gravity, length), 0.0)
    # One gravity may serve a batch; both branches are to have one shape.
    given = tf.broadcast_to(given, tf.concat([tf.shape(depth)[:-2], [3]], axis=0))
    given = tf.ensure_shape(given, depth.shape[:-2].concatenate(3))
    return tf.cond(tf.reduce_all(known), lambda: given, lambda: tf.where(known, given, estimated()))


def tilted(down: TensorLike, seed: TensorLike, most_degrees: float) -> tf.Tensor:
    """Gravity turned by a random angle about a random horizontal axis, as if the camera had been held otherwise.

    Args:
        down: float32 `[3]`, a unit vector.
        seed: int32 `[2]`.
        most_degrees: the largest angle; the angle is uniform up to it, and so is the axis's direction.

    Returns:
        float32 `[3]`, a unit vector.
    """
    angle_seed, axis_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    angle = tf.random.stateless_uniform([], angle_seed, 0.0, math.radians(most_degrees))
    across = tf.linalg.cross(down, tf.random.stateless_normal([3], axis_seed))
    turned = tf.cos(angle) * down + tf.sin(angle) * tf.math.l2_normalize(across)
    return tf.math.l2_normalize(turned)


def estimate(normals: TensorLike, normals_valid: TensorLike) -> tf.Tensor:
    """Estimate gravity: floors lie across it and walls along it (Gupta et al. 2013, section 3).

    With y the direction so far, floors are the normals within the threshold t of ±y, walls those within t of the plane
    across y; the next y minimises Σ_walls (n·y)² − Σ_floors (n·y)², an eigenvector of a 3×3 matrix, with the sign that
    agrees with the previous y. What the scene leaves open (one wall only, no normals) is decided by the prior: among
    directions that tie, y is the one nearest to (0, 1, 0).

    Args:
        normals: float32 `[..., 3, H, W]` unit vectors.
        normals_valid: bool `[..., H, W]`; the others are not used.

    Returns:
        float32 `[..., 3]` unit vectors in the camera's frame, pointing down.
    """
    normals = tf.convert_to_tensor(normals, tf.float32)
    used, count = _used(normals, normals_valid)
    down = tf.broadcast_to(PRIOR, tf.shape(used)[:-1])
    for degrees, iterations in SCHEDULE:
        for _ in range(iterations):
            down = _refine(down, used, count, math.radians(degrees))
    return tf.ensure_shape(down, normals.shape[:-3].concatenate(3))


def confidence(down: TensorLike, normals: TensorLike, normals_valid: TensorLike) -> tf.Tensor:
    """How far floors and walls decide the direction of gravity.

    With λ₀ ≤ λ₁ the least eigenvalues of Σ_walls n nᵀ − Σ_floors n nᵀ at the last threshold: (λ₁ − λ₀) / (H·W), by how
    much the direction found fits better, per pixel, than the next best across it. A floor that fills the image has 1, two
    walls at right angles that share it ½, for only the fewer of the two keeps gravity from turning about the other's
    normal. It falls with every pixel that has no normal, or one that is neither floor nor wall. It does not see a floor
    taken for a wall: of cameras tilted by more than 45° it says nothing.

    Args:
        down: float32 `[..., 3]`, what `estimate` returns for these normals.
        normals: float32 `[..., 3, H, W]` unit vectors.
        normals_valid: bool `[..., H, W]`.

    Returns:
        float32 `[...]` in 0..1. 0 where the rule for ties applies: no normals, a single wall.
    """
    used, count = _used(normals, normals_valid)
    values = tf.linalg.eigvalsh(_scatter(down, used, math.radians(SCHEDULE[-1][0])))
    # Less what ties may differ by, and scaled so that a full floor still has 1.
    decided = tf.nn.relu(values[..., 1] - values[..., 0] - TIE * count) / (1.0 - TIE)
    pixels = tf.cast(tf.maximum(tf.shape(used)[-1], 1), tf.float32)
    return tf.minimum(decided / pixels, 1.0)


def _normals(depth, intrinsics, valid):
    """The normals that decide: all of a small image's, a part of a large one's."""

    def every(stride):
        return surface.plane_normals(depth, intrinsics, valid, radius=RADIUS, stride=stride)

    height, width = camera.image_size(depth)
    large = height * width >= LARGE
    if isinstance(large, bool):
        return every(STRIDE if large else 1)
    return tf.cond(large, lambda: every(STRIDE), lambda: every(1))


def _used(normals, normals_valid):
    """The image's normals in a row `[..., 3, H·W]`, zero where invalid, and how many are valid `[...]`."""
    shape = tf.shape(normals)
    used = tf.where(normals_valid[..., tf.newaxis, :, :], normals, 0.0)
    used = tf.reshape(used, tf.concat([shape[:-2], [shape[-2] * shape[-1]]], axis=0))
    return used, tf.reduce_sum(tf.cast(normals_valid, tf.float32), axis=(-2, -1))


def _scatter(down, normals, threshold):
    """Σ_walls n nᵀ − Σ_floors n nᵀ, `[..., 3, 3]`, of `normals` `[..., 3, N]` (zero where unused)."""
    square = tf.square(tf.linalg.matvec(normals, down, transpose_a=True))
    wall, floor = square < math.sin(threshold) ** 2, square > math.cos(threshold) ** 2
    weight = tf.cast(wall, tf.float32) - tf.cast(floor, tf.float32)
    return tf.matmul(normals * weight[..., tf.newaxis, :], normals, transpose_b=True)


def _refine(down, normals, count, threshold):
    """One iteration: `down` `[..., 3]`, `normals` `[..., 3, N]` (zero where unused), `count` `[...]` of used ones."""
    values, vectors = tf.linalg.eigh(_scatter(down, normals, threshold))
    tied = values - values[..., :1] <= TIE * count[..., tf.newaxis]
    # The prior's part within the span of the eigenvectors that tie.
    parts = tf.linalg.matvec(vectors, tf.broadcast_to(PRIOR, tf.shape(down)), transpose_a=True)
    nearest = tf.linalg.matvec(vectors, tf.where(tied, parts, 0.0))
    length = tf.norm(nearest, axis=-1, keepdims=True)
    decided = tied[..., 1:2] & (length > 1e-3)
    refined = tf.where(decided, tf.math.divide_no_nan(nearest, length), vectors[..., 0])
    return tf.where(tf.reduce_sum(refined * down, axis=-1, keepdims=True) < 0, -refined, refined)
