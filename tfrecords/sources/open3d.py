"""Recordings in the layout of Open3D and the Redwood data sets: color/ and depth/ next to an intrinsics file."""

import os
import re

from keras_simsiam.core.errors import UserError
from tfrecords import camera_file
from tfrecords.sources import Plan, choose, natural, recorded_frames

_UNITS_PER_METRE = 1000.0

# The names that Open3D's own reconstruction system knows.
_COLOR_FOLDERS = ("color", "image", "rgb")
_CAMERA_FILES = (camera_file.NAME, "camera_primesense.json", "camera_intrinsic.json")


def plan(input: str, split: str = "all", *, every: int = 1, val_fraction: float = 0.0, seed: int = 0) -> Plan:
    """Plan one or several recordings, frames in the order of their names.

    Colour and depth belong together by the first number in their names (00012.jpg, 000012-000400000000.png); where the
    folders have few numbers or none in common, by sorted order, as Open3D takes them.

    The camera is the recording's camera.json, camera_primesense.json or camera_intrinsic.json, else a camera.json up to
    two folders above. Depth is in millimetres unless that file has units_per_metre.

    Args:
        input: a recording's folder, or a folder that holds some, at any depth.
        split: `all`: everything is for training, but for val_fraction.
        every: keeps the 1st, (every + 1)st, ... frame of each recording.
        val_fraction: of each recording, the last frames, that become `val`, in [0, 1).
        seed: of the order of the records.

    Raises:
        UserError: no recording or no image below `input`, no usable camera file, or images that cannot be paired.
    """
    choose("split", split, ("all",))
    recordings = {}
    for folder, name, inner, _ in recorded_frames.folders(input):
        color = next((color for color in _COLOR_FOLDERS if color in inner), None)
        if color and "depth" in inner:
            recordings[name] = _references(folder, name, color, len(recordings))
    if not any(recordings.values()):
        raise UserError(
            f"`input={input}` holds no folder with images in color/ and depth/: give a recording's folder, or one that "
            "holds some"
        )
    return recorded_frames.plan(recordings, every, val_fraction, gravity={"mode": "unknown"})


def _references(folder, name, color, number):
    pairs = _pair(folder, color, *_images(folder, color))
    if not pairs:
        return []
    camera = _camera(folder)
    return [
        recorded_frames.Reference(
            name=f"{name}/{_stem(color_path)}",
            color_path=color_path,
            depth_path=depth_path,
            camera=camera,
            units_per_metre=camera.units_per_metre or _UNITS_PER_METRE,
            recording=number,
        )
        for color_path, depth_path in pairs
    ]


def _images(folder, color):
    """The colour and the depth images, each in the order of the numbers in their names."""
    for inner, endings in ((color, (".jpg", ".jpeg", ".png")), ("depth", (".png",))):
        names = sorted(os.listdir(os.path.join(folder, inner)), key=natural)
        yield [os.path.join(folder, inner, name) for name in names if name.lower().endswith(endings)]


def _stem(path):
    return os.path.splitext(os.path.basename(path))[0]


def _pair(folder, color, colors, depths):
    numbered = [_by_number(paths) for paths in (colors, depths)]
    common = numbered[0].keys() & numbered[1].keys()
    # A few in common, of times for example, are a coincidence.
    if common and 2 * len(common) >= min(map(len, numbered)):
        return list(_pair_numbers(folder, color, *numbered))
    if len(colors) != len(depths):
        raise UserError(
            f"{folder} has {len(colors)} images in {color}/ and {len(depths)} in depth/, and their names have no numbers "
            "in common: remove what has no partner"
        )
    return list(zip(colors, depths, strict=True))


def _by_number(paths):
    """The paths by the first number in their names; empty where one has none or two have the same."""
    matches = [re.search(r"\d+", os.path.basename(path)) for path in paths]
    numbers = {int(match[0]): path for match, path in zip(matches, paths, strict=True) if match}
    return numbers if len(numbers) == len(paths) else {}


def _pair_numbers(folder, color, colors, depths):
    """Pair in the order of numbers. A missing partner gets the path where it should be: its frame fails to load."""
    ending = os.path.splitext(next(iter(colors.values())))[1]
    for number in sorted(colors.keys() | depths.keys()):
        stem = _stem(colors.get(number) or depths[number])
        yield (
            colors.get(number) or os.path.join(folder, color, stem + ending),
            depths.get(number) or os.path.join(folder, "depth", f"{stem}.png"),
        )


def _camera(folder):
    here = (os.path.join(folder, name) for name in _CAMERA_FILES)
    path = next(filter(os.path.exists, here), None) or camera_file.nearest(folder)
    if path is None:
        raise UserError(f"{folder} has no camera.json nor camera_primesense.json: put one (fx, fy, cx, cy) there")
    return camera_file.read(path)
