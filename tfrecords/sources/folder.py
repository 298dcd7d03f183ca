"""The images of your own camera: folders of colour images with depth next to them and one camera.json, or colour only."""

import os
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from keras_simsiam.core.errors import UserError
from tfrecords import camera_file, depth_files, images
from tfrecords.camera_file import Camera
from tfrecords.example import Frame
from tfrecords.sources import Plan, choose, folder_layout, hold_out
from tfrecords.sources.folder_layout import Reference

UNKNOWN = (0.0, 0.0, 0.0)
# All zero, as for gravity, says that nothing is known; nothing asks for them without depth.
UNKNOWN_CAMERA = (0.0, 0.0, 0.0, 0.0)


def plan(
    input: str,
    rgb: str = "rgb/*",
    *,
    depth: str = "depth/*",
    without_depth: str = "skip",
    camera: str | None = None,
    camera_file: str | None = None,
    units_per_metre: float | None = None,
    gravity: str = "unknown",
    labels: str = "none",
    split: str = "all",
    every: int = 1,
    val_fraction: float = 0.0,
    seed: int = 0,
) -> Plan:
    """Plan a data set of what two patterns match.

    The wildcards are read from the left: the split where `split` is folder, then the class where `labels` is folder, then
    what tells recordings and frames apart.

    Args:
        input: the folder that the patterns are relative to.
        rgb: pattern of the colour images, PNG or JPEG (`folder_layout.scan`).
        depth: pattern of the depth images; a frame's two images are those for which the wildcards match the same. Empty:
            colour only.
        without_depth: `skip`: a colour image without a depth image is left out; or `keep`: its depth is missing throughout. It
            needs no camera then.
        camera: fx,fy,cx,cy of the colour images, to which the depth is registered.
        camera_file: path of the camera file; without either the camera.json next to or above each image is read.
        units_per_metre: depth value of one metre, where the camera file does not tell it.
        gravity: gx,gy,gz in the camera frame, of a camera that stands still; or `unknown`.
        labels: `none`; or `folder`: the first wildcard after the split's names the class.
        split: `all`: everything is for training; or `folder`: the first wildcard is train (training, learn), val (valid,
            validation, dev) or test (testing, eval).
        every: keeps the 1st, (every + 1)st, ... frame of each recording (the frames of one folder, 2 before 10).
        val_fraction: of the training data that becomes `val`, in [0, 1): the last part of each recording, for
            neighbouring frames of a video are nearly the same.
        seed: of nothing; the builder orders the records by it.

    Raises:
        UserError: a file or an argument that the user can correct, named in the message.
    """
    choose("without_depth", without_depth, ("skip", "keep"))
    if without_depth == "keep" and not depth:
        raise UserError("`without_depth=keep` is for frames with and without depth in one data set: give `depth` too")
    choose("labels", labels, ("none", "folder"))
    choose("split", split, ("all", "folder"))
    direction = _gravity(gravity)
    references = [
        reference
        for recording in folder_layout.sequences(folder_layout.scan(input, rgb, depth))
        for reference in recording[::every]
    ]
    _check_keys(references, rgb, (split == "folder") + (labels == "folder"))
    classes = []
    if labels == "folder":
        references, classes = _labelled(references, int(split == "folder"))
    splits = _by_folder(references) if split == "folder" else {"train": references}
    cameras = _cameras(references, camera, camera_file, units_per_metre, depth, without_depth)
    return Plan(
        splits=_hold_out(splits, val_fraction) if val_fraction else splits,
        load=_Loader(cameras, direction, bool(depth), without_depth),
        classes=classes,
        instances=[],
        gravity={"mode": "unknown"} if direction == UNKNOWN else {"mode": "given", "direction": list(direction)},
    )


def _gravity(text):
    return camera_file.parse_gravity(text, "unknown") or UNKNOWN


def _path(reference):
    return reference.color_path or reference.depth_path


def _check_keys(references, rgb, folders):
    for reference in references:
        if len(reference.key) <= folders:
            raise UserError(
                f"`rgb={rgb}`: {_path(reference)} gives the wildcards {len(reference.key)} part(s), `split=folder` and "
                "`labels=folder` need one each before the frame's own: write '*/' for each"
            )


