"""Surface normals of a depth image: by gradients of the point cloud (Zhu) or by planes fitted to windows (Gupta).

All normals are unit vectors in the camera's frame that point away from the camera (n·P ≥ 0): a floor's points down.
Points and normals are `[..., 3, H, W]`, three images: TensorFlow's CPU kernels take several times as long to interleave
them pixel by pixel, and to sum over a last axis of three, as to do the arithmetic.
"""

import numpy as np
import tensorflow as tf

from keras_simsiam.depth import camera
from keras_simsiam.depth.camera import TensorLike

# Pixels whose offsets lie on one line fix no plane: their covariance matrix has determinant 0. In float32 it may come
# out as 2e-7 of the product of the variances; for the least of triangles in a window of radius 10 it is above 1e-6.
COLLINEAR = 1e-6


def gradient_normals(points: TensorLike, valid: TensorLike) -> tuple[tf.Tensor, tf.Tensor]:
    """Normals as the cross product of the point cloud's row and column gradients (Zhu, section 3.2, Eq. 4).

    Each gradient is the mean of the forward and the backward difference; a difference to a missing pixel or across the
    image's border is left out.

    Args:
        points: float32 `[..., 3, H, W]`, metres in the camera's frame.
        valid: bool `[..., H, W]`, False where the point is missing.

    Returns:
        `(normals, normals_valid)`: float32 `[..., 3, H, W]` unit vectors, zero where invalid, and bool `[..., H, W]`,
        True where the pixel and at least one neighbour on each axis are valid and the gradients are not parallel.
    """
    valid = tf.convert_to_tensor(valid, tf.bool)
    points = tf.unstack(points, axis=-3)
    (x_dx, y_dx, z_dx), has_dx = _gradient(points, valid, axis=-1)
    (x_dy, y_dy, z_dy), has_dy = _gradient(points, valid, axis=-2)
    normal = y_dx * z_dy - z_dx * y_dy, z_dx * x_dy - x_dx * z_dy, x_dx * y_dy - y_dx * x_dy
    facing = _sum([n * p for n, p in zip(normal, points, strict=True)])
    return _unit(normal, facing, has_dx & has_dy)


