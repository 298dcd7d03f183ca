"""Recordings of an RGB-D camera: colour and depth in files of their own, one camera for all of them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from keras_simsiam.core.errors import UserError
from tfrecords import images
from tfrecords.camera_file import Camera
from tfrecords.example import Frame
from tfrecords.sources import Plan, hold_out


@dataclass(frozen=True)
class Reference:
    """Where the files of one frame are, the camera and the number of its recording, and gravity in the camera frame."""

    name: str
    color_path: str
    depth_path: str
    camera: Camera
    units_per_metre: float
    recording: int
    gravity: tuple[float, float, float] = (0.0, 0.0, 0.0)


def load(reference: Reference) -> Frame:
    """Read a frame; its bytes are those of the files, and it has no label.

    Raises:
        UserError: a file is missing or is not what it should be, or the images differ in size from each other or from
            what the camera's file says.
    """
    rgb, size = images.read_color(reference.color_path)
    depth, _ = images.read_depth(reference.depth_path, size)
    camera = reference.camera
    if camera.size is not None and camera.size != size[::-1]:
        (height, width), (camera_width, camera_height) = size, camera.size
        raise UserError(
            f"{reference.color_path} is {width}x{height} but {camera.origin} says {camera_width}x{camera_height}: "
            "give the camera of these images"
        )
    return Frame(
        name=reference.name,
        rgb=rgb,
        depth=depth,
        units_per_metre=reference.units_per_metre,
        intrinsics=camera.intrinsics,
        gravity=reference.gravity,
        instance=reference.recording,
    )


def folders(root: str) -> Iterator[tuple[str, str, list[str], list[str]]]:
    """Every folder from `root` down, sorted.

    Yields:
        Its path, its name for frames (the path below root; root's own name for root itself), the names of the folders and
        those of the files in it.

    Raises:
        UserError: `root` is not a folder.
    """
    if not os.path.isdir(root):
        raise UserError(f"`input={root}` is not a folder: give the one that holds the recordings")
    for path, inner, files in os.walk(root):
        inner.sort()
        below = os.path.relpath(path, root)
        name = os.path.basename(os.path.abspath(root)) if below == os.curdir else below.replace(os.sep, "/")
        yield path, name, inner, files


def plan(recordings: dict[str, list[Reference]], every: int, val_fraction: float, **description) -> Plan:
    """Plan recordings without labels: their names are the instances, the end of each is held out for `val`.

    Args:
        recordings: the frames of each in the order of time, by name.
        every: keeps the 1st, (every + 1)st, ... frame of each.
        val_fraction: of each, the last frames, in [0, 1).
        **description: of the plan, `gravity` and `excluded`.

    Raises:
        UserError: val_fraction leaves a split without frames.
    """
    return Plan(
        splits=hold_out.last([frames[::every] for frames in recordings.values()], val_fraction),
        load=load,
        classes=[],
        instances=list(recordings),
        **description,
    )