def _labelled(references, part):
    """The references with labels, and the classes: the names at that place of the keys, sorted."""
    classes = sorted({reference.key[part] for reference in references})
    numbers = {name: number for number, name in enumerate(classes)}
    return [
        Reference(reference.key, reference.color_path, reference.depth_path, numbers[reference.key[part]])
        for reference in references
    ], classes


def _by_folder(references):
    splits = {"train": [], "val": [], "test": []}
    for reference in references:
        split = folder_layout.split_of(reference.key[0])
        if split is None:
            raise UserError(
                f"`split=folder`: '{reference.key[0]}' of {_path(reference)} names no split: call the folders train, "
                "val and test, or leave the flag out"
            )
        splits[split].append(reference)
    return {name: references for name, references in splits.items() if references}


def _hold_out(splits, fraction):
    """Take `val` from the end of each recording of `train`, in addition to what `val` already has."""
    held = hold_out.last(folder_layout.sequences(splits.get("train", [])), fraction)
    return splits | {"train": held["train"], "val": splits.get("val", []) + held["val"]}


def _cameras(references, camera, path, units_per_metre, depth, without_depth) -> Mapping[str, tuple[Camera, float]]:
    """Camera and units by folder of images; none where nothing tells the camera of images without depth."""
    given = camera_file.given(camera, path)
    if given is None and not depth:
        return {}
    if given is None and without_depth == "keep":
        references = [
            each for each in references if each.depth_path or camera_file.nearest(os.path.dirname(_path(each)))
        ]
    paths = {os.path.dirname(_path(reference)): _path(reference) for reference in references}
    cameras = {folder: given or camera_file.of_image(path) for folder, path in paths.items()}
    return {
        folder: (own, camera_file.units(own, units_per_metre, paths[folder]) if depth else 1.0)
        for folder, own in cameras.items()
    }


class _Loader:
    """Reader of a reference's frame."""

    def __init__(
        self, cameras: Mapping[str, tuple[Camera, float]], gravity: Sequence[float], has_depth: bool, without_depth: str
    ):
        self._cameras, self._gravity, self._has_depth, self._without = cameras, gravity, has_depth, without_depth

    def __call__(self, reference: Reference) -> Frame:
        self._check_partner(reference)
        rgb, size = images.read_color(reference.color_path)
        camera, units = self._cameras.get(os.path.dirname(reference.color_path), (None, 1.0))
        _check_camera(camera, reference.color_path, size)
        intrinsics = camera.intrinsics if camera else UNKNOWN_CAMERA
        depth = None
        if self._has_depth and reference.depth_path is None:
            depth = cv2.imencode(".png", np.zeros(size, np.uint16))[1].tobytes()
            intrinsics = camera.intrinsics if camera else _some_camera(size)
        elif self._has_depth:
            depth, units, depth_size = depth_files.read_for_record(reference.depth_path, units)
            _check_registered(reference, size, depth_size)
        return Frame(
            name=reference.name,
            rgb=rgb,
            depth=depth,
            units_per_metre=units,
            intrinsics=intrinsics,
            gravity=self._gravity,
            label=reference.label,
        )

    def _check_partner(self, reference):
        if reference.color_path is None:
            raise UserError(f"{reference.depth_path} has no colour image of its name: fetch it, or remove the depth")
        if self._has_depth and self._without == "skip" and reference.depth_path is None:
            raise UserError(
                f"{reference.color_path} has no depth image of its name: fetch it, remove the colour, or give "
                "`without_depth=keep`"
            )


def _some_camera(size):
    """A camera of some 53 degrees: a record with depth has one, though what has no depth makes no use of it."""
    height, width = size
    return float(max(size)), float(max(size)), (width - 1) / 2, (height - 1) / 2


def _check_camera(camera, path, size):
    height, width = size
    if camera is not None and camera.size not in (None, (width, height)):
        raise UserError(
            f"{path} is {width}x{height} but {camera.origin} says {camera.size[0]}x{camera.size[1]}: give its camera"
        )


def _check_registered(reference, size, depth_size):
    if depth_size != size:
        (height, width), (depth_height, depth_width) = size, depth_size
        raise UserError(
            f"{reference.depth_path} is {depth_width}x{depth_height} but {reference.color_path} {width}x{height}: register "
            "the depth to the colour camera first"
        )
