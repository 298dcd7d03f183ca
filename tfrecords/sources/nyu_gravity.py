"""Where gravity points in NYU Depth v2 frames: accelData, whose axes are found by comparing it with the scenes."""

import itertools

import h5py
import numpy as np

from keras_simsiam.core.errors import UserError

_SAMPLE = 64  # frames to compare, spread over the file
_MINIMUM = 8  # of them that must show which way is down
_CONFIDENCE = 0.05  # beyond it the estimate of cameras tilted by less than 45° is within 0.6° (docs/hha.md)
_TOLERANCE = 5.0  # degrees; a Kinect's accelerometer drifts by up to 3
_OUTLIER = 20.0  # degrees

Gravities = np.ndarray


def measure(file: h5py.File, depths: str, intrinsics: tuple[float, ...]) -> tuple[Gravities, dict]:
    """Gravity of every frame by its accelerometer.

    The toolbox describes accelData's columns as roll, yaw, pitch and tilt; nothing published says along which axes and
    with which signs. So all 48 ways to match the first three columns with the camera's axes, up to sign, are compared
    with the gravity that the depth of some frames shows. The best is taken where its median angle is at most 5° and it
    is better than the next best by more than three standard errors; else gravity is unknown.

    Args:
        file: the open .mat file; `accelData` float [4,N] as h5py shows it, if it has any.
        depths: name of the depth variable to look at, [N,W,H] in metres.
        intrinsics: fx, fy, cx, cy in pixels, zero-based pixel centres.

    Returns:
        Unit vectors [N,3] in the camera frame, zero where unknown; and what dataset.json says of them: the mode, the
        accelData columns (signed, from one) that are the camera's x, y and z, and the median angle to the scenes in degrees.

    Raises:
        UserError: accelData is not [4,N].
    """
    count = len(file[depths])
    unknown = np.zeros((count, 3))
    if "accelData" not in file:
        return unknown, {"mode": "unknown", "reason": "the file has no accelData"}
    if file["accelData"].shape != (4, count):
        raise UserError(f"{file.filename}: accelData is not [4,{count}] as h5py shows it: fetch the file again")
    readings = _normalized(np.asarray(file["accelData"][:3], float).T)
    known = np.flatnonzero(readings.any(axis=1))
    sample = known[np.linspace(0, len(known) - 1, min(len(known), _SAMPLE)).round().astype(int)]
    shown = [(number, _shown(file[depths], number, intrinsics)) for number in sample]
    shown = [(number, down) for number, down in shown if down is not None]
    if len(shown) < _MINIMUM:
        return unknown, {"mode": "unknown", "reason": f"only {len(shown)} frames show where accelData's axes point"}
    numbers, downs = zip(*shown, strict=True)
    axes, degrees = _match(readings[list(numbers)], np.array(downs))
    if axes is None:
        return unknown, {"mode": "unknown", "reason": "no axes of accelData agree with the scenes"}
    columns = [int(row @ [1, 2, 3]) for row in axes]
    return readings @ axes.T, {"mode": "accelerometer", "columns": columns, "degrees": round(degrees, 2)}


def estimate(depth: np.ndarray, intrinsics: tuple[float, ...]) -> np.ndarray:
    """Gravity [3] of one frame from its depth [H,W] in metres (`keras_simsiam.depth.gravity`)."""
    return _from_depth(depth, intrinsics)[0]


def _from_depth(depth, intrinsics):
    # The other modes need none of the library.
    from keras_simsiam.depth import gravity

    down, confidence = gravity.from_depth(depth, intrinsics)
    return down.numpy(), float(confidence)


def _shown(depths, number, intrinsics):
    """Gravity that a frame's depth shows beyond doubt, else None; a damaged frame shows none."""
    try:
        depth = depths[number].T
    except OSError:
        return None
    down, confidence = _from_depth(depth, intrinsics)
    return down if confidence > _CONFIDENCE else None


def _normalized(vectors):
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=np.isfinite(length) & (length > 0))


def _match(readings, downs):
    """The signed permutation [3,3] that turns readings [K,3] into downs [K,3] best, and the median angle in degrees.

    None and None where none is near enough, or two are alike.
    """
    candidates = [
        np.diag(signs) @ np.eye(3)[list(order)]
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1, -1), repeat=3)
    ]
    cosines = np.einsum("mij,kj,ki->mk", np.array(candidates), readings, downs)
    errors = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    # A camera tilted by about 45° may show another axis of the room: how far off it is says nothing.
    costs = np.minimum(errors, _OUTLIER)
    best, second = np.argsort(costs.mean(axis=1))[:2]
    lead = costs[second] - costs[best]
    certain = lead.mean() > 3 * lead.std() / np.sqrt(len(lead))
    degrees = float(np.median(errors[best]))
    return (candidates[best], degrees) if certain and degrees <= _TOLERANCE else (None, None)
