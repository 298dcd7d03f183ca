"""Does the declared gravity fit the planes that the depth shows?"""

import functools

import numpy as np
import tensorflow as tf

from keras_simsiam.commands.doctor_checks import LOOK, OK, WRONG, Finding, pictures
from keras_simsiam.depth import normals as surface
from keras_simsiam.depth.gravity import RADIUS

# A frame decides when its most frequent normal has at least this share of all normals within 7°, and half of those
# within 20°: a plane, and not the rounding of a ball.
_SHARE, _CONCENTRATION = 0.08, 0.5
_LEAST_FRAMES = 3
# Degrees. Clean data (Washington's fitted table, OSD, synthetic) have a median of 0.1 to 2.1 over the frames; Washington's
# nominal gravity is 6.6 off.
TILTED, FAR = 4.0, 15.0
# Degrees from gravity (away from the camera a floor's normal points down) within which a plane is floor or ceiling, or,
# from a right angle, a wall. Between them there should be few.
_LEVEL, _WALL = 35.0, 20.0


def check(samples: list[dict]) -> Finding:
    """The angle between each frame's gravity and its most frequent normal: floors have 0°, walls 90°, ceilings 180°.

    Wrong: more ceilings than floors, so that gravity points up; most planes are neither; or the floors' median angle is
    15° or more. Look: it is 4° or more. Fewer than 3 frames with a clear plane and a known gravity are no finding.
    """
    known = [sample for sample in samples if np.linalg.norm(sample["gravity"]) > 0]
    unknown = len(samples) - len(known)
    if not known:
        meaning = "No frame has a gravity: HHA will estimate it from each frame."
        return Finding("Gravity", OK, "unknown in all frames", meaning, "")
    angles = np.array([angle for angle in map(_angle, known) if angle is not None])
    level, ceiling, wall = angles < _LEVEL, angles > 180 - _LEVEL, np.abs(angles - 90) < _WALL
    counts = [int(kind.sum()) for kind in (level, wall, ceiling, ~(level | wall | ceiling))]
    number = "planes: {} floors, {} walls, {} ceilings, {} between".format(*counts)
    tilt = float(np.median(angles[level])) if level.any() else None
    number += f"; floors {tilt:.1f}° off" if tilt is not None else ""
    number += f"; unknown in {unknown} frames" if unknown else ""
    severity, meaning, remedy = _judge(counts, tilt, len(angles))
    alt = f"Histogram of the angle between gravity and the main plane of each frame: {number}"
    return Finding("Gravity", severity, number, meaning, remedy, _picture(angles), alt)


def _judge(counts, tilt, total):
    floors, _, ceilings, between = counts
    if total < _LEAST_FRAMES:
        return OK, "Too few frames show a clear plane to tell.", ""
    if ceilings >= _LEAST_FRAMES and ceilings > floors:
        return WRONG, "What the camera looks down on lies above it: gravity points up.", "Turn its sign round: " + _AXES
    if between > total / 2:
        return WRONG, "Most main planes are neither level nor upright.", "Its axes may be exchanged: " + _AXES
    if floors < _LEAST_FRAMES or tilt < TILTED:
        return OK, "Floors and tables are level, walls upright.", ""
    meaning = f"Floors and tables are tilted by {tilt:.0f}°: their height and angle in HHA are those of a slope."
    remedy = "Measure it (--gravity=table or estimate where the source has it), or correct the camera's mounting angle."
    return (WRONG if tilt >= FAR else LOOK), meaning, remedy


_AXES = "it is a unit vector pointing down, in the camera's frame: x right, y down, z forward."


def _angle(sample):
    """Degrees between gravity and the frame's most frequent normal; None without a clear plane."""
    normal = main_normal(sample["depth"], sample["intrinsics"])
    if normal is None:
        return None
    down = sample["gravity"] / np.linalg.norm(sample["gravity"])
    return float(np.degrees(np.arccos(np.clip(normal @ down, -1, 1))))


def main_normal(depth: np.ndarray, intrinsics: np.ndarray) -> np.ndarray | None:
    """The most frequent surface normal of a frame.

    Of 300 directions the one with most normals within 10°, then the mean of those within 12° and, three times, 8°.

    Args:
        depth: float32 [H,W], metres, 0 = missing.
        intrinsics: float32 [4], pixels.

    Returns:
        Unit vector [3] in the camera's frame, away from the camera; None where no plane stands out.
    """
    normals, valid = (tensor.numpy() for tensor in _graph()(depth, intrinsics))
    normals = normals[:, valid & (depth > 0)].T
    normals = normals[:: max(1, len(normals) // 20000)]
    if len(normals) < 100:
        return None
    votes = (normals @ _DIRECTIONS.T > np.cos(np.radians(10))).sum(axis=0)
    direction = _DIRECTIONS[votes.argmax()]
    for degrees in (12, 8, 8, 8):
        direction = normals[normals @ direction > np.cos(np.radians(degrees))].mean(axis=0)
        direction /= np.linalg.norm(direction)
    near, around = ((normals @ direction > np.cos(np.radians(degrees))).mean() for degrees in (7, 20))
    return direction if near >= _SHARE and near >= _CONCENTRATION * around else None


@functools.cache
def _graph():
    """The normals of frames of any size: one graph, since tracing takes longer than any frame."""
    signature = [tf.TensorSpec([None, None], tf.float32), tf.TensorSpec([4], tf.float32)]
    return tf.function(
        lambda depth, intrinsics: surface.plane_normals(depth, intrinsics, None, radius=RADIUS),
        input_signature=signature,
        autograph=False,
    )


def _directions(count):
    """Unit vectors [count,3] spread evenly over the sphere (Fibonacci's lattice)."""
    index = np.arange(count) + 0.5
    z, turn = 1 - 2 * index / count, np.pi * (1 + 5**0.5) * index
    return np.stack([np.cos(turn) * np.sqrt(1 - z**2), np.sin(turn) * np.sqrt(1 - z**2), z], axis=1)


_DIRECTIONS = _directions(300)


def _picture(angles):
    figure, (axes,) = pictures.panels(1, height=2.4)
    for low, high, name in ((0, _LEVEL, "floor"), (90 - _WALL, 90 + _WALL, "wall"), (180 - _LEVEL, 180, "ceiling")):
        axes.axvspan(low, high, color="#f6dedc" if name == "ceiling" else "#d8ead2")
        axes.text((low + high) / 2, 0.98, name, ha="center", va="top", transform=axes.get_xaxis_transform(), fontsize=9)
    pictures.histogram(
        axes, angles, "angle between gravity and the frame's main plane normal, degrees", np.arange(0, 181, 3)
    )
    axes.set_xlim(0, 180)
    return pictures.png(figure)
