"""Data sets that TensorFlow Datasets has prepared on disk, nyu_depth_v2 for one; read without TensorFlow operations."""

import functools
import importlib
import os
import struct
from dataclasses import dataclass
from types import ModuleType

import cv2
import numpy as np

from keras_simsiam.core.errors import UserError
from tfrecords import camera_file, depth_files, images
from tfrecords.camera_file import Camera
from tfrecords.example import Frame
from tfrecords.sources import Plan

# Names under which the builders of TFDS keep them, the usual one first.
_COLOR = ("image", "rgb", "color")
_DEPTH = ("depth", "depth_map", "depth_image")
_LABEL = ("label", "class")

_SPLITS = {"validation": "val"}

# A TFRecord is a length, its checksum, the data, their checksum.
_LENGTH = struct.Struct("<Q")
_BEFORE, _AFTER = 12, 4


@dataclass(frozen=True, slots=True)
class _Reference:
    name: str
    path: str
    offset: int  # of the record's data, bytes
    length: int


def plan(
    input: str,
    camera: str | None = None,
    *,
    camera_file: str | None = None,
    units_per_metre: float | None = None,
    gravity: str = "unknown",
    seed: int = 0,
) -> Plan:
    """Plan a data set from a folder that TensorFlow Datasets has written, with the splits it has there.

    Colour is the first image feature of the names image, rgb, color; depth, where there is any, of depth, depth_map,
    depth_image; the label the class label of the names label, class. The plan reads the lengths of the records only.

    Args:
        input: the folder of one version, which holds dataset_info.json, prepared as TFRecord files (the default of TFDS).
        camera: fx,fy,cx,cy of the images, which TFDS does not keep; needed where there is depth.
        camera_file: path of a camera file instead.
        units_per_metre: depth value of one metre: 1 for nyu_depth_v2.
        gravity: gx,gy,gz in the camera frame, of a camera that stands still; or `unknown`.
        seed: of nothing; the builder orders the records by it.

    Raises:
        UserError: tensorflow-datasets is not installed, or a file or an argument that the user can correct.
    """
    info = _open(input).info
    names = _Names.of(info.features, input)
    splits = {
        _SPLITS.get(split, split): list(_references(split, content)) for split, content in sorted(info.splits.items())
    }
    direction = _gravity(gravity)
    return Plan(
        splits=splits,
        load=_Loader(input, names, *_camera(camera, camera_file, units_per_metre, names, input), direction),
        classes=list(info.features[names.label].names) if names.label else [],
        instances=[],
        gravity={"mode": "unknown"} if not any(direction) else {"mode": "given", "direction": list(direction)},
    )


def _import_tfds() -> ModuleType:
    try:
        # First, for without it tensorflow_datasets logs a traceback and goes on empty.
        importlib.import_module("tensorflow_metadata.proto.v0.schema_pb2")
        import tensorflow_datasets
    except ImportError as error:
        raise UserError(
            f"`source=tfds` needs tensorflow-datasets ({error}): pip install tensorflow-datasets 'tensorflow-metadata<1.18'"
        ) from None
    return tensorflow_datasets


@functools.cache
def _open(folder):
    """The builder of a prepared data set, with what its files say and none of its code."""
    tfds = _import_tfds()
    if not os.path.exists(os.path.join(folder, "dataset_info.json")):
        raise UserError(
            f"`input={folder}` has no dataset_info.json: give the folder of one version, as "
            "~/tensorflow_datasets/nyu_depth_v2/0.0.1, which tfds.builder('nyu_depth_v2').download_and_prepare() makes"
        )
    builder = tfds.builder_from_directory(folder)
    if builder.info.file_format.value != "tfrecord":
        raise UserError(
            f"`input={folder}` is not of TFRecord files: prepare it by tfds.builder(NAME, file_format='tfrecord')"
        )
    return builder


