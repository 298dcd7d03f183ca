"""Where gravity points in Washington frames: the turntable's plane, or the data set's nominal camera angles."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_simsiam.core.errors import UserError
from tfrecords import images, planes
from tfrecords.sources.washington_layout import Reference

UNKNOWN = (0.0, 0.0, 0.0)

# Degrees below the horizon at which the camera of each video looks, as the data set's authors give them.
_NOMINAL = {1: 30.0, 2: 45.0, 4: 60.0}
_FRAMES_PER_SEQUENCE = 10

Gravities = dict[tuple[str, int], tuple[float, float, float]]


def downward(degrees: float) -> np.ndarray:
    """Gravity [3] for a camera (x right, y down, z forward) that looks so many degrees below the horizon."""
    return np.array([0.0, np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


def nominal(references: Iterable[Reference]) -> tuple[Gravities, dict]:
    """The nominal gravity of every (instance, video), unknown for other videos than 1, 2 and 4; and its description."""
    sequences = {reference.sequence for reference in references}
    return {sequence: _nominal(sequence[1]) for sequence in sequences}, {"mode": "nominal", "degrees": _NOMINAL}


def table(references: Iterable[Reference], seed: int) -> tuple[Gravities, dict]:
    """The gravity of every (instance, video), measured on the table.

    The component-wise median of the normals of the planes fitted to at most 10 of its frames, outside the object's
    mask; a frame with a damaged image is not asked. A sequence that shows too little of the table takes the median over
    the others of the same video, or the nominal gravity where no other has any.

    Args:
        references: the frames to use.
        seed: of the plane fits.

    Returns:
        Unit vectors by (instance, video), all zero where even the nominal one is unknown; and what dataset.json says of
        them: the mode, the angle below the horizon in degrees by instance and video, and how many came from where.
    """
    frames = defaultdict(list)
    for reference in references:
        frames[reference.sequence].append(reference)
    with ThreadPoolExecutor() as pool:
        normals = list(pool.map(lambda sequence: _measure(frames[sequence], seed), frames))
    measured = {sequence: normal for sequence, normal in zip(frames, normals, strict=True) if normal is not None}
    gravities, origins = {}, Counter()
    for sequence in frames:
        origin, gravities[sequence] = _with_fallback(sequence, measured)
        origins[origin] += 1
    degrees = defaultdict(dict)
    for (instance, video), (_, y, z) in sorted(gravities.items()):
        degrees[instance][str(video)] = round(float(np.degrees(np.arctan2(z, y))), 2)
    return gravities, {"mode": "table", "degrees": dict(degrees), "sequences": dict(origins)}


def estimate(depth: np.ndarray, intrinsics: tuple[float, float, float, float]) -> tuple[float, float, float]:
    """Gravity of one frame, from only its depth (`keras_simsiam.depth.gravity`).

    Args:
        depth: float32 [H,W], metres, 0 = missing.
        intrinsics: fx, fy, cx, cy in pixels, zero-based pixel centres.

    Returns:
        Unit vector in the camera frame.
    """
    # The other modes need none of the library.
    from keras_simsiam.depth import gravity

    down, _ = gravity.from_depth(depth, intrinsics)
    return tuple(float(value) for value in down)


def _nominal(video):
    return tuple(downward(_NOMINAL[video])) if video in _NOMINAL else UNKNOWN


def _measure(frames, seed):
    chosen = np.linspace(0, len(frames) - 1, min(len(frames), _FRAMES_PER_SEQUENCE)).round().astype(int)
    normals = [_table_normal(frames[index], seed) for index in chosen]
    normals = [normal for normal in normals if normal is not None]
    return _median(normals) if normals else None


def _table_normal(reference, seed):
    """The downward normal of the table in a frame; None where it shows too little of it or a file of it is damaged."""
    try:
        _, size = images.read_color(reference.color_path)
        _, depth = images.read_depth(reference.depth_path, size)
        table_pixels = np.ones(depth.shape, bool)
        if reference.has_mask():
            table_pixels = ~images.read_mask(reference.mask_path, size)
        intrinsics = reference.intrinsics()
    except UserError:
        # Loading the frame says what is wrong with it; the others of its sequence show the same table.
        return None
    prior = downward(_NOMINAL.get(reference.video, 45.0))
    return planes.support_normal(depth / 1000.0, intrinsics, table_pixels, prior, seed=seed)


def _median(normals):
    median = np.median(normals, axis=0)
    return tuple(median / np.linalg.norm(median))


def _with_fallback(sequence, measured):
    if sequence in measured:
        return "measured", measured[sequence]
    others = [normal for (_, video), normal in measured.items() if video == sequence[1]]
    if others:
        return "from other instances", _median(others)
    gravity = _nominal(sequence[1])
    return ("unknown" if gravity == UNKNOWN else "nominal"), gravity
