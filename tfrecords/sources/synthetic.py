"""Synthetic turntable scenes in the manner of the Washington data set: only the shape tells the class.

Colour, texture and size are drawn per instance, independently of the class. Table, room and lamp are the same throughout,
as round one turntable: a background of its own would tell an instance better than its shape does. Crops are as tight as
Washington's: a crop that is half table gives a SimSiam run views that look alike whatever the object.

With places there are backgrounds nevertheless, seen around the object in wider crops, and no split has those of another: what
an encoder learns of a place instead of the object is of no use where it is tested.
"""

import functools
from dataclasses import dataclass, replace

import cv2
import numpy as np

from keras_simsiam.core.errors import UserError
from tfrecords.example import Frame
from tfrecords.sources import Plan, choose, synthetic_places, synthetic_render, synthetic_sensor, synthetic_shapes

# The elevations measured on Washington's table (not the nominal ones), and its camera (640×480, zero-based centre).
_VIDEOS = {1: 24.0, 2: 34.0, 4: 57.0}
_FOCAL_LENGTH = 570.3
_CENTRE = (319.0, 239.0)

_TABLE, _FLOOR, _WALL = (0.78, 0.77, 0.74), (0.35, 0.35, 0.38), (0.80, 0.78, 0.70)  # colours
_LAMP = np.array([-0.42, 0.80, -0.43])  # direction toward it: above the camera's left shoulder
_MARGIN = 6  # pixels, at most, from the object to each edge of its crop
_WIDE_MARGIN = 0.6  # the same in a place, as a share of the object's height or width
_EXPOSURE, _WHITE_BALANCE = 0.2, 0.05  # logarithms of how far they wander from frame to frame

_CLASSES = sorted(synthetic_shapes.CLASSES)
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class _Reference:
    instance: int
    frame: int
    place: int = -1  # within the split's; -1: none
    split: str = ""  # which it is of, where there are places


def plan(
    split: str = "category",
    train_instances: int = 45,
    *,
    test_instances: int = 13,
    frames_per_instance: int = 4,
    val_fraction: float = 0.0,
    places: int = 0,
    seed: int = 0,
) -> Plan:
    """Plan a data set of 8 shapes; equal arguments give equal bytes.

    Args:
        split: `category`: the label is the shape, the test objects are others. `instance`, as on Washington: the label is
            the object, seen in training from about 24° and 57° above (videos 1 and 4), in test from 34° (video 2).
        train_instances: objects of each shape to train on.
        test_instances: other objects of each shape to test on (category only).
        frames_per_instance: views of each object, dealt out to three videos (camera elevations of about 24°, 34°, 57°).
        val_fraction: of each shape's training objects (instance: of each object's training views) that become `val`,
            in [0, 1).
        places: how many cluttered places each split has, which no other split has: each video of an object is taken in one of
            them, drawn whatever the class. 0: all frames have one plain background.
        seed: of everything.

    Raises:
        UserError: val_fraction leaves nothing to train on, or there are too few views for videos to train and test on.
    """
    choose("split", split, ("category", "instance"))
    counts = {"train": train_instances, "val": 0, "test": test_instances if split == "category" else 0}
    if split == "category":
        counts["val"] = round(val_fraction * train_instances)
        counts["train"] -= counts["val"]
        if not counts["train"]:
            raise UserError(
                f"`val_fraction={val_fraction}` leaves no training objects: lower it or raise `train_instances`"
            )
    splits, instances = {}, []
    for name, count in counts.items():
        numbers = range(len(instances), len(instances) + count * len(_CLASSES))
        splits[name] = [_Reference(number, frame) for number in numbers for frame in range(frames_per_instance)]
        instances += [f"{_CLASSES[number % len(_CLASSES)]}_{number // len(_CLASSES) + 1}" for number in numbers]
    if split == "instance":
        splits = _by_video(splits["train"], frames_per_instance, val_fraction)
    if places:
        splits = {
            name: [_placed(reference, name, places, seed) for reference in references]
            for name, references in splits.items()
        }
    return Plan(
        splits={name: references for name, references in splits.items() if references},
        load=_Maker(seed, frames_per_instance, instances, by_instance=split == "instance"),
        classes=instances if split == "instance" else _CLASSES,
        instances=instances,
        gravity={"mode": "known"},
    )


def _by_video(references, frames_per_instance, val_fraction):
    """Split the views of the same objects: video 2 to test on, the last of the others for validation."""
    splits = {"train": [], "val": [], "test": []}
    first_val = round((1 - val_fraction) * frames_per_instance)
    for reference in references:
        training = "val" if reference.frame >= first_val else "train"
        splits["test" if _video(reference) == 2 else training].append(reference)
    if frames_per_instance < len(_VIDEOS) or not splits["train"]:
        raise UserError(
            f"`frames_per_instance={frames_per_instance}`: `split=instance` needs at least 3, for a video of each "
            "elevation, and a `val_fraction` that leaves some to train on"
        )
    return splits


def _placed(reference, split, places, seed):
    """The reference with the place that its video is taken in."""
    random = np.random.default_rng([seed, 3, _SPLITS.index(split), reference.instance, _video(reference)])
    return replace(reference, place=int(random.integers(places)), split=split)


def _video(reference):
    return list(_VIDEOS)[reference.frame % len(_VIDEOS)]


