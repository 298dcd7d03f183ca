"""Places of the synthetic turntable: a floor, a wall and a lamp each, and things that stand about behind the object."""

from dataclasses import dataclass

import numpy as np

from tfrecords.sources import synthetic_render, synthetic_shapes

_STAND = (0.9, 1.2)  # half the table's side in radii of the object: a stand, past which the place is seen
_WALL = (0.5, 1.6)  # metres behind the object
_THINGS = (6, 11)  # how many, the last left out
_THING = (0.1, 0.35)  # metres, half of a thing's largest extent
_BEHIND = (0.15, 0.9)  # metres from the object to where a thing begins: beyond the stand, however that is turned
_ACROSS = 0.4  # metres to either side, as far as a camera sees
_PERIODS = (0.04, 0.25)  # metres, of textures


@dataclass(frozen=True)
class Place:
    """What all frames of a place share.

    Attributes:
        stand: half the side of its square table, in radii of the object on it.
        wall: z of its wall, metres.
        textures: of its table, floor and wall.
        light: unit vector [3] toward its lamp.
        things: what stands on its floor.
    """

    stand: float
    wall: float
    textures: tuple[synthetic_render.Texture, synthetic_render.Texture, synthetic_render.Texture]
    light: np.ndarray
    things: tuple[synthetic_render.Thing, ...]


def draw(random: np.random.Generator) -> Place:
    """Draw a place; nothing in it stands between the camera and the object."""
    stand, wall = random.uniform(*_STAND), random.uniform(*_WALL)
    textures = tuple(synthetic_render.draw_texture(random, _PERIODS) for _ in range(3))
    light = np.array([random.uniform(-0.7, 0.7), 0.8, random.uniform(-0.8, -0.2)])
    things = tuple(_thing(wall, random) for _ in range(random.integers(*_THINGS)))
    return Place(stand, wall, textures, light / np.linalg.norm(light), things)


def _thing(wall, random):
    solid = synthetic_shapes.draw(str(random.choice(list(synthetic_shapes.CLASSES))), random, _THING)
    z = random.uniform(_BEHIND[0], min(_BEHIND[1], wall)) + solid.radius  # a part of it may be in the wall
    position = np.array([random.uniform(-_ACROSS, _ACROSS), -synthetic_render.TABLE_TO_FLOOR, z])
    return synthetic_render.Thing(solid, position, synthetic_render.draw_texture(random, _PERIODS))
