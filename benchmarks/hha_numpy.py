"""The published HHA algorithm in plain NumPy, float64: what the graph operations are compared with.

Written from the description of the algorithm (Gupta et al. 2013 and 2014 as their code computes them): normal equations
of 1/Z = n·(u, v, 1) in slopes measured from the principal point, summed over windows by cumulative sums, and gravity by
alternating floors and walls. One frame at a time.
"""

import numpy as np

ANGLE_RADIUS, GRAVITY_RADIUS = 3, 10


def encode(depth, intrinsics, gravity=None, valid=None):
    """HHA as published.

    Args:
        depth: `[H, W]`, metres, 0 = missing.
        intrinsics: fx, fy, cx, cy in pixels, zero-based pixel centres.
        gravity: `[3]` unit vector in the camera's frame, or None to estimate it.
        valid: bool `[H, W]` or None, which depth takes part in the normals.

    Returns:
        float64 `[H, W, 3]` in 0..255: disparity, height, angle; not rounded.
    """
    depth = np.asarray(depth, np.float64)
    valid = depth > 0 if valid is None else valid & (depth > 0)
    directions = rays(depth.shape, intrinsics)
    if gravity is None:
        gravity = estimate_gravity(plane_normals(depth, directions, valid, GRAVITY_RADIUS))
    height = -100 * depth * (directions @ gravity)
    lowest = height.min()
    height -= -130 if lowest > -90 else lowest
    normals = plane_normals(depth, directions, valid, ANGLE_RADIUS)
    angle = np.degrees(np.arccos(np.clip(normals @ gravity, -1, 1)))
    angle = np.where(np.isnan(angle), 180, angle) + 38
    disparity = 31000 / np.maximum(100 * depth, 100)
    return np.clip(np.stack([disparity, height, angle], axis=-1), 0, 255)


def rays(shape, intrinsics):
    """Viewing directions (u, v, 1), `[H, W, 3]`."""
    fx, fy, cx, cy = np.asarray(intrinsics, np.float64)
    y, x = np.indices(shape)
    return np.stack([(x - cx) / fx, (y - cy) / fy, np.ones(shape)], axis=-1)


def plane_normals(depth, directions, valid, radius):
    """Unit normals `[H, W, 3]` of planes fitted to (2·radius + 1)² windows; NaN where the equations are singular."""
    inverse = np.where(valid, 1 / np.where(valid, depth, 1), 0)
    u, v, one = np.moveaxis(np.where(valid[..., None], directions, 0), -1, 0)
    matrix = [window_sum(product, radius) for product in (u * u, u * v, u, v * v, v, one)]
    right = [window_sum(product, radius) for product in (u * inverse, v * inverse, inverse)]
    uu, uv, u1, vv, v1, n = matrix
    adjugate = np.stack(
        [
            [vv * n - v1 * v1, u1 * v1 - uv * n, uv * v1 - u1 * vv],
            [u1 * v1 - uv * n, uu * n - u1 * u1, uv * u1 - uu * v1],
            [uv * v1 - u1 * vv, uv * u1 - uu * v1, uu * vv - uv * uv],
        ]
    )
    normals = np.einsum("ijhw,jhw->hwi", adjugate, np.stack(right))
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = normals / np.where(length > 0, length, np.nan)
    normals *= np.where(normals[..., 2:] < 0, -1, 1)
    facing = depth * np.sum(normals * directions, axis=-1)
    return normals * np.where(facing < 0, -1, 1)[..., None]


def window_sum(values, radius):
    """Sum over the windows around every pixel, cut at the border."""
    for axis in (0, 1):
        size = values.shape[axis]
        total = np.insert(np.cumsum(values, axis=axis), 0, 0, axis=axis)
        centre = np.arange(size)
        after = np.minimum(centre + radius + 1, size)
        values = np.take(total, after, axis=axis) - np.take(total, np.maximum(centre - radius, 0), axis=axis)
    return values


def estimate_gravity(normals):
    """Gravity `[3]` from normals `[..., 3]`, NaN where there is none."""
    normals = normals[~np.isnan(normals[..., 0])]
    down = np.array([0.0, 1.0, 0.0])
    for threshold in np.radians([45] * 5 + [15] * 5):
        cosine = np.abs(normals @ down)
        floors, walls = normals[cosine > np.cos(threshold)], normals[cosine < np.sin(threshold)]
        vector = np.linalg.eigh(walls.T @ walls - floors.T @ floors)[1][:, 0]
        down = vector if vector @ down >= 0 else -vector
    return down
