"""The plane that supports the objects of a scene, fitted robustly to a depth map, in NumPy."""

import numpy as np

# Depth noise of a structured-light sensor grows with z², so in inverse depth it is the same everywhere: about 0.0015
# 1/m (Khoshelham & Elberink 2012). Four times that also takes in the quantisation, 1/8 pixel of disparity.
_TOLERANCE = 0.006
_HYPOTHESES = 128
_SAMPLES = 2000
_REFINEMENTS = 3
_MINIMUM_INLIERS = 300
_MAXIMUM_PIXELS = 20000  # a full frame has more than the fit gains from


def support_normal(
    depth: np.ndarray,
    intrinsics: tuple[float, float, float, float],
    valid: np.ndarray,
    prior: np.ndarray,
    *,
    max_angle: float = 25.0,
    seed: int = 0,
) -> np.ndarray | None:
    """The downward normal of the plane that most valid pixels lie on: RANSAC, then least squares on its inliers.

    The plane is fitted in inverse depth, n·(u, v, 1) = 1/Z with u = (x - cx)/fx and v = (y - cy)/fy, in which a plane
    is linear and the sensor's noise the same for every pixel.

    Args:
        depth: float [H,W], metres.
        intrinsics: fx, fy, cx, cy in pixels, zero-based pixel centres.
        valid: bool [H,W], the pixels to use; those without depth are left out anyway.
        prior: unit vector [3] in the camera frame (x right, y down, z forward), about where gravity points.
        max_angle: degrees; planes whose normal is farther than this from the prior are not considered.
        seed: of all draws.

    Returns:
        Unit vector [3], pointing away from the camera; None where fewer than 300 pixels lie on a common plane.
    """
    fx, fy, cx, cy = intrinsics
    random = np.random.default_rng(seed)
    pixels = np.flatnonzero(valid & (depth > 0))
    if len(pixels) > _MAXIMUM_PIXELS:
        pixels = random.choice(pixels, _MAXIMUM_PIXELS, replace=False)
    y, x = np.unravel_index(pixels, depth.shape)
    if len(x) < _MINIMUM_INLIERS:
        return None
    rays = np.stack([(x - cx) / fx, (y - cy) / fy, np.ones(len(x))], axis=1)
    inverse = 1.0 / depth[y, x].astype(np.float64)
    plane = _ransac(rays, inverse, prior, np.cos(np.radians(max_angle)), random)
    if plane is None:
        return None
    for _ in range(_REFINEMENTS):
        inliers = np.abs(rays @ plane - inverse) < _TOLERANCE
        if inliers.sum() < _MINIMUM_INLIERS:
            return None
        plane = np.linalg.lstsq(rays[inliers], inverse[inliers], rcond=None)[0]
    # 1/Z > 0 on the plane, so n·P > 0 there: the normal already points away from the camera, downwards.
    return plane / np.linalg.norm(plane)


def _ransac(rays, inverse, prior, minimum_cosine, random):
    """The best plane [3] through three pixels, judged on a sample of the pixels; None where none is near the prior."""
    sample = random.choice(len(rays), min(_SAMPLES, len(rays)), replace=False)
    rays, inverse = rays[sample], inverse[sample]
    triples = random.integers(0, len(rays), (_HYPOTHESES, 3))
    regular = np.abs(np.linalg.det(rays[triples])) > 1e-9
    triples = triples[regular]
    planes = np.linalg.solve(rays[triples], inverse[triples][..., None])[..., 0]
    planes = planes[planes @ prior > minimum_cosine * np.linalg.norm(planes, axis=1)]
    if not len(planes):
        return None
    votes = (np.abs(planes @ rays.T - inverse) < _TOLERANCE).sum(axis=1)
    return planes[votes.argmax()]
