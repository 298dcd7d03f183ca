"""The classes of the synthetic data set: solids as signed distances, with proportions redrawn for every instance.

A shape is first defined about the origin with its axis along y (up) and then set on the table, upright or lying. All
distances are lower bounds of the true ones, which is what sphere tracing needs (Hart, 1996).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Distance = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Solid:
    """A solid that stands on the plane y = 0 about the origin.

    Attributes:
        distance: signed distances, metres, float [N], of points float [N,3], metres, y up.
        height: of the solid, metres.
        radius: of the upright cylinder about the y axis that holds it, metres.
    """

    distance: Distance
    height: float
    radius: float


@dataclass(frozen=True)
class _Centred:
    """A solid about the origin: half its extent along y, x and z; and whether it may lie as well as stand."""

    distance: Distance
    half: tuple[float, float, float]
    may_lie: bool = False


def draw(name: str, random: np.random.Generator, half: tuple[float, float] = (0.035, 0.065)) -> Solid:
    """Draw an instance of a class: its proportions, its pose and its largest extent, 7 to 13 cm whatever the class.

    Args:
        name: one of CLASSES.
        random: of all draws.
        half: the range of half of that extent, metres.
    """
    centred = CLASSES[name](random)
    lying = centred.may_lie and random.random() < 0.4
    half_y, half_x, half_z = centred.half
    if lying:
        half_y, half_x = half_x, half_y
    scale = random.uniform(*half) / max(half_y, half_x, half_z)

    def distance(points):
        x, y, z = (points / scale).T
        y = y - half_y
        return scale * (centred.distance(y, x, z) if lying else centred.distance(x, y, z))

    return Solid(distance, 2 * half_y * scale, float(np.hypot(half_x, half_z)) * scale)


def _sphere(random):
    stretch = random.uniform(0.85, 1.15)

    def distance(x, y, z):
        return (np.sqrt(x**2 + (y / stretch) ** 2 + z**2) - 1) * min(stretch, 1)

    return _Centred(distance, (stretch, 1, 1))


def _box(random):
    half_x, half_y, half_z = random.uniform(0.5, 1.0, 3)

    def distance(x, y, z):
        return np.maximum(np.maximum(abs(x) - half_x, abs(y) - half_y), abs(z) - half_z)

    return _Centred(distance, (half_y, half_x, half_z))


def _cylinder(random):
    half = random.uniform(0.7, 1.8)

    def distance(x, y, z):
        return np.maximum(np.hypot(x, z) - 1, abs(y) - half)

    return _Centred(distance, (half, 1, 1), may_lie=True)


def _cone(random):
    half = random.uniform(0.75, 1.4)
    return _Centred(lambda x, y, z: _taper(np.hypot(x, z), y, half), (half, 1, 1))


def _pyramid(random):
    half = random.uniform(0.75, 1.4)
    width = random.uniform(0.75, 1.0)

    def distance(x, y, z):
        return width * _taper(np.maximum(abs(x), abs(z) / width), y, half)

    return _Centred(distance, (half, 1, width))


def _taper(radius, y, half):
    """Distance to a solid whose radius goes from 1 at y = -half to 0 at y = half."""
    slant = 2 * half * radius + y - half
    return np.maximum(slant / np.hypot(2 * half, 1), -half - y)


def _torus(random):
    tube = random.uniform(0.22, 0.38)
    ring = 1 - tube

    def distance(x, y, z):
        return np.hypot(np.hypot(x, z) - ring, y) - tube

    return _Centred(distance, (tube, 1, 1), may_lie=True)


def _capsule(random):
    straight = random.uniform(0.5, 1.3)

    def distance(x, y, z):
        return np.sqrt(x**2 + np.maximum(abs(y) - straight, 0) ** 2 + z**2) - 1

    return _Centred(distance, (1 + straight, 1, 1), may_lie=True)


def _bowl(random):
    wall = random.uniform(0.05, 0.1)
    depth = random.uniform(0.7, 1.0)

    def distance(x, y, z):
        rim = y - depth / 2
        shell = abs(np.sqrt(x**2 + (rim / depth) ** 2 + z**2) - (1 - wall)) - wall
        return np.maximum(shell * depth, rim)

    return _Centred(distance, (depth / 2, 1, 1))


CLASSES = {
    "bowl": _bowl,
    "box": _box,
    "capsule": _capsule,
    "cone": _cone,
    "cylinder": _cylinder,
    "pyramid": _pyramid,
    "sphere": _sphere,
    "torus": _torus,
}