class _Maker:
    """Maker of a reference's frame. Each draw is seeded by what it belongs to, so frames can be made in any order."""

    def __init__(self, seed, frames_per_instance, instances, by_instance):
        self._by_instance = by_instance
        self._seed, self._frames_per_instance, self._instances = seed, frames_per_instance, instances

    def __call__(self, reference: _Reference) -> Frame:
        video = _video(reference)
        scene, blobs, first_turn = self._object(reference.instance)
        scene, elevation = self._filmed(scene, reference.instance, video)
        if reference.split:
            scene = _in_place(scene, _place(self._seed, reference.split, reference.place))
        random = np.random.default_rng([self._seed, 2, reference.instance, reference.frame])
        turn = first_turn + 2 * np.pi * (reference.frame + random.uniform(-0.3, 0.3)) / self._frames_per_instance
        scene = synthetic_render.Scene(**(vars(scene) | {"turn": turn}))
        axes = synthetic_render.camera_axes(np.radians(elevation))
        margin = _WIDE_MARGIN if reference.split else 0
        position, intrinsics, size = _camera(scene.solid, axes, random, margin=margin)
        image = synthetic_render.render(scene, position, axes=axes, intrinsics=intrinsics, size=size)
        depth = synthetic_sensor.depth_image(
            image.depth, image.facing, focal_length=_FOCAL_LENGTH, blobs=blobs, random=random
        )
        gain = 0.9 * np.exp(random.uniform(-_EXPOSURE, _EXPOSURE) + random.uniform(-_WHITE_BALANCE, _WHITE_BALANCE, 3))
        rgb = synthetic_sensor.color_image(image.rgb, gain, random)
        rows, columns = _tight_crop(image.solid, random, margin=margin)
        fx, fy, cx, cy = intrinsics
        return Frame(
            name=f"{self._instances[reference.instance]}_{video}_{reference.frame + 1}",
            rgb=_png(rgb[rows, columns, ::-1]),
            depth=_png(depth[rows, columns]),
            units_per_metre=1000.0,
            intrinsics=(fx, fy, cx - columns.start, cy - rows.start),
            gravity=tuple(axes @ [0.0, -1.0, 0.0]),
            label=reference.instance if self._by_instance else reference.instance % len(_CLASSES),
            instance=reference.instance,
        )

    def _object(self, instance):
        """The scene that the videos of an object share, its expected number of missing patches, its first turn."""
        random = np.random.default_rng([self._seed, 0, instance])
        solid = synthetic_shapes.draw(_CLASSES[instance % len(_CLASSES)], random)
        textures = (synthetic_render.draw_texture(random), *map(synthetic_render.plain, (_TABLE, _FLOOR, _WALL)))
        scene = synthetic_render.Scene(solid, 0.0, 0.0, 0.0, textures, _LAMP / np.linalg.norm(_LAMP))
        return scene, random.choice([0.3, 1.0, 4.0]), random.uniform(0, 2 * np.pi)

    def _filmed(self, scene, instance, video):
        """The scene with what changes from video to video, and the camera's elevation in degrees."""
        random = np.random.default_rng([self._seed, 1, instance, video])
        changes = {"table": random.uniform(0.2, 0.45), "wall": random.uniform(1.0, 2.2)}
        return synthetic_render.Scene(**(vars(scene) | changes)), _VIDEOS[video] + random.normal(0, 0.7)


@functools.lru_cache(maxsize=64)
def _place(seed, split, number):
    return synthetic_places.draw(np.random.default_rng([seed, 4, _SPLITS.index(split), number]))


def _in_place(scene, place):
    textures, table = (scene.textures[0], *place.textures), place.stand * scene.solid.radius
    return synthetic_render.Scene(scene.solid, scene.turn, table, place.wall, textures, place.light, place.things)


def _camera(solid, axes, random, *, margin=0):
    """Where the camera is, and a window that holds the solid and its margin: intrinsics, height and width."""
    centre = np.array([0.0, solid.height / 2, 0.0])
    aim = centre + random.uniform(-0.06, 0.06, 3)
    position = aim - random.uniform(0.8, 0.95) * axes[2]
    x, y, z = axes @ (centre - position)
    # in perspective a sphere reaches a little farther than its radius over its distance
    half = int(1.02 * _FOCAL_LENGTH * np.hypot(solid.radius, solid.height / 2) / z)
    half += max(_MARGIN, int(2 * margin * half)) + 2
    left, top = round(_FOCAL_LENGTH * x / z + _CENTRE[0]) - half, round(_FOCAL_LENGTH * y / z + _CENTRE[1]) - half
    return position, (_FOCAL_LENGTH, _FOCAL_LENGTH, _CENTRE[0] - left, _CENTRE[1] - top), (2 * half, 2 * half)


def _tight_crop(solid, random, *, margin=0):
    """Rows and columns, as slices, of the solid [H,W] and pixels on each side of it: up to _MARGIN, or from half of a margin,
    a share of the solid's height or width, to all of it."""
    y, x = np.nonzero(solid)
    top, left, bottom, right = random.integers(0, _MARGIN + 1, 4)
    if margin:
        wide = np.array([np.ptp(y), np.ptp(x)] * 2) * random.uniform(margin / 2, margin, 4)
        top, left, bottom, right = wide.astype(int)
    return slice(int(y.min() - top), int(y.max() + 1 + bottom)), slice(int(x.min() - left), int(x.max() + 1 + right))


def _png(image):
    return cv2.imencode(".png", image)[1].tobytes()
