"""What the HHA benchmark and tests encode: a scene of known geometry, and published encodings of real frames."""

import json
import pathlib

import cv2
import numpy as np

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data" / "hha"

# The NYU colour camera, zero-based, and the same at 0.325 of its size (scaled as counted from one, then zero-based).
NYU_INTRINSICS = np.array([518.8579, 519.4696, 324.5824, 252.7362], np.float32)
ROOM_SIZE = (156, 208)
ROOM_INTRINSICS = np.array([518.8579 * 0.325, 519.4696 * 0.325, 104.814, 81.464], np.float32)


def _tilt():
    c, s = np.cos(np.radians(15)), np.sin(np.radians(15))
    pitch = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    c, s = np.cos(np.radians(5)), np.sin(np.radians(5))
    return pitch @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


CAMERA_TO_GRAVITY = _tilt()
ROOM_GRAVITY = CAMERA_TO_GRAVITY.T @ (0, 1, 0)


def room(size=ROOM_SIZE, intrinsics=ROOM_INTRINSICS):
    """A room of five planes seen by a tilted camera: depth in metres `[H, W]`, and the index of the plane seen.

    Planes: 0 floor 1.3 m below, 1 ceiling 1.2 m above, 2 back wall at 4 m, 3 and 4 walls 2 m to the left and right.
    """
    fx, fy, cx, cy = intrinsics
    y, x = np.indices(size)
    rays = np.stack([(x - cx) / fx, (y - cy) / fy, np.ones(size)], axis=-1) @ CAMERA_TO_GRAVITY.T
    planes = [(1, 1.3), (1, -1.2), (2, 4.0), (0, -2.0), (0, 2.0)]
    with np.errstate(divide="ignore"):
        depths = np.stack([offset / rays[..., axis] for axis, offset in planes])
    depths = np.where(depths > 0, depths, np.inf)
    return depths.min(0).astype(np.float32), depths.argmin(0)


def golden_frames():
    """Name, depth (metres), intrinsics, valid and published HHA (uint8) of every golden image; none without the folder.

    The folder `shared` next to the checkout is optional.
    """
    frames = []
    for path in sorted(GOLDEN.glob("*/camera.json")):
        camera = json.loads(path.read_text())
        depth = cv2.imread(str(path.parent / "depth.png"), cv2.IMREAD_UNCHANGED) / camera["units_per_metre"]
        # The published code counts pixels from one.
        intrinsics = np.array([camera["fx"], camera["fy"], camera["cx"] - 1, camera["cy"] - 1], np.float32)
        for name, made_from in camera["expected"].items():
            valid = cv2.imread(str(path.parent / made_from["raw_depth_argument"]), cv2.IMREAD_UNCHANGED) > 0
            published = cv2.imread(str(path.parent / f"{name}.png"))[..., ::-1]
            frames.append((f"{path.parent.name}/{name}", depth.astype(np.float32), intrinsics, valid, published))
    return frames


def well_posed(depth, valid):
    """Pixels whose 7×7 window holds at least 12 valid ones: there the published normals are defined."""
    measured = (valid & (depth > 0)).astype(np.float32)
    return cv2.boxFilter(measured, -1, (7, 7), normalize=False, borderType=cv2.BORDER_CONSTANT) > 11.5
