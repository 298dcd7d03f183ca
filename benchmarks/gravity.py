"""How far estimated gravity is from the truth: random cameras in random rooms, with a Kinect's noise and missing depth.

    python -m benchmarks.gravity [cameras] [seed]

Every camera stands in a room of its own, 3 to 7 m wide and deep and 2.4 to 3 m high, with boxes on the floor, some of
them turned; it looks in any direction, up to 40° up or down, rolled by up to 15°. The depth image has the disparity noise
and steps of the first Kinect (`tfrecords.sources.synthetic_sensor`) and no depth where surfaces are seen at a grazing
angle, in the projector's shadow, and in patches, until 30 % of the pixels are missing.
"""

import keras_simsiam.core.command  # noqa: F401

import sys

import cv2
import numpy as np
import tensorflow as tf

from benchmarks import hha_scenes
from keras_simsiam.depth import gravity
from tfrecords.sources import synthetic_sensor

SIZE = (480, 640)
MISSING = 0.3
PITCH, ROLL = 40.0, 15.0  # degrees, largest


def main():
    cameras, seed = [*map(int, sys.argv[1:]), *(500, 0)[len(sys.argv) - 1 :]]
    estimate = tf.function(gravity.from_depth, autograph=False)
    rows = []
    for index in range(cameras):
        depth, down = scene(seed, index)
        estimated, confidence = estimate(depth, hha_scenes.NYU_INTRINSICS)
        tilt = degrees(down, (0, 1, 0))
        rows.append((degrees(estimated, down), float(confidence), tilt))
        if rows[-1][0] > 1:
            print(f"camera {index}: off by {rows[-1][0]:.2f}°, tilted {tilt:.1f}°, confidence {confidence:.2f}")
    errors, confidences, tilts = np.transpose(rows)
    print(
        f"{cameras} cameras, seed {seed}\n| cameras | number | median | 95 % | largest | within 1° |\n|---|---|---|---|---|---|"
    )
    _print_row("all", errors)
    for low, high in ((0, 15), (15, 30), (30, 45)):
        _print_row(f"tilted {low}° to {high}°", errors[(tilts >= low) & (tilts < high)])
    for low, high in ((0, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 1)):
        _print_row(f"confidence {low} to {high}", errors[(confidences >= low) & (confidences < high)])


def _print_row(name, errors):
    if errors.size:
        median, most = np.percentile(errors, [50, 95])
        within = f"{100 * (errors <= 1).mean():.1f} %"
        print(f"| {name} | {errors.size} | {median:.2f}° | {most:.2f}° | {errors.max():.2f}° | {within} |")


def degrees(first, second):
    """The angle between two vectors `[3]`."""
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(first, second)), np.dot(first, second)))


def scene(seed, index, size=SIZE, intrinsics=hha_scenes.NYU_INTRINSICS):
    """What the sensor of camera `index` measures, float32 `[H, W]` metres, and its gravity `[3]`."""
    random = np.random.default_rng([seed, index])
    to_room = _rotation(random)
    fx, fy, cx, cy = intrinsics
    y, x = np.indices(size)
    rays = np.stack([(x - cx) / fx, (y - cy) / fy, np.ones(size)], axis=-1)
    depth, facing = _render(rays @ to_room.T, random)
    facing /= np.linalg.norm(rays, axis=-1)
    measured = synthetic_sensor.depth_image(depth, facing, focal_length=fx, blobs=0, random=random) / 1000.0
    return _punched(measured, random).astype(np.float32), to_room.T @ (0, 1, 0)


def _rotation(random):
    """Camera to room, whose y axis points down: rolled, then pitched, then turned to any side."""
    turn, pitch, roll = np.radians(random.uniform((-180, -PITCH, -ROLL), (180, PITCH, ROLL)))
    about_y = cv2.Rodrigues(np.array([0, turn, 0]))[0]
    return about_y @ cv2.Rodrigues(np.array([pitch, 0, 0]))[0] @ cv2.Rodrigues(np.array([0, 0, roll]))[0]


def _render(rays, random):
    """Depth `[H, W]` along `rays` (of unit depth) from a point in a room, and |n·ray| of the surface there."""
    half, height = random.uniform(1.5, 3.5, 2), random.uniform(2.4, 3.0)
    above = random.uniform(0.8, 1.8)  # the camera, above the floor
    x, z = random.uniform(-0.7, 0.7, 2) * half
    depth, facing = _slab(
        rays, (-half[0] - x, above - height, -half[1] - z), (half[0] - x, above, half[1] - z), leave=True
    )
    for _ in range(random.integers(0, 6)):
        size = random.uniform((0.2, 0.2, 0.2), (0.8, 0.9, 0.8))
        centre = random.uniform(-1, 1, 2) * half - (x, z)
        if np.hypot(*centre) < 1.2:
            continue  # never around the camera, nor right before it
        turn = cv2.Rodrigues(np.array([0, random.choice([0, random.uniform(0, np.pi)]), 0]))[0]
        middle = np.array([centre[0], above - size[1], centre[1]]) @ turn
        box, box_facing = _slab(rays @ turn, middle - size, middle + size, leave=False)
        nearer = box < depth
        depth, facing = np.where(nearer, box, depth), np.where(nearer, box_facing, facing)
    return depth, facing


def _slab(rays, low, high, leave):
    """Where rays from the origin leave (or enter) the box low..high: depth, inf where they miss it, and |n·ray|."""
    with np.errstate(divide="ignore", invalid="ignore"):
        crossings = np.sort(np.stack([low / rays, high / rays]), axis=0)
    enter, exit = crossings[0].max(-1), crossings[1].min(-1)
    axis = (crossings[1].argmin(-1) if leave else crossings[0].argmax(-1))[..., np.newaxis]
    facing = np.abs(np.take_along_axis(rays, axis, -1)[..., 0])
    return (exit if leave else np.where((enter > 0) & (enter < exit), enter, np.inf)), facing


def _punched(depth, random):
    """Depth with patches taken out until MISSING of it is."""
    height, width = depth.shape
    while (missing := (depth == 0).mean()) < MISSING:
        hole = np.zeros(depth.shape, np.uint8)
        centre = (int(random.integers(width)), int(random.integers(height)))
        axes = np.minimum(random.uniform(0.01, 0.15, 2), MISSING - missing + 0.01) * width
        cv2.ellipse(hole, centre, tuple(int(a) + 1 for a in axes), float(random.uniform(0, 180)), 0, 360, 1, -1)
        depth = np.where(hole > 0, 0, depth)
    return depth


if __name__ == "__main__":
    main()