@dataclass(frozen=True)
class _Names:
    """The features that are used, by name; None where there is none."""

    color: str
    depth: str | None
    label: str | None

    @classmethod
    def of(cls, features, folder):
        feature = _import_tfds().features
        color = _first(features, _COLOR, lambda kind: isinstance(kind, feature.Image) and kind.np_dtype == np.uint8)
        if color is None:
            raise UserError(
                f"`input={folder}` has no 8-bit image called {', '.join(_COLOR)}: its features are {', '.join(features)}"
            )
        depth = _first(features, _DEPTH, lambda kind: isinstance(kind, feature.Tensor | feature.Image))
        return cls(color, depth, _first(features, _LABEL, lambda kind: isinstance(kind, feature.ClassLabel)))


def _first(features, names, fits):
    return next((name for name in names if name in features and fits(features[name])), None)


def _references(split, content):
    """Where the records of a split are, in the order of TFDS."""
    number = 0
    for path, count in zip(map(os.fspath, content.filepaths), content.shard_lengths, strict=True):
        records = list(_scan(path))
        if len(records) != count:
            raise UserError(
                f"{path} has {len(records)} records, not {count} as dataset_info.json says: prepare it again"
            )
        for offset, length in records:
            yield _Reference(f"{split}/{number:07d}", path, offset, length)
            number += 1


def _scan(path):
    """Offset and length of the data of each whole record of a TFRecord file."""
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            start = 0
            while start + _BEFORE + _AFTER <= size:
                file.seek(start)
                (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
                start += _BEFORE + length + _AFTER
                if start <= size:
                    yield start - _AFTER - length, length
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): prepare the data set again") from None


def _gravity(text):
    return camera_file.parse_gravity(text, "unknown") or (0.0, 0.0, 0.0)


def _camera(camera, path, units_per_metre, names, folder) -> tuple[Camera | None, float]:
    shared = camera_file.given(camera, path)
    if names.depth is None:
        return shared, 1.0
    if shared is None:
        raise UserError(f"`input={folder}` has depth, whose camera TFDS does not keep: give `camera=fx,fy,cx,cy`")
    return shared, camera_file.units(shared, units_per_metre, folder)


class _Loader:
    """Reader of a reference's frame."""

    def __init__(self, folder, names, camera, units_per_metre, gravity):
        self._folder, self._names, self._gravity = folder, names, gravity
        self._camera, self._units_per_metre = camera, units_per_metre

    def __call__(self, reference: _Reference) -> Frame:
        example = self._example(reference)
        rgb = example[self._names.color]
        size = images.check_color(rgb, f"image {reference.name}")
        depth, units = None, 1.0
        if self._names.depth:
            depth, units = self._depth(example[self._names.depth], f"depth {reference.name}", size)
        return Frame(
            name=reference.name,
            rgb=rgb,
            depth=depth,
            units_per_metre=units,
            intrinsics=self._camera.intrinsics if self._camera else (0.0, 0.0, 0.0, 0.0),
            gravity=self._gravity,
            label=int(example[self._names.label]) if self._names.label else -1,
        )

    def _example(self, reference):
        """The features; the colour image still encoded, as it was stored."""
        with open(reference.path, "rb") as file:
            file.seek(reference.offset)
            record = file.read(reference.length)
        skip = {self._names.color: _import_tfds().decode.SkipDecoding()}
        try:
            return _open(self._folder).info.features.deserialize_example_np(record, decoders=skip)
        # What a damaged record raises depends on where the damage is.
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise UserError(f"{reference.path}: {reference.name} is damaged ({reason}): prepare it again") from None

    def _depth(self, image, origin, size):
        image = np.squeeze(image, -1) if image.ndim == 3 else image
        values, units = depth_files.quantise(image, self._units_per_metre, origin)
        if values.shape != size:
            raise UserError(f"{origin} is not of its image's size {size[1]}x{size[0]}: register it to the image first")
        return cv2.imencode(".png", values)[1].tobytes(), units
