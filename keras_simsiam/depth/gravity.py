"""The direction of gravity, estimated from a scene's surface normals."""

import math

import tensorflow as tf

# Gravity before anything is known: the camera held level. y points down.
PRIOR = (0.0, 1.0, 0.0)

# (threshold in degrees, iterations): first coarse, then fine (Gupta et al. 2013, section 3).
SCHEDULE = ((45.0, 5), (15.0, 5))

# Two directions tie when one fits better than the other by less than this share of all normals, which is above what
# the noise of a single wall gives and below what a floor or a second wall gives.
TIE = 0.01


def estimate(normals, normals_valid):
    """Estimates gravity: floors lie across it and walls along it (Gupta et al. 2013, section 3).

    With y the direction so far, floors are the normals within the threshold t of ±y, walls those within t of the plane
    across y; the next y minimises Σ_walls (n·y)² − Σ_floors (n·y)², an eigenvector of a 3×3 matrix, with the sign that
    agrees with the previous y. What the scene leaves open (one wall only, no normals) is decided by the prior: among
    directions that tie, y is the one nearest to (0, 1, 0).

    Args:
      normals: float32 `[..., H, W, 3]` unit vectors.
      normals_valid: bool `[..., H, W]`; the others are not used.

    Returns:
      float32 `[..., 3]` unit vectors in the camera's frame, pointing down.
    """
    normals = tf.convert_to_tensor(normals, tf.float32)
    shape = tf.shape(normals)
    used = tf.where(normals_valid[..., tf.newaxis], normals, 0.0)
    used = tf.reshape(used, tf.concat([shape[:-3], [shape[-3] * shape[-2], 3]], axis=0))
    count = tf.reduce_sum(tf.cast(normals_valid, tf.float32), axis=(-2, -1))
    down = tf.broadcast_to(PRIOR, tf.concat([shape[:-3], [3]], axis=0))
    for degrees, iterations in SCHEDULE:
        for _ in range(iterations):
            down = _refine(down, used, count, math.radians(degrees))
    return tf.ensure_shape(down, normals.shape[:-3].concatenate(3))


def _refine(down, normals, count, threshold):
    """One iteration: `down` `[..., 3]`, `normals` `[..., N, 3]` (zero where unused), `count` `[...]` of used ones."""
    square = tf.square(tf.linalg.matvec(normals, down))
    wall, floor = square < math.sin(threshold) ** 2, square > math.cos(threshold) ** 2
    weight = tf.cast(wall, tf.float32) - tf.cast(floor, tf.float32)
    scatter = tf.matmul(normals * weight[..., tf.newaxis], normals, transpose_a=True)
    values, vectors = tf.linalg.eigh(scatter)
    tied = values - values[..., :1] <= TIE * count[..., tf.newaxis]
    # The prior's part within the span of the eigenvectors that tie.
    parts = tf.linalg.matvec(vectors, tf.broadcast_to(PRIOR, tf.shape(down)), transpose_a=True)
    nearest = tf.linalg.matvec(vectors, tf.where(tied, parts, 0.0))
    length = tf.norm(nearest, axis=-1, keepdims=True)
    decided = tied[..., 1:2] & (length > 1e-3)
    found = tf.where(decided, tf.math.divide_no_nan(nearest, length), vectors[..., 0])
    return tf.where(tf.reduce_sum(found * down, axis=-1, keepdims=True) < 0, -found, found)
