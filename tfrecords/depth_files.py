"""Folders of depth images: finds the files and reads them, whatever their format, as metres or as a record's PNG."""

import glob
import os

# OpenCV reads EXR only where this is set. What it cannot read is reported by our own line.
os.environ["OPENCV_IO_ENABLE_OPENEXR"] = "1"
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2
import numpy as np

from keras_simsiam.core.errors import UserError
from tfrecords import images

SUFFIXES = (".png", ".pgm", ".tif", ".tiff", ".exr", ".npy")

# Of the PNG that floats become: 0.24 mm a step, up to 16 m. Exact for float16 metres of 0.25 m and more.
FLOAT_STEPS_PER_METRE = 4096.0

# The median depth of an image, metres, outside of which its units must be others than was said.
NEAREST_MEDIAN = 0.01
FARTHEST_MEDIAN = 50.0


def find(pattern: str, output: str) -> tuple[str, list[str]]:
    """Find depth images.

    Args:
        pattern: a folder, searched with the folders in it for files with one of SUFFIXES; a file; or a glob pattern
            (`**` for any folders), whose files may have any suffix.
        output: a folder that is not searched, where it lies below the others.

    Returns:
        The folder below which the files lie (what precedes the first wildcard), and their paths, sorted.

    Raises:
        UserError: no depth images.
    """
    if os.path.isdir(pattern):
        root = pattern
        paths = glob.glob(os.path.join(glob.escape(pattern), "**", "*"), recursive=True)
        paths = [path for path in paths if os.path.splitext(path)[1].lower() in SUFFIXES]
    else:
        root = _folder_before_wildcards(pattern)
        paths = [pattern] if os.path.exists(pattern) else glob.glob(pattern, recursive=True)
    if _is_below(output, root):
        paths = [path for path in paths if not _is_below(path, output)]
    paths = sorted(path for path in paths if os.path.isfile(path))
    if not paths:
        raise UserError(
            f"`input={pattern}`: there are no depth images ({' '.join(SUFFIXES)}): name a folder or pattern"
        )
    return root or os.curdir, paths


def read(path: str, units_per_metre: float, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read a depth image.

    Args:
        path: of a PNG, PGM, TIFF, EXR or NumPy file of one channel, of integers of 16 bits or more, or of floats.
        units_per_metre: what its values are divided by.
        size: width and height that it must have, where known.

    Returns:
        float32 [H,W], metres; what is not positive and finite is missing.

    Raises:
        UserError: the file is not readable, of another kind or size, without any depth, or its median depth is one that
            no depth camera measures.
    """
    image = _decode(path)
    _check_kind(path, image)
    height, width = image.shape
    if size is not None and (width, height) != tuple(size):
        raise UserError(f"{path} is {width}x{height} but its camera's images are {size[0]}x{size[1]}: give its camera")
    with np.errstate(over="ignore"):  # what is beyond float32 becomes infinite, which is missing
        depth = (image.astype(np.float64) / units_per_metre).astype(np.float32)
    _check_plausible(path, depth, units_per_metre)
    return depth


def read_for_record(path: str, units_per_metre: float) -> tuple[bytes, float, tuple[int, int]]:
    """Read a depth image as a record holds it.

    Args:
        path: as for `read`.
        units_per_metre: what its values are divided by to give metres.

    Returns:
        A 16-bit PNG: the file's own bytes where it is one, else as `quantise` makes it; its units per metre; and its
        height and width.

    Raises:
        UserError: as `read` and `quantise` do.
    """
    if path.lower().endswith(".png"):
        encoded, values = images.read_depth(path)
        _check_plausible(path, values / units_per_metre, units_per_metre)
        return encoded, units_per_metre, values.shape
    values, units = quantise(_decode(path), units_per_metre, path)
    return cv2.imencode(".png", values)[1].tobytes(), units, values.shape


def quantise(image: np.ndarray, units_per_metre: float, origin: str) -> tuple[np.ndarray, float]:
    """Depth as 16-bit integers: integers keep their values, floats become steps of 1/FLOAT_STEPS_PER_METRE m.

    Args:
        image: [H,W], integers of 16 bits or more, or floats; what is not positive and finite is missing.
        units_per_metre: what its values are divided by to give metres.
        origin: what the message of an error shall call it.

    Returns:
        uint16 [H,W], 0 = missing, and its units per metre.

    Raises:
        UserError: the image is of another kind, has depth that 16 bits do not hold, has none at all, or its median depth
            is one that no depth camera measures.
    """
    _check_kind(origin, image)
    with np.errstate(invalid="ignore", over="ignore"):
        metres = image.astype(np.float64) / units_per_metre
        present = np.isfinite(metres) & (metres > 0)
    steps = FLOAT_STEPS_PER_METRE if image.dtype.kind == "f" else units_per_metre
    _check_plausible(origin, metres, units_per_metre)
    farthest, limit = metres[present].max(), np.iinfo(np.uint16).max / steps
    if farthest > limit:
        raise UserError(
            f"{origin}: depth up to {farthest:.4g} m, but 16 bits at {steps:g} steps a metre end at {limit:.4g} m: "
            "set what lies beyond to 0, or write 16-bit PNG in coarser units"
        )
    return np.rint(np.where(present, metres, 0) * steps).astype(np.uint16), steps


def _check_kind(path, image):
    if image.ndim != 2:
        raise UserError(f"{path} is not of one channel (its shape is {image.shape}): depth has one")
    if image.dtype.kind not in "iuf" or image.dtype.itemsize < 2:
        raise UserError(f"{path} is of type {image.dtype}, not of 16 bits or floats: fetch the original depth")


def _check_plausible(path, depth, units_per_metre):
    present = depth[np.isfinite(depth) & (depth > 0)]
    if not present.size:
        raise UserError(f"{path} holds no depth: every pixel is missing")
    median = float(np.median(present))
    if not NEAREST_MEDIAN <= median <= FARTHEST_MEDIAN:
        raise UserError(f"{path}: median depth {median:.4g} m: {units_per_metre:g} units per metre are wrong for it")


def _decode(path):
    decode = _read_numpy if path.lower().endswith(".npy") else _read_image
    try:
        image = decode(path)
    except (OSError, ValueError, cv2.error):
        image = None
    if image is None:
        raise UserError(f"{path} is not a readable PNG, PGM, TIFF, EXR or NumPy file: fetch or write it again")
    return image


def _read_image(path):
    return cv2.imread(path, cv2.IMREAD_UNCHANGED)


def _read_numpy(path):
    with open(path, "rb") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _folder_before_wildcards(pattern):
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder


def _is_below(path, folder):
    """Whether a path lies in a folder or in one of those in it."""
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return path != folder and os.path.commonpath([path, folder]) == folder
