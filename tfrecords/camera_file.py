"""The camera of a folder of depth images: a --camera flag, a camera.json, or Open3D's intrinsics file; and its flags."""

import functools
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keras_simsiam.core.errors import UserError

NAME = "camera.json"

# Data sets keep depth/ next to camera.json, or train/depth/ below it; what lies farther up belongs to something else.
_FOLDERS_UP = 2

_UNITS = ("units_per_metre", "depth_units_per_metre")


@dataclass(frozen=True)
class Camera:
    """What is known of a depth camera.

    Attributes:
        intrinsics: fx, fy, cx, cy in pixels, zero-based pixel centres.
        size: width and height of its images in pixels, None where it is not known.
        units_per_metre: what a stored value is divided by to give metres, None where it is not known.
        origin: the file or flag it comes from.
    """

    intrinsics: tuple[float, float, float, float]
    size: tuple[int, int] | None
    units_per_metre: float | None
    origin: str


def parse(text: str) -> Camera:
    """The camera of the flag --camera=fx,fy,cx,cy.

    Raises:
        UserError: it is not four numbers with positive focal lengths.
    """
    origin = f"`camera={text}`"
    return Camera(_intrinsics(text.split(","), f"{origin}: give it as fx,fy,cx,cy in pixels"), None, None, origin)


@functools.cache
def read(path: str) -> Camera:
    """Read a camera from JSON.

    Keys: fx, fy, cx, cy, or Open3D's `intrinsic_matrix` (nine numbers, by columns). Optional: width and height;
    units_per_metre or depth_units_per_metre; pixel_coordinates, which begins with "zero-based" (the default) or
    "one-based" (1 is then subtracted from cx and cy). Other keys are not looked at, but for an encoding that says that
    the depth's bits are rotated.

    Raises:
        UserError: the file is missing, is not JSON, or one of these keys is missing or makes no sense.
    """
    content = _read_json(path)
    fx, fy, cx, cy = _intrinsics(_numbers(content, path), f"{path}: fx, fy, cx, cy or intrinsic_matrix make no camera")
    first = _first_pixel(content, path)
    if "rotated" in str(content.get("encoding", "")):
        raise UserError(f"{path} says that the depth's bits are rotated (SUN3D): convert the images, correct the file")
    return Camera((fx, fy, cx - first, cy - first), _size(content, path), _units(content, path), path)


@functools.cache
def nearest(folder: str) -> str | None:
    """Path of the camera.json in the folder or, failing that, one or two folders above; None where there is none."""
    for _ in range(_FOLDERS_UP + 1):
        path = os.path.join(folder, NAME)
        if os.path.exists(path):
            return path
        folder = os.path.normpath(os.path.join(folder, os.pardir))
    return None


def given(camera: str | None, path: str | None) -> Camera | None:
    """The camera that the flags --camera and --camera_file tell for all images; None where neither is given.

    Raises:
        UserError: both are given, or as `parse` and `read` do.
    """
    if camera is not None and path is not None:
        raise UserError("`camera` and `camera_file` exclude each other: leave one out")
    if camera is not None:
        return parse(camera)
    return None if path is None else read(path)


def of_image(path: str) -> Camera:
    """The camera of an image: that of the `nearest` camera.json.

    Raises:
        UserError: there is none, or as `read` does.
    """
    camera_path = nearest(os.path.dirname(path))
    if camera_path is None:
        raise UserError(f"{path} has no {NAME} next to or above it: give `camera=fx,fy,cx,cy` or `camera_file`")
    return read(camera_path)


def units(camera: Camera, units_per_metre: float | None, path: str) -> float:
    """The units of a depth image: the flag --units_per_metre goes before the camera file; nothing is guessed.

    Raises:
        UserError: neither tells them, or the flag is not a positive number.
    """
    if units_per_metre is not None and not 0 < units_per_metre < math.inf:
        raise UserError(f"`units_per_metre={units_per_metre:g}`: give a positive number")
    value = camera.units_per_metre if units_per_metre is None else units_per_metre
    if value is None:
        raise UserError(
            f"{path}: {camera.origin} does not tell the units: give `units_per_metre` (1000 for millimetres)"
        )
    return value


def parse_gravity(text: str, unknown: str) -> tuple[float, float, float] | None:
    """The direction of the flag --gravity=gx,gy,gz, in the camera frame (x right, y down, z forward).

    Args:
        text: of the flag.
        unknown: the word by which the flag says that it is unknown.

    Returns:
        A unit vector, None for the word.

    Raises:
        UserError: it is neither the word nor three numbers that are not all zero.
    """
    if text == unknown:
        return None
    try:
        gravity = tuple(float(value) for value in text.split(","))
    except ValueError:
        gravity = ()
    length = math.hypot(*gravity)
    if len(gravity) != 3 or not 0 < length < math.inf:
        raise UserError(f"`gravity={text}`: give {unknown}, or a direction gx,gy,gz that is not zero")
    return tuple(value / length for value in gravity)


def _read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: name an existing camera file") from None
    except ValueError:
        raise UserError(f"{path} is not valid JSON: correct it, or give `camera=fx,fy,cx,cy`") from None
    if not isinstance(content, Mapping):
        raise UserError(f"{path} is not a JSON object: correct it, or give `camera=fx,fy,cx,cy`")
    return content


def _numbers(content: Mapping[str, Any], path: str):
    """fx, fy, cx, cy as they stand in the file."""
    matrix = content.get("intrinsic_matrix")
    if matrix is None:
        missing = [key for key in ("fx", "fy", "cx", "cy") if key not in content]
        if missing:
            raise UserError(f"{path} has no {', '.join(missing)}: add it, or give `camera=fx,fy,cx,cy`")
        return [content[key] for key in ("fx", "fy", "cx", "cy")]
    # By columns fx 0 0 | 0 fy 0 | cx cy 1; a matrix by rows has cx and cy in the places of two zeros.
    if not isinstance(matrix, list) or len(matrix) != 9 or [matrix[i] for i in (1, 2, 3, 5, 8)] != [0, 0, 0, 0, 1]:
        raise UserError(f"{path}: intrinsic_matrix is not Open3D's fx,0,0,0,fy,0,cx,cy,1: correct it, or give fx … cy")
    return [matrix[i] for i in (0, 4, 6, 7)]


def _intrinsics(values, mistake):
    try:
        intrinsics = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise UserError(mistake) from None
    if len(intrinsics) != 4 or not all(map(math.isfinite, intrinsics)) or min(intrinsics[:2]) <= 0:
        raise UserError(mistake)
    return intrinsics


def _first_pixel(content, path):
    """What the file counts pixels from."""
    text = str(content.get("pixel_coordinates", "zero-based"))
    for first, beginning in enumerate(("zero-based", "one-based")):
        if text.startswith(beginning):
            return first
    raise UserError(f"{path}: pixel_coordinates begins neither with zero-based nor with one-based: correct it")


def _size(content, path):
    size = content.get("width"), content.get("height")
    if size == (None, None):
        return None
    if not all(isinstance(side, int) and side > 0 for side in size):
        raise UserError(f"{path}: width and height are not two positive whole numbers: correct or remove them")
    return size


def _units(content, path):
    units = {content[key] for key in _UNITS if key in content}
    if not units:
        return None
    value = units.pop()
    if units or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise UserError(f"{path}: {' and '.join(_UNITS)} must be one positive number: correct the file")
    return float(value)
