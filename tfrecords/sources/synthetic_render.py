"""A ray caster in NumPy: a solid on a table before a floor, a wall and other things, textured, lit, seen by a known camera."""

import colorsys
from dataclasses import dataclass

import numpy as np

from tfrecords.sources.synthetic_shapes import Solid

_STEPS = 40
_HIT = 2e-4
TABLE_TO_FLOOR = 0.72  # metres
_FLOOR = 2  # the first of the surfaces that do not turn with the table
_AMBIENT = 0.4

# How many waves each kind of texture is made of: the first three at right angles, further ones in any direction.
_WAVES = {"plain": 0, "stripes": 1, "checker": 3, "dots": 3, "noise": 6}


@dataclass(frozen=True)
class Texture:
    """A solid texture, which mixes two colours by the position in space.

    Attributes:
        kind: plain, checker, stripes, dots or noise.
        colors: float [2,3], 0..1.
        waves: float [K,3], radians per metre.
        phases: float [K], radians.
    """

    kind: str
    colors: np.ndarray
    waves: np.ndarray
    phases: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Colours [N,3], 0..1, at points [N,3], metres."""
        if self.kind == "plain":
            return np.broadcast_to(self.colors[0], points.shape)
        swing = np.sin(points @ self.waves.T + self.phases)
        if self.kind in ("stripes", "checker"):
            mix = swing.prod(axis=1) > 0
        elif self.kind == "dots":
            mix = swing.sum(axis=1) > 1.3
        else:
            mix = np.clip(0.5 + 0.35 * swing.sum(axis=1), 0, 1)
        return self.colors[0] + mix[:, None] * (self.colors[1] - self.colors[0])


def draw_texture(random: np.random.Generator, periods: tuple[float, float] = (0.012, 0.06)) -> Texture:
    """Draw a texture: its kind, two colours of about one hue, and a period, in metres, in random directions."""
    kind = random.choice(list(_WAVES))
    square = np.linalg.qr(random.normal(size=(3, 3)))[0]
    directions = np.concatenate([square, random.normal(size=(3, 3))])[: _WAVES[kind]]
    waves = directions * (2 * np.pi / random.uniform(*periods))
    hue, saturation, value = random.uniform([0.0, 0.3, 0.3], [1.0, 0.8, 0.9])
    other_hue, paler, lighter = random.uniform([-0.1, 0.5, 0.6], [0.1, 1.0, 1.3])
    colors = [
        colorsys.hsv_to_rgb(hue, saturation, value),
        colorsys.hsv_to_rgb((hue + other_hue) % 1, paler * saturation, min(lighter * value, 1)),
    ]
    return Texture(str(kind), np.array(colors), waves, random.uniform(0, 2 * np.pi, len(waves)))


def plain(color: tuple[float, float, float]) -> Texture:
    """The texture of one colour, 0..1."""
    return Texture("plain", np.array([color, color]), np.zeros((0, 3)), np.zeros(0))


@dataclass(frozen=True)
class Thing:
    """One of the things around, which do not turn with the table.

    Attributes:
        solid: in its own coordinates, whose axes are the world's.
        position: of its origin in the world [3], metres.
        texture: by the position in the world.
    """

    solid: Solid
    position: np.ndarray
    texture: Texture


@dataclass(frozen=True)
class Scene:
    """What the camera looks at. World: x right, y up, z away from the camera; the solid about the origin, on y = 0.

    Attributes:
        solid: on the table, in its own coordinates, which `turn` (radians) rotates about y, the table with it.
        table: half the side of the square table, metres.
        wall: z of the wall behind, metres.
        textures: of the solid and the table, by the position on the table; of the floor and the wall, by that in the world.
        light: unit vector [3] toward the light.
        things: the other objects in view; they cast no shadow.
    """

    solid: Solid
    turn: float
    table: float
    wall: float
    textures: tuple[Texture, Texture, Texture, Texture]
    light: np.ndarray
    things: tuple[Thing, ...] = ()


@dataclass(frozen=True)
class Image:
    """What the camera sees.

    Attributes:
        rgb: float [H,W,3], 0..1.
        depth: float [H,W], metres.
        facing: float [H,W], the cosine between surface and ray, 0..1.
        solid: bool [H,W], where the solid is.
    """

    rgb: np.ndarray
    depth: np.ndarray
    facing: np.ndarray
    solid: np.ndarray


def camera_axes(elevation: float) -> np.ndarray:
    """The rows are the camera's axes (x right, y down, z forward) in the world, looking `elevation` radians down."""
    sine, cosine = np.sin(elevation), np.cos(elevation)
    return np.array([[1, 0, 0], [0, -cosine, -sine], [0, -sine, cosine]])


