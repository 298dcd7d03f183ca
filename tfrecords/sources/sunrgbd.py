"""SUN RGB-D (Song et al., CVPR 2015): 10,335 frames of four sensors (kv1, kv2, realsense, xtion)."""

import os

import cv2
import numpy as np

from keras_simsiam.core.errors import UserError
from tfrecords import images
from tfrecords.example import Frame
from tfrecords.sources import Plan, choose, hold_out, sunrgbd_splits

_UNITS_PER_METRE = 1000.0
_DEPTH_FOLDERS = {"filled": "depth_bfx", "raw": "depth"}
_FRAME_FOLDERS = {"image", *_DEPTH_FOLDERS.values()}


def plan(
    input: str,
    split: str = "official",
    *,
    depth: str = "filled",
    splits_file: str = "",
    val_fraction: float = 0.0,
    seed: int = 0,
) -> Plan:
    """Plan the frames of the data set's folder tree; the label is the scene type in scene.txt, where there is one.

    Gravity comes from the frame's extrinsics, intrinsics from its intrinsics.txt.

    Args:
        input: the folder SUNRGBD, which holds kv1, kv2, realsense and xtion; any folder above a frame's folder will do.
        split: `official`: 5,285 for training and 5,050 for testing, by splits_file; `all`: everything is for training.
        depth: `filled`: depth_bfx, holes filled and refined; `raw`: depth, as measured.
        splits_file: the toolbox's allsplit.mat; empty: SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat in `input` or next to it.
        val_fraction: of the training data that becomes `val`, frames drawn by the seed, in [0, 1).
        seed: of the draw.

    Raises:
        UserError: no frame below `input`, or the split's file is missing, damaged or names none of them.
    """
    choose("split", split, ("official", "all"))
    depth_folder = _DEPTH_FOLDERS[choose("depth", depth, tuple(_DEPTH_FOLDERS))]
    if splits_file and split != "official":
        raise UserError(f"`splits_file` has no meaning with `split={split}`: leave it out")
    names = _scan(input)
    splits, excluded = {"train": names}, {}
    if split == "official":
        splits, excluded = sunrgbd_splits.official(names, input, splits_file)
    if val_fraction:
        splits |= hold_out.drawn([[name] for name in splits["train"]], val_fraction, seed)
    scenes = {name: _scene(os.path.join(input, name)) for names in splits.values() for name in names}
    classes = sorted({scene for scene in scenes.values() if scene})
    return Plan(
        splits=splits,
        load=_Loader(input, depth_folder, {name: classes.index(scene) for name, scene in scenes.items() if scene}),
        classes=classes,
        instances=[],
        gravity={"mode": "extrinsics"},
        excluded=excluded,
    )


def unrotate(stored: np.ndarray) -> np.ndarray:
    """Millimetres from a depth image of SUN3D and SUN RGB-D, whose 16 bits are rotated left by three (read3dPoints.m).

    Args:
        stored: uint16, any shape.
    """
    return (stored >> 3) | (stored << 13)


def down(extrinsics: np.ndarray) -> np.ndarray:
    """Gravity in the camera frame, of the rotation that levels the camera.

    The toolbox's readframeSUNRGBD.m makes Rtilt = S R S⁻¹ of it, S: (x, y, z) → (x, z, -y), and read3dPoints.m turns
    points (x, z, -y) by Rtilt so that their third axis points up. So R itself turns (x right, y down, z forward) so
    that y points down, and gravity is Rᵀ (0, 1, 0).

    Args:
        extrinsics: float [3,3], R.

    Returns:
        float [3], a unit vector.
    """
    return extrinsics[1] / np.linalg.norm(extrinsics[1])


def _scan(root):
    """The frames' folders below root, sorted; frames lie at different depths in the data set's parts."""
    if not os.path.isdir(root):
        raise UserError(f"`input={root}` is not a folder: give SUNRGBD, the one that holds kv1, kv2, realsense, xtion")
    names = []
    for path, inner, _ in os.walk(root):
        if _FRAME_FOLDERS & set(inner):
            names.append(os.path.relpath(path, root).replace(os.sep, "/"))
            inner.clear()
        inner.sort()
    if not names:
        raise UserError(f"`input={root}` holds no frame (image/, depth/, intrinsics.txt): give the folder SUNRGBD")
    return sorted(names)


def _scene(folder):
    path = os.path.join(folder, "scene.txt")
    return images.read_text(path).strip() if os.path.exists(path) else ""


class _Loader:
    """Reader of the frame of a folder's name."""

    def __init__(self, root, depth_folder, labels):
        self._root, self._depth_folder, self._labels = root, depth_folder, labels

    def __call__(self, name: str) -> Frame:
        folder = os.path.join(self._root, name)
        rgb, size = images.read_color(_file(os.path.join(folder, "image"), ".jpg"))
        path = _file(os.path.join(folder, self._depth_folder), ".png")
        return Frame(
            name=name,
            rgb=rgb,
            depth=_as_stored(images.read_depth(path, size)[1], path),
            units_per_metre=_UNITS_PER_METRE,
            intrinsics=_intrinsics(os.path.join(folder, "intrinsics.txt")),
            gravity=_gravity(os.path.join(folder, "extrinsics")),
            label=self._labels.get(name, -1),
        )


def _files(folder, ending):
    """The files of that kind in a folder, sorted."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(ending)) if os.path.isdir(folder) else []
    return [os.path.join(folder, name) for name in names]


def _file(folder, ending):
    files = _files(folder, ending)
    if not files:
        raise UserError(images.MISSING.format(os.path.join(folder, f"*{ending}")))
    return files[0]


def _as_stored(rotated, path):
    """Encode a rotated depth image as a PNG of millimetres."""
    # The lowest three bits hold what is beyond 8.191 m, which these sensors hardly see.
    if np.count_nonzero(rotated & 7) > np.count_nonzero(rotated) / 2:
        raise UserError(f"{path} does not hold SUN RGB-D's rotated bits: fetch the original, or use `source=folder`")
    return cv2.imencode(".png", unrotate(rotated))[1].tobytes()


def _intrinsics(path):
    """fx, fy, cx, cy of a frame; read_3d_pts_general.m counts pixels from one."""
    matrix = _matrix(path, (3, 3))
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0 or matrix[2].tolist() != [0, 0, 1]:
        raise UserError(f"{path} holds no camera matrix fx 0 cx 0 fy cy 0 0 1: fetch that frame's files again")
    return float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]) - 1, float(matrix[1, 2]) - 1


def _gravity(folder):
    """Of the last file, as the toolbox takes it; unknown where there is none."""
    files = _files(folder, ".txt")
    if not files:
        return 0.0, 0.0, 0.0
    rotation = _matrix(files[-1], (3, 4))[:, :3]
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-2):
        raise UserError(f"{files[-1]} holds no rotation: fetch that frame's files again, or remove them")
    return tuple(float(value) for value in down(rotation))


def _matrix(path, shape):
    text = images.read_text(path)
    try:
        return np.array(text.split(), float).reshape(shape)
    except ValueError:
        raise UserError(
            f"{path} does not hold {shape[0]}x{shape[1]} numbers: fetch that frame's files again, or remove them"
        ) from None
