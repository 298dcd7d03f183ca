"""Depth as points in space, and those as occupied cells of three cubic grids around what is nearest.

A point map is the depth image that `--depth_input=voxels` hands through crops and flips: X, Y and Z of every pixel in the
camera's frame. The point of the camera itself stands for missing depth: no surface can lie there, and it is what HHA's neutral
value decodes to. So an image that is dropped, or a background that is removed, has no points either.
"""

import tensorflow as tf

from keras_simsiam.depth import camera
from keras_simsiam.depth.camera import TensorLike

# A point map has levels MIDDLE + 127·P/REACH. What is farther than REACH (metres) along an axis has no level and counts as
# missing: ten metres are the most that the frames of NYU Depth V2 measure. What is nearer than CLOSEST is left out.
MIDDLE, REACH, CLOSEST = 128.0, 10.0, 0.01

# Cells a side, and sides of the grids in metres: cells of 12.5, 50 and 200 mm. A held hand fills the first, a room the last; no
# single grid shows both, and none that is fitted to each image keeps a metre a metre.
SIZE = 32
EXTENTS = (0.4, 1.6, 6.4)

_NEAR = 0.02  # the share of the points that decides where the nearest are: what noise at silhouettes does not move
_BEFORE = 2.5  # cells between the front and that share: a wall that is faced squarely lies in the middle of a cell
_LOOKED_AT = 4096  # points, or up to twice as many, that are sorted for it: sorting all would cost more than the rest


def point_map(depth: TensorLike, valid: TensorLike, intrinsics: TensorLike) -> list[tf.Tensor]:
    """X, Y and Z of all pixels as levels.

    Args:
        depth: float32 `[..., H, W]`, metres.
        valid: bool `[..., H, W]`, where it was measured.
        intrinsics: float32 `[..., 4]`, pixels.

    Returns:
        Three float32 `[..., H, W]`, MIDDLE + 127·P/REACH, in 1..255: MIDDLE, the camera's own place, where depth is missing or
        the point is out of reach.
    """
    u, v = camera.slopes(*camera.image_size(depth), intrinsics)
    coordinates = depth * u, depth * v, depth
    inside = valid & (depth >= CLOSEST)
    for coordinate in coordinates:
        inside &= tf.abs(coordinate) <= REACH
    return [MIDDLE + 127.0 / REACH * tf.where(inside, coordinate, 0.0) for coordinate in coordinates]


def points_of(levels: TensorLike) -> tuple[tf.Tensor, tf.Tensor]:
    """The points that levels `[..., 3]` stand for: float32 `[..., 3]`, metres, and bool `[...]`, whether there is one."""
    points = (tf.convert_to_tensor(levels, tf.float32) - MIDDLE) * (REACH / 127.0)
    return points, points[..., 2] >= CLOSEST / 2  # no measured point has less, nor does rounding make one of the camera


def occupancy(depth: TensorLike, intrinsics: TensorLike) -> tf.Tensor:
    """Which cells of the grids hold a point of a depth image (VoxNet's hit grid; Maturana & Scherer 2015, section III-B).

    Example:
        >>> depth, intrinsics = tf.fill([24, 32], 0.8), [525.0, 525.0, 15.5, 11.5]
        >>> voxels.occupancy(depth, intrinsics).shape
        TensorShape([32, 32, 32, 3])

    Args:
        depth: float32 `[..., H, W]`, metres; what is not positive and finite is missing.
        intrinsics: float32 `[..., 4]`, pixels.

    Returns:
        float32 `[..., SIZE, SIZE, SIZE, 3]` as `occupied`: of EXTENTS, from the first.

    Raises:
        ValueError: depth or intrinsics as `camera.checked`, which says when a graph raises InvalidArgumentError instead.
    """
    depth, valid, intrinsics = camera.checked(depth, intrinsics)
    levels = tf.stack(point_map(depth, valid, intrinsics), axis=-1)
    height, width = camera.image_size(depth)
    grids = occupied(*points_of(tf.reshape(levels, [-1, height * width, 3])))
    shape = tf.concat([tf.shape(depth)[:-2], tf.shape(grids)[1:]], axis=0)
    return tf.ensure_shape(tf.reshape(grids, shape), depth.shape[:-2].concatenate(grids.shape[1:]))


def occupied(
    points: tf.Tensor, valid: tf.Tensor, *, size: int = SIZE, extents: tuple[float, ...] = EXTENTS
) -> tf.Tensor:
    """Which cells of cubic grids hold a point.

    The axes are the camera's. Each grid begins 2.5 cells before the nearest points (the 2nd percentile of Z), and its middle in
    X and Y is the mean of what lies within its depth. So it moves with the object, and does not grow with it.

    Args:
        points: float32 [B,N,3], X, Y, Z in metres.
        valid: bool [B,N], which of them exist.
        size: G, cells a side.
        extents: K sides in metres.

    Returns:
        float32 [B,G,G,G,K], 1 where a cell holds a point and 0 elsewhere; the axes are Z, Y, X, each growing as in the camera's
        frame.
    """
    near, batch = _near(points[..., 2], valid), tf.shape(points)[0]
    first_cells = tf.range(batch)[:, tf.newaxis] * size**3
    grids = []
    for extent in extents:
        cell = extent / size
        front = near - _BEFORE * cell
        shown = valid & (points[..., 2] >= front) & (points[..., 2] < front + extent)
        weights = tf.cast(shown, tf.float32)[..., tf.newaxis]
        middle = tf.math.divide_no_nan(tf.reduce_sum(points[..., :2] * weights, axis=1), tf.reduce_sum(weights, axis=1))
        corner = tf.concat([middle - extent / 2, front], axis=-1)[:, tf.newaxis]
        cells = tf.floor((points - corner) / cell)
        shown &= tf.reduce_all((cells >= 0) & (cells < size), axis=-1)
        x, y, z = tf.unstack(tf.cast(tf.where(shown[..., tf.newaxis], cells, 0.0), tf.int32), axis=-1)
        places = tf.where(shown, first_cells + (z * size + y) * size + x, batch * size**3)  # the last: no cell
        empty, hits = tf.zeros([batch * size**3 + 1]), tf.ones_like(places, tf.float32)
        grid = tf.tensor_scatter_nd_update(empty, places[..., tf.newaxis], hits)  # once or often: 1
        grids.append(tf.reshape(grid[:-1], [batch, size, size, size]))
    return tf.ensure_shape(tf.stack(grids, axis=-1), [points.shape[0], *[size] * 3, len(extents)])


def _near(depth, valid):
    """The 2nd percentile of the valid depths: float32 [B,1] of [B,N]; REACH where none is."""
    step = tf.maximum(tf.shape(depth)[1] // _LOOKED_AT, 1)
    depth, valid = depth[:, ::step], valid[:, ::step]
    ordered = tf.sort(tf.where(valid, depth, REACH), axis=1)
    count = tf.reduce_sum(tf.cast(valid, tf.float32), axis=1, keepdims=True)
    place = tf.cast(tf.round(_NEAR * tf.maximum(count - 1, 0)), tf.int32)
    return tf.ensure_shape(tf.gather(ordered, place, axis=1, batch_dims=1), [depth.shape[0], 1])
