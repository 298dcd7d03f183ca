"""Gravity in TUM RGB-D sequences, by the poses that motion capture measured of the colour camera."""

import os
from collections.abc import Sequence

import numpy as np

from keras_simsiam.core.errors import UserError
from tfrecords import images

_UNKNOWN = (0.0, 0.0, 0.0)
_MAX_DIFFERENCE = 0.02  # seconds; poses come every 0.01


def gravities(path: str, times: Sequence[float]) -> list[tuple[float, float, float]]:
    """Gravity in the camera frame at each of these times.

    A pose is a line "timestamp tx ty tz qx qy qz qw", the position and orientation of the colour camera (x right, y
    down, z forward) in a world whose z axis points up: seven frames of fr1/desk show desks and floor within 3.2° of
    level.

    Args:
        path: of groundtruth.txt; without it gravity is unknown.
        times: seconds.

    Returns:
        Unit vectors, zero where no pose is within 0.02 s.

    Raises:
        UserError: the file does not hold poses.
    """
    if not os.path.exists(path):
        return [_UNKNOWN] * len(times)
    poses = _read(path)
    nearest = [int(np.abs(poses[:, 0] - time).argmin()) for time in times]
    return [
        _down(poses[index, 4:]) if abs(poses[index, 0] - time) <= _MAX_DIFFERENCE else _UNKNOWN
        for index, time in zip(nearest, times, strict=True)
    ]


def _read(path):
    lines = [line.split() for line in images.read_text(path).splitlines() if line.strip() and line[0] != "#"]
    try:
        poses = np.array(lines, float)
    except ValueError:
        poses = np.zeros(0)
    if poses.ndim != 2 or poses.shape[1] != 8 or not poses[:, 4:].any(axis=1).all() or not np.isfinite(poses).all():
        raise UserError(f"{path} does not hold poses 'timestamp tx ty tz qx qy qz qw': fetch it again, or delete it")
    return poses


def _down(quaternion):
    """-Rᵀ (0, 0, 1), R the rotation of the quaternion (x, y, z, w) from the camera to the world."""
    x, y, z, w = quaternion / np.linalg.norm(quaternion)
    return float(-2 * (x * z - y * w)), float(-2 * (y * z + x * w)), float(-(1 - 2 * (x * x + y * y)))