def render(
    scene: Scene,
    position: np.ndarray,
    *,
    axes: np.ndarray,
    intrinsics: tuple[float, float, float, float],
    size: tuple[int, int],
) -> Image:
    """Render the scene.

    Args:
        scene: what to see.
        position: of the camera in the world [3], metres.
        axes: its axes in the world, rows [3,3], as `camera_axes` makes them.
        intrinsics: fx, fy, cx, cy in pixels, zero-based pixel centres.
        size: height and width in pixels.
    """
    fx, fy, cx, cy = intrinsics
    y, x = np.mgrid[: size[0], : size[1]].reshape(2, -1)
    rays = np.stack([(x - cx) / fx, (y - cy) / fy, np.ones(x.shape)], axis=1)
    lengths = np.linalg.norm(rays, axis=1)
    cosine, sine = np.cos(scene.turn), np.sin(scene.turn)
    to_object = np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
    directions = (rays / lengths[:, None]) @ axes @ to_object.T
    origin = to_object @ position
    distance, surface = _first_hit(scene, origin, directions, to_object)
    points = origin + distance[:, None] * directions
    in_world = points @ to_object
    normals = _normals(scene, surface, points, to_object)
    light = to_object @ scene.light
    colors = np.empty(points.shape)
    for index, texture in enumerate((*scene.textures, *(thing.texture for thing in scene.things))):
        here = surface == index
        colors[here] = texture((points if index < _FLOOR else in_world)[here])
    diffuse = np.maximum(normals @ light, 0) * _lit(scene.solid, points + 1e-3 * normals, light)
    rgb = np.clip(colors * (_AMBIENT + (1.2 - _AMBIENT) * diffuse)[:, None], 0, 1)
    facing = -(normals * directions).sum(axis=1)
    depth = distance / lengths
    return Image(rgb.reshape(*size, 3), depth.reshape(size), facing.reshape(size), (surface == 0).reshape(size))


def _first_hit(scene, origin, directions, to_object):
    """Distance along each ray [N] and the surface there: 0 solid, 1 table, 2 floor, 3 wall, the things from 4."""
    wall_normal = to_object @ np.array([0.0, 0.0, 1.0])
    with np.errstate(divide="ignore", invalid="ignore"):
        table = -origin[1] / directions[:, 1]
        floor = (-TABLE_TO_FLOOR - origin[1]) / directions[:, 1]
        wall = (scene.wall - origin @ wall_normal) / (directions @ wall_normal)
    on_table = origin[[0, 2]] + table[:, None] * directions[:, [0, 2]]
    table[(table <= 0) | (np.abs(on_table).max(axis=1) > scene.table)] = np.inf
    floor[floor <= 0] = np.inf
    wall[wall <= 0] = np.inf
    things = [
        trace(thing.solid, to_object.T @ origin - thing.position, directions @ to_object) for thing in scene.things
    ]
    hits = np.stack([trace(scene.solid, origin, directions), table, floor, wall, *things])
    surface = hits.argmin(axis=0)
    return hits.min(axis=0), surface


def trace(solid: Solid, origins: np.ndarray, directions: np.ndarray, steps: int = _STEPS) -> np.ndarray:
    """Distance [N], metres, at which rays first meet the solid, by sphere tracing; infinite where they miss it.

    Args:
        solid: in its own coordinates, as are the rays.
        origins: [N,3] or [3].
        directions: unit vectors [N,3].
        steps: at most so many evaluations of the solid's distance per ray.
    """
    origins = np.broadcast_to(origins, directions.shape)
    # Only the rays that enter the box around the solid, and only inside it.
    corners = solid.radius * np.array([[-1, 0, -1], [1, 0, 1]]) + [[0, 0, 0], [0, solid.height, 0]]
    with np.errstate(divide="ignore", invalid="ignore"):
        slabs = (corners[:, None] - origins) / directions
    enter, leave = np.fmin(*slabs).max(axis=1), np.fmax(*slabs).min(axis=1)
    active = np.flatnonzero((enter < leave) & (leave > 0))
    t, end = np.maximum(enter[active], 0), leave[active]
    result = np.full(len(directions), np.inf)
    for _ in range(steps):
        if not len(active):
            break
        gap = solid.distance(origins[active] + t[:, None] * directions[active])
        t = t + gap
        hit = gap < _HIT
        result[active[hit]] = t[hit]
        on = ~hit & (t < end)
        active, t, end = active[on], t[on], end[on]
    return result


def _normals(scene, surface, points, to_object):
    flat = np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0], to_object @ [0.0, 0.0, -1.0]])
    normals = flat[np.minimum(surface, len(flat) - 1)]
    solid = surface == 0
    normals[solid] = _gradient(scene.solid, points[solid])
    for index, thing in enumerate(scene.things, len(flat)):
        here = surface == index
        normals[here] = _gradient(thing.solid, points[here] @ to_object - thing.position) @ to_object.T
    return normals


def _gradient(solid, points):
    """Unit normals [N,3] of a solid's surface at points [N,3]."""
    corners = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]])
    gradient = sum(corner * solid.distance(points + 3e-4 * corner)[:, None] for corner in corners)
    return gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-9)


def _lit(solid, points, light):
    """Whether the light reaches each point past the solid."""
    return ~np.isfinite(trace(solid, points, np.broadcast_to(light, points.shape), steps=_STEPS // 2))