def plane_normals(
    depth: TensorLike, intrinsics: TensorLike, valid: TensorLike | None, *, radius: int, stride: int = 1
) -> tuple[tf.Tensor, tf.Tensor]:
    """Normals of planes fitted to the windows around every pixel (Gupta et al. 2013; HHA as published).

    A plane is linear in inverse depth, so it is fitted there by least squares: 1/Z = a·dx + b·dy + c over the valid
    pixels at integer offsets (dx, dy) from the window's centre (x, y). Its normal is then
    n ∝ (a·fx, b·fy, c − a·(x − cx) − b·(y − cy)). The published normal equations, in pixel slopes measured from the
    principal point, lose too many digits in float32; with offsets from the centre all moments of the mask are whole
    numbers and their products stay exact.

    Args:
        depth: float32 `[..., H, W]`, metres.
        intrinsics: float32 `[..., 4]`, pixels.
        valid: bool `[..., H, W]` or None; missing depth is invalid in any case.
        radius: whole number R ≥ 1; the window has (2R+1)² pixels, fewer at the border.
        stride: whole number s, a divisor of 2R+1: only the normals of every s-th pixel of each row and column, from
            pixel s // 2 on. They are those of stride 1, for far less work.

    Returns:
        `(normals, normals_valid)`: float32 `[..., 3, ceil(H/s), ceil(W/s)]` unit vectors, zero where invalid, and bool
        `[..., ceil(H/s), ceil(W/s)]`, True where the window holds three valid pixels not on one line. The pixel itself
        may be missing, or for s > 1 just outside the image: such a normal is that of the surface around it, with n_z ≥ 0
        where no depth tells its direction.
    """
    depth, valid = camera.measured(depth, valid)
    fx, fy, cx, cy = camera.split(intrinsics)
    height, width = camera.image_size(depth)
    a, b, c, normals_valid = _fit_planes(valid, tf.math.divide_no_nan(1.0, depth), radius, stride)
    x = tf.cast(tf.range(stride // 2, width + stride // 2, stride), tf.float32)[tf.newaxis, :] - cx
    y = tf.cast(tf.range(stride // 2, height + stride // 2, stride), tf.float32)[:, tf.newaxis] - cy
    along_z = c - a * x - b * y
    # n·(u, v, 1) is c, so its sign tells whether n points away from the camera. Where there is no depth at all, P is
    # the origin; the published code then turns the normal by its z.
    facing = tf.where(_every(depth > 0, stride), c, along_z)
    return _unit((a * fx, b * fy, along_z), facing, normals_valid)


def _unit(normal, facing, defined):
    """Stack components to unit vectors with the sign of `facing`; zero and invalid where undefined or of no length."""
    square = _sum([n * n for n in normal])
    valid = defined & (square > 0)
    scale = tf.where(valid, tf.where(facing < 0, -1.0, 1.0) * tf.math.rsqrt(tf.where(valid, square, 1.0)), 0.0)
    return tf.stack([n * scale for n in normal], axis=-3), valid


def _gradient(components, valid, axis):
    """Sums of the differences to the valid neighbours along `axis` (−1 or −2), and where there is such a neighbour.

    A sum of two is twice their mean; a normal's direction does not depend on it.
    """
    here, after = (Ellipsis, slice(None, -1)), (Ellipsis, slice(1, None))
    if axis == -2:
        here, after = (*here, slice(None)), (*after, slice(None))
    first, last = np.zeros([2, valid.shape.rank, 2], np.int32)
    first[axis, 0] = last[axis, 1] = 1
    both = valid[here] & valid[after]
    steps = [tf.where(both, values[after] - values[here], 0.0) for values in components]
    return [tf.pad(step, first) + tf.pad(step, last) for step in steps], tf.pad(both, first) | tf.pad(both, last)


def _every(values, stride):
    """The pixels stride // 2, stride // 2 + stride, … of each row and column `[..., H, W]`; False outside the image."""
    outside = np.zeros([values.shape.rank, 2], np.int32)
    outside[-2:, 1] = stride // 2
    return tf.pad(values, outside)[..., stride // 2 :: stride, stride // 2 :: stride]


def _fit_planes(valid, inverse_depth, radius, stride):
    """Least squares of 1/Z = a·dx + b·dy + c over every window; a, b, c and where they are defined."""
    s1, sx, sxx, sy, sxy, syy, i1, ix, iy = _window_sums(valid, inverse_depth, radius, stride)
    # Covariances times s1²: differences of whole numbers below 2^24, so exact for R ≤ 10.
    cxx, cxy, cyy = s1 * sxx - sx * sx, s1 * sxy - sx * sy, s1 * syy - sy * sy
    dx, dy = s1 * ix - sx * i1, s1 * iy - sy * i1
    spread = cxx * cyy
    determinant = spread - cxy * cxy
    defined = determinant > COLLINEAR * spread
    scale = tf.where(defined, 1.0 / tf.where(defined, determinant, 1.0), 0.0)
    a, b = (cyy * dx - cxy * dy) * scale, (cxx * dy - cxy * dx) * scale
    return a, b, tf.math.divide_no_nan(i1 - a * sx - b * sy, s1), defined


def _window_sums(valid, inverse_depth, radius, stride):
    """Sum over windows of mask·(1, dx, dx², dy, dx·dy, dy²) and of mask/Z·(1, dx, dy), nine arrays.

    They are separable, and made of only shifted additions: a convolution would be rounded to TensorFloat-32 on recent
    GPUs, and running sums over the whole image lose digits. Columns come first: with a stride they leave few rows.
    """
    i1, iy = _moments(tf.where(valid, inverse_depth, 0.0), 1, radius, stride, axis=-2)
    i1, ix = _moments(i1, 1, radius, stride, axis=-1)
    (iy,) = _moments(iy, 0, radius, stride, axis=-1)
    counts = tf.cond(
        tf.reduce_all(valid),
        lambda: _counts_of_all(valid, tf.shape(i1), radius, stride),
        lambda: _counts(tf.cast(valid, tf.float32), radius, stride),
    )
    return *(tf.ensure_shape(count, i1.shape) for count in counts), i1, ix, iy


def _counts(mask, radius, stride):
    """The moments of the mask: 1, dx, dx², dy, dx·dy, dy²."""
    m1, my, myy = _moments(mask, 2, radius, stride, axis=-2)
    s1, sx, sxx = _moments(m1, 2, radius, stride, axis=-1)
    sy, sxy = _moments(my, 1, radius, stride, axis=-1)
    (syy,) = _moments(myy, 0, radius, stride, axis=-1)
    return s1, sx, sxx, sy, sxy, syy


def _counts_of_all(valid, shape, radius, stride):
    """`_counts` where no depth is missing: products of those of a row and a column, which differ only at the borders."""
    height, width = camera.image_size(valid)
    m1, my, myy = _moments(tf.ones([height, 1]), 2, radius, stride, axis=-2)
    n1, nx, nxx = _moments(tf.ones([1, width]), 2, radius, stride, axis=-1)
    products = m1 * n1, m1 * nx, m1 * nxx, my * n1, my * nx, myy * n1
    return tuple(tf.broadcast_to(product, shape) for product in products)


def _moments(values, order, radius, stride, axis):
    """Sums of values·offset^k, k = 0..order (at most 2), over the 2·radius + 1 pixels around every stride-th.

    The window is built from shorter ones laid side by side (21 = 7·3), which takes fewer additions than one by one. The
    first are `stride` wide and do not overlap: what is skipped is never summed.
    """
    size = tf.shape(values)[axis]
    before = radius - stride // 2
    after = before + -size % stride
    paddings = tf.one_hot(values.shape.rank + axis, values.shape.rank, dtype=tf.int32)[:, tf.newaxis] * [before, after]
    moments, width, spacing = [tf.pad(values, paddings)], 1, 1
    if stride > 1:
        moments, width = _side_by_side(moments, order, stride, width, spacing, stride, axis), stride
    for taps in _factors((2 * radius + 1) // stride):
        moments = _side_by_side(moments, order, taps, width, spacing, 1, axis)
        width, spacing = width * taps, spacing * taps
    return moments


def _side_by_side(moments, order, taps, width, spacing, step, axis):
    """Moments of `taps` (odd) neighbouring windows together, about the middle one's centre, for every step-th of these.

    The windows are each `width` pixels wide and `spacing` entries of their array apart.
    """
    sums = [_weighted_sums(moment, order - k, taps, spacing, step, axis) for k, moment in enumerate(moments)]
    # With o the offset within a window and j·width that of the window: (o + j·width)^k, by the binomial theorem.
    joined = [sums[0][0]]
    if order >= 1:
        joined.append(width * sums[0][1] + (sums[1][0] if len(sums) > 1 else 0.0))
    if order >= 2:
        rest = sums[2][0] + 2.0 * width * sums[1][1] if len(sums) > 2 else 0.0
        joined.append(width**2 * sums[0][2] + rest)
    return joined


def _weighted_sums(values, order, taps, spacing, step, axis):
    """Sums of j^k·values at j·spacing from every step-th entry, |j| ≤ taps // 2, k = 0..order, where all lie inside."""
    half = taps // 2

    def shifted(j):
        inside = slice((half + j) * spacing, (j - half) * spacing or None, step)
        return values[(Ellipsis, inside) if axis == -1 else (Ellipsis, inside, slice(None))]

    before, after = ([shifted(sign * j) for j in range(1, half + 1)] for sign in (-1, 1))
    pairs = [first + second for first, second in zip(before, after, strict=True)]
    sums = [_sum([shifted(0), *pairs])]
    if order >= 1:
        steps = [second - first for first, second in zip(before, after, strict=True)]
        sums.append(_sum([float(j) * step for j, step in enumerate(steps, start=1)]))
    if order >= 2:
        sums.append(_sum([float(j * j) * pair for j, pair in enumerate(pairs, start=1)]))
    return sums


def _sum(terms):
    """The sum in the order given. `tf.add_n` begins with whichever buffer it finds free, and so rounds as threads run."""
    return sum(terms[1:], terms[0])


def _factors(number):
    """Prime factors, largest first."""
    factors, divisor = [], 2
    while number > 1:
        while number % divisor == 0:
            factors.insert(0, divisor)
            number //= divisor
        divisor += 1
    return factors
