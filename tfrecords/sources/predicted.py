"""The colour frames of a data set with depth that a network predicts. tools.pseudo_depth builds it, not tfrecords.build."""

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from tfrecords import corrupt_shards, depth_files, example, filesystems
from tfrecords.dataset import Dataset
from tfrecords.dataset_json import DATASET_JSON
from tfrecords.sources import Plan

_LENGTH = 12  # bytes before a record: its length, and the checksum of that
_CHECKSUM = 4  # bytes after it
_LARGEST = np.iinfo(np.uint16).max
# Of the PNG where FLOAT_STEPS_PER_METRE do not reach: millimetres, up to 65.5 m.
_COARSE_STEPS_PER_METRE = 1000.0


@dataclass(frozen=True, slots=True)
class _Reference:
    """Where a record lies: what precedes it in its shard, and its length, both in bytes."""

    name: str
    shard: str
    start: int
    length: int


def colour_only(data_dir: str) -> Dataset:
    """A local data set of colour alone.

    Raises:
        UserError: it has depth, is remote, or `Dataset` refuses it.
    """
    if filesystems.is_remote(data_dir):
        raise UserError(f"`data_dir={data_dir}` is remote: copy it here first")
    dataset = Dataset(data_dir)
    if dataset.has_depth:
        kind = "depth that was predicted" if dataset.depth_origin else "measured depth"
        raise UserError(f"`data_dir={data_dir}` has {kind} already: give a data set of colour alone")
    return dataset


def plan(
    dataset: Dataset,
    predict: Callable[[np.ndarray], np.ndarray],
    *,
    prediction: Mapping[str, Any],
    fov: float | None = None,
) -> Plan:
    """Plan the data set: splits, order, names, labels, instances, cameras and gravity are those of `dataset`.

    Args:
        dataset: what `colour_only` gives.
        predict: picklable; from uint8 [H,W,3] to metres, float32 [H,W], 0 = missing.
        prediction: of dataset.json: `by` and `sha256`, and how it was used, as JSON values.
        fov: degrees that frames without a camera cover along their longer side, in (0, 180).

    Raises:
        UserError: a frame has no camera and `fov` is None, or all have one and it is not; a shard is corrupt.
    """
    splits, without_camera, frames = {}, [], 0
    for name, split in dataset.splits.items():
        splits[name] = []
        for reference, frame in _records(split):
            splits[name].append(reference)
            frames += 1
            if not any(frame.intrinsics):
                without_camera.append(frame.name)
    if without_camera and fov is None:
        raise UserError(
            f"{len(without_camera)} of {frames} frames of {dataset.path} have no camera, which HHA needs "
            f"({without_camera[0]}, say): give `fov`, the degrees along their longer side (55, say)"
        )
    if fov is not None and not without_camera:
        raise UserError(f"`fov={fov:g}` has no meaning: all frames of {dataset.path} have a camera: leave it out")
    with open(os.path.join(dataset.path, DATASET_JSON), encoding="utf-8") as file:
        content = json.load(file)
    return Plan(
        splits=splits,
        load=_Loader(predict, fov),
        classes=dataset.classes,
        instances=dataset.instances,
        gravity=content.get("gravity", {}),
        excluded=content.get("excluded", {}),
        more={
            "predicted_depth": {**prediction, "fov": fov, "frames_without_camera": len(without_camera)},
            "colour": {"source": content.get("source", {}), "sha256": dataset.checksum},
        },
    )


def _records(split):
    """A reference and the frame of each record, in the order written."""
    for shard, size in zip(split.shards, split.sizes, strict=True):
        if problem := corrupt_shards.read_through(shard, size).problem:
            raise UserError(f"{shard} is corrupt, {problem}: copy or build the data set again")
        start = 0
        for record in tf.data.TFRecordDataset(shard).as_numpy_iterator():
            frame = example.parse(record)
            yield _Reference(frame.name, shard, start + _LENGTH, len(record)), frame
            start += _LENGTH + len(record) + _CHECKSUM


class _Loader:
    """Reader of a reference's frame, to which it adds depth and, where it has none, a camera."""

    def __init__(self, predict: Callable[[np.ndarray], np.ndarray], fov: float | None):
        self._predict, self._fov = predict, fov

    def __call__(self, reference: _Reference) -> example.Frame:
        with open(reference.shard, "rb") as file:
            file.seek(reference.start)
            frame = example.parse(file.read(reference.length))
        try:
            # As a reader of the data set decodes it.
            rgb = tf.io.decode_image(frame.rgb, channels=3, expand_animations=False).numpy()
        except tf.errors.InvalidArgumentError:
            raise UserError(f"{frame.name}: its colour image does not decode: build the data set again") from None
        depth, units = _encoded(self._predict(rgb), frame.name)
        intrinsics = frame.intrinsics if any(frame.intrinsics) else intrinsics_of(self._fov, *rgb.shape[:2])
        return replace(frame, depth=depth, units_per_metre=units, intrinsics=intrinsics)


def intrinsics_of(fov: float, height: int, width: int) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy in pixels of a camera of square pixels that looks at the middle of its image.

    Args:
        fov: field of view along the longer side, from edge to edge, degrees.
        height: of the image, pixels.
        width: of the image, pixels.
    """
    focal_length = max(height, width) / 2 / math.tan(math.radians(fov) / 2)
    return focal_length, focal_length, (width - 1) / 2, (height - 1) / 2


def _encoded(metres, name):
    """Depth as a record holds it: a 16-bit PNG and its units per metre; what lies beyond 65.5 m is missing."""
    metres = np.where(np.isfinite(metres) & (metres > 0), metres, 0)
    if not metres.any():
        raise UserError(f"{name}: the network predicts no depth for it, all pixels are missing")
    median = float(np.median(metres[metres > 0]))
    if not depth_files.NEAREST_MEDIAN <= median <= depth_files.FARTHEST_MEDIAN:
        raise UserError(f"{name}: the median of its predicted depth is {median:.4g} m: check `unit` and the network")
    metres = np.where(metres <= _LARGEST / _COARSE_STEPS_PER_METRE, metres, 0)
    fine = metres.max() <= _LARGEST / depth_files.FLOAT_STEPS_PER_METRE
    steps = depth_files.FLOAT_STEPS_PER_METRE if fine else _COARSE_STEPS_PER_METRE
    values = np.rint(metres * steps).astype(np.uint16)
    return cv2.imencode(".png", values)[1].tobytes(), steps
