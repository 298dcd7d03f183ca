"""NYU Depth v2 (Silberman et al., ECCV 2012): the 1,449 labelled frames of nyu_depth_v2_labeled.mat."""

from collections import defaultdict

import cv2
import h5py
import numpy as np

from keras_simsiam.core.errors import UserError
from tfrecords.example import Frame
from tfrecords.sources import Plan, choose, hold_out, matlab, nyu_gravity, nyu_splits

# The toolbox's camera_params.m, colour camera, to which both depths are registered. Its rgb_plane2rgb_world.m counts
# pixels from one.
INTRINSICS = (518.85790117450188, 519.46961112127485, 325.58244941119034 - 1, 253.73616633400465 - 1)
_WIDTH, _HEIGHT = 640, 480

# The toolbox cuts depth off at 10 m, which becomes 65535. Steps of 0.15 mm, where a Kinect's own are 2.85 mm at 1 m and
# grow with z² (Khoshelham & Elberink 2012).
_UNITS_PER_METRE = 6553.5

_DEPTHS = {"filled": "depths", "raw": "rawDepths"}


def plan(
    input: str,
    split: str = "official",
    *,
    depth: str = "filled",
    gravity: str = "accelerometer",
    splits_file: str = "",
    val_fraction: float = 0.0,
    seed: int = 0,
) -> Plan:
    """Plan the labelled frames. The label is the scene type, the instance the scene, where the file has them.

    Args:
        input: path of the .mat file (MATLAB 7.3, that is HDF5): `images` uint8 [N,3,640,480], `depths` and `rawDepths`
            float32 [N,640,480] in metres, as h5py shows them; optional `sceneTypes`, `scenes` and `accelData`.
        split: `official`: 795 for training and 654 for testing, by splits_file; `paper`: 1,152, 144 and 145 drawn by the
            seed (`nyu_splits.paper`); `all`: everything is for training.
        depth: `filled`: in-painted, without holes; `raw`: as measured, registered to the colour image.
        gravity: `accelerometer`: that of accelData, unknown where its axes cannot be told (`nyu_gravity.measure`);
            `estimate`: frame by frame from the normals (`keras_simsiam.depth.gravity`).
        splits_file: the toolbox's splits.mat; empty: next to `input`.
        val_fraction: of the training data that becomes `val`, whole scenes drawn by the seed, in [0, 1).
        seed: of all draws.

    Raises:
        UserError: the file is damaged or of another layout, or an argument does not fit it.
    """
    choose("split", split, ("official", "paper", "all"))
    choose("gravity", gravity, ("accelerometer", "estimate"))
    variable = _DEPTHS[choose("depth", depth, tuple(_DEPTHS))]
    if splits_file and split != "official":
        raise UserError(f"`splits_file` has no meaning with `split={split}`: leave it out")
    if val_fraction and split == "paper":
        raise UserError("`val_fraction` has no meaning with `split=paper`, which has a 'val': leave it out")
    with matlab.open_hdf5(input) as file:
        count = _check_layout(file, variable)
        scene_types, scenes = (_texts(file, name, count) for name in ("sceneTypes", "scenes"))
        splits, excluded = _split(split, count, input, splits_file, seed)
        if val_fraction:
            splits |= hold_out.drawn(_by_scene(splits["train"], scenes), val_fraction, seed)
        gravities, description = None, {"mode": "estimate"}
        if gravity == "accelerometer":
            gravities, description = nyu_gravity.measure(file, variable, INTRINSICS)
    classes, instances = sorted(set(scene_types or [])), sorted(set(scenes or []))
    return Plan(
        splits=splits,
        load=_Loader(input, variable, gravities, _numbers(scene_types, classes), _numbers(scenes, instances)),
        classes=classes,
        instances=instances,
        gravity=description,
        excluded=excluded,
    )


def _check_layout(file, variable):
    """The number of frames."""
    for name, shape, kind in (("images", (3, _WIDTH, _HEIGHT), "uint8"), (variable, (_WIDTH, _HEIGHT), "float32")):
        dataset = file.get(name)
        if not isinstance(dataset, h5py.Dataset) or dataset.shape[1:] != shape:
            actual = list(dataset.shape) if isinstance(dataset, h5py.Dataset) else "missing"
            raise UserError(
                f"{file.filename}: {name} is {actual}, not [N,{','.join(map(str, shape))}] as h5py shows it: give "
                "nyu_depth_v2_labeled.mat, or a file like it"
            )
        if dataset.dtype != kind:
            raise UserError(f"{file.filename}: {name} holds {dataset.dtype}, not {kind}: give nyu_depth_v2_labeled.mat")
    count = len(file["images"])
    if not count or count != len(file[variable]):
        raise UserError(
            f"{file.filename} holds {count} images and {len(file[variable])} {variable}: it needs as many of each"
        )
    return count


def _texts(file, name, count):
    texts = matlab.texts(file, name)
    if texts is not None and len(texts) != count:
        raise UserError(f"{file.filename}: {name} has {len(texts)} entries for {count} frames: fetch the file again")
    return texts


def _split(split, count, path, splits_file, seed):
    if split == "official":
        return nyu_splits.official(count, path, splits_file), {}
    if split == "paper":
        return nyu_splits.paper(count, path, seed)
    return {"train": list(range(count))}, {}


def _by_scene(frames, scenes):
    groups = defaultdict(list)
    for frame in frames:
        groups[scenes[frame] if scenes else frame].append(frame)
    return list(groups.values())


def _numbers(names, known):
    numbers = {name: number for number, name in enumerate(known)}
    return names and [numbers[name] for name in names]


class _Loader:
    """Reader of one frame at a time: its number is its reference. gravities None: estimated from each frame."""

    def __init__(self, path, variable, gravities, labels, instances):
        self._path, self._variable, self._gravities = path, variable, gravities
        self._labels, self._instances = labels, instances

    def __call__(self, number: int) -> Frame:
        rgb, depth = self._read(number)
        gravity = nyu_gravity.estimate(depth, INTRINSICS) if self._gravities is None else self._gravities[number]
        return Frame(
            name=f"nyu_{number + 1:04}",
            rgb=_png(rgb[..., ::-1]),
            depth=_png(self._as_stored(depth, number)),
            units_per_metre=_UNITS_PER_METRE,
            intrinsics=INTRINSICS,
            gravity=tuple(float(value) for value in gravity),
            label=self._labels[number] if self._labels else -1,
            instance=self._instances[number] if self._instances else -1,
        )

    def _read(self, number):
        with matlab.open_hdf5(self._path) as file:
            try:
                # MATLAB keeps images by columns: the axes come in reverse.
                return file["images"][number].T, file[self._variable][number].T
            except OSError:
                raise UserError(
                    f"{self._path}: frame {number + 1} is damaged: fetch the file again, or build without `strict`"
                ) from None

    def _as_stored(self, metres, number):
        metres = np.where(np.isfinite(metres), metres, 0.0)
        stored = np.rint(metres * _UNITS_PER_METRE)
        if stored.min() < 0 or stored.max() > 65535:
            raise UserError(
                f"{self._path}: frame {number + 1}: {self._variable} holds {metres.min():.4g} to {metres.max():.4g}, the "
                "data set 0 to 10 m: give depth in metres"
            )
        return stored.astype(np.uint16)


def _png(image):
    return cv2.imencode(".png", np.ascontiguousarray(image))[1].tobytes()
