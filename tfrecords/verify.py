"""Checks a data set's shards to the last bit: checksums, framing, and that every record decodes to a sample."""

import hashlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from tfrecords.dataset import Dataset

_CHUNK = 2**20
_AGAIN = "copy or build the data set again"


def verify(data: Dataset, checksums: dict[str, list[str]]) -> Iterator[str]:
    """Check every shard, in order; what it reads is not kept.

    A record's framing has a CRC of its length and one of its data (TFRecord format); it must decode
    (`tfrecords.example.decode`) to images of one size, a camera that can exist, gravity of length 1 or 0, and numbers of
    classes and instances that exist. A split must have as many records as dataset.json says.

    Args:
        data: the data set.
        checksums: SHA-256 of each shard of a split, in hexadecimal digits; splits that are not in it are not compared.

    Yields:
        A line for each split that is as it should be.

    Raises:
        UserError: the first problem, with its shard and record (counted from 0).
    """
    for name, split in data.splits.items():
        count = 0
        known = checksums.get(name, [None] * len(split.shards))
        if len(known) != len(split.shards):
            raise UserError(
                f"{data.path}: split {name} has {len(split.shards)} shards, {len(known)} checksums: {_AGAIN}"
            )
        for shard, checksum in zip(split.shards, known, strict=True):
            count += _check_records(data, shard)
            # After the records: a corrupt record is named more closely than its shard.
            if checksum is not None and _sha256(shard) != checksum:
                raise UserError(f"{shard} is not what was written (its SHA-256 differs): {_AGAIN}")
        if count != split.count:
            raise UserError(f"{data.path}: split {name} has {count} records, not {split.count} as written: {_AGAIN}")
        kind = "records and checksums" if name in checksums else "records (there are no checksums)"
        yield f"{name}: {count} frames, shards: {len(split.shards)}; {kind} as written"


def _check_records(data, shard):
    """Check each record of a shard; how many there are."""
    records = tf.data.TFRecordDataset(shard).map(data.decode, num_parallel_calls=2, deterministic=True)
    samples = records.prefetch(2).as_numpy_iterator()
    number = 0
    while True:
        try:
            problem = _problem(next(samples), data)
        except StopIteration:
            return number
        except tf.errors.DataLossError as error:
            what = "cut off" if "truncated" in error.message else "corrupt (its CRC differs)"
            raise UserError(f"{shard}, record {number}: {what}: {_AGAIN}") from None
        except tf.errors.InvalidArgumentError as error:
            raise UserError(f"{shard}, record {number}: does not decode ({files.reason(error)}): {_AGAIN}") from None
        if problem:
            raise UserError(f"{shard}, record {number}: {problem}: build the data set again")
        number += 1


def _problem(sample, data):
    """What is wrong with a decoded sample, None where nothing is."""
    height, width = sample["rgb"].shape[:2]
    if data.has_depth and sample["depth"].shape != (height, width):
        other_height, other_width = sample["depth"].shape
        return f"colour is {width}x{height}, depth {other_width}x{other_height}"
    if data.has_depth and not np.isfinite(sample["depth"]).all():
        return "depth is not finite"
    camera, length = sample["intrinsics"], np.linalg.norm(sample["gravity"])
    if data.has_depth and not (np.isfinite(camera).all() and camera[:2].min() > 0):
        return f"intrinsics {camera.tolist()} are no camera"
    if not (length == 0 or abs(length - 1) < 1e-3):
        return f"gravity has length {length:g}, neither 1 nor 0"
    for kind, names in (("label", data.classes), ("instance", data.instances)):
        if sample[kind] < -1 or (names and sample[kind] >= len(names)):
            return f"{kind} {sample[kind]} is not one of {len(names)}"
    return None


def _sha256(path):
    digest = hashlib.sha256()
    with tf.io.gfile.GFile(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
