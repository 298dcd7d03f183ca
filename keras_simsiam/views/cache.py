"""Frames decoded, with their HHA and their labels, kept in memory or in a file: all that comes before the random crops.

Frames are kept as they are cropped, HHA in float32, so that views are the same bit for bit with and without a cache. They are
read by index: the shuffle then holds numbers, and the order is that of the undecoded records.

A file is built under another name, next to a lock that the system lets go of when its holder dies, and appears complete.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import itertools
import json
import mmap
import os
import pathlib
import shutil
import sys

import numpy as np
import tensorflow as tf

import keras_simsiam
from keras_simsiam.core import files, fingerprint
from keras_simsiam.core.errors import UserError
from keras_simsiam.views.preprocessing import encoded_images, label_of

# of a frame, at a file's end: height and width, label, camera
_FACTS = np.dtype([("size", np.int32, 2), ("label", np.int64), ("intrinsics", np.float32, 4)])


def in_memory(records, decode, *, preprocessing, limit_gb, depth=False):
    """Read, decode and encode every record once, into memory.

    Args:
        records: a tf.data.Dataset of undecoded records, in the same order at every pass.
        decode: graph function from a record to a Sample.
        preprocessing: a `Preprocessing`.
        limit_gb: the most that may be kept, in units of 10⁹ bytes.
        depth: whether depth and camera are kept too, for views by measured depth (`Augmentation.of_depth`).

    Returns:
        (records, decode) for `batches.view_batches` in place of those given, for the same batches.

    Raises:
        UserError: more memory is needed than that; the line says how much.
    """
    facts, kinds = _frame_facts(records, decode), _kinds(preprocessing, depth)
    needed = _bounds(facts["size"], kinds)[-1]
    _check_limit(needed, limit_gb)
    buffer = mmap.mmap(-1, int(needed))
    _announce(len(facts), needed, "memory")
    _write_frames(buffer, records, decode, preprocessing, kinds)
    return _reading(buffer, facts, kinds)


def on_disk(records, decode, *, count, preprocessing, limit_gb, folder, identity, depth=False):
    """As `in_memory`, in a file of `folder` that later runs find again; of two processes that need it one builds it.

    Args:
        records, decode: as in `in_memory`.
        count: number of records.
        preprocessing: as in `in_memory`.
        limit_gb: the most that all caches in `folder` may take together.
        folder: path; made if it does not exist.
        identity: text that differs for any two data sets, or parts of them, whose records differ.
        depth: as in `in_memory`.

    Returns:
        As `in_memory`.

    Raises:
        UserError: the file would exceed the limit or the disk's free space, or `folder` cannot be written.
    """
    path, kinds = pathlib.Path(folder, _key(identity, preprocessing, depth) + ".frames"), _kinds(preprocessing, depth)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_suffix(".lock")):
            if not path.exists():
                _build(path, records, decode, preprocessing, kinds, limit_gb)
        with open(path, "rb") as file:
            buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written or read ({files.reason(error)}): use `cache=memory` or set XDG_CACHE_HOME"
        ) from None
    return _reading(buffer, np.frombuffer(buffer[-_FACTS.itemsize * count :], _FACTS), kinds)


def default_folder():
    """Where caches lie: `keras_simsiam` in $XDG_CACHE_HOME, or in ~/.cache."""
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "keras_simsiam")


def _key(identity, preprocessing, depth):
    """Changes with the records, with all settings before the crop, with what is kept, and with the code before it."""
    settings = dataclasses.asdict(preprocessing)
    del settings["image_size"]
    facts = [identity, settings, depth, fingerprint.of(__name__), keras_simsiam.__version__, tf.__version__]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


@contextlib.contextmanager
def _locked(path):
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(path, records, decode, preprocessing, kinds, limit_gb):
    """Write the file; its name appears when all of it is on disk. To be called with the lock held."""
    facts = _frame_facts(records, decode)
    needed = _bounds(facts["size"], kinds)[-1] + facts.nbytes
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)  # of a process that was killed
    _check_limit(needed, limit_gb, path.parent)
    _announce(len(facts), needed, path)
    with files.replacing(path, partial):
        with open(partial, "wb") as file:
            _write_frames(file, records, decode, preprocessing, kinds)
            file.write(facts.tobytes())
        files.flush(partial)


def _check_limit(needed, limit_gb, folder=None):
    others = sum(file.stat().st_size for file in folder.glob("*.frames")) if folder else 0
    if needed + others > limit_gb * files.GB:
        beside = f" beside {files.in_gb(others)} of other caches in {folder}" if others else ""
        delete = " or delete some of those" if others else " or use `cache=none`"
        raise UserError(
            f"`cache_gb={limit_gb:g}`: this data set needs {files.in_gb(needed)}{beside}: allow more{delete}"
        )
    if folder and needed > shutil.disk_usage(folder).free:
        raise UserError(
            f"{folder}: the cache needs {files.in_gb(needed)}, {files.in_gb(shutil.disk_usage(folder).free)} are free: "
            "set XDG_CACHE_HOME to a larger disk or use `cache=none`"
        )


def _announce(count, needed, place):
    print(f"caching {count} frames, {files.in_gb(needed)}, in {place}", file=sys.stderr, flush=True)


def _kinds(preprocessing, depth):
    """The images of a frame in the order in which they are kept: name, type, channels."""
    types = {"hha": np.dtype(np.float32), "rgb": np.dtype(np.uint8), "depth": np.dtype(np.float32)}
    channels = preprocessing.channels | ({"depth": 1} if depth else {})
    return [(name, types[name], number) for name, number in channels.items()]


def _frame_facts(records, decode):
    """Size, label and camera of every frame, [N] of `_FACTS`. No HHA is computed for it, and the graph has no use for depth."""

    def facts(record):
        sample = decode(record)
        return tf.shape(sample["rgb"])[:2], label_of(sample), sample.get("intrinsics", tf.zeros([4]))

    each = records.map(facts, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)
    return np.array(list(each.as_numpy_iterator()), _FACTS)


def _bounds(sizes, kinds):
    """Where each frame begins, and where the last one ends: int64 [N+1], bytes."""
    pixel = sum(kind.itemsize * channels for _, kind, channels in kinds)
    return np.concatenate([[0], np.cumsum(sizes.astype(np.int64).prod(axis=1) * pixel)])


def _write_frames(file, records, decode, preprocessing, kinds):
    def images(record):
        sample = decode(record)
        depth = {name: sample[name] for name, _, _ in kinds if name == "depth"}
        return encoded_images(sample, preprocessing) | depth

    frames = records.map(images, tf.data.AUTOTUNE, deterministic=True)
    for frame in frames.prefetch(tf.data.AUTOTUNE):
        for name, _, _ in kinds:
            file.write(frame[name].numpy().tobytes())


def _reading(buffer, facts, kinds):
    """The datasets' indices, and the graph function from an index to a sample of label and images, HHA among them."""
    bounds, cameras = _bounds(facts["size"], kinds), np.ascontiguousarray(facts["intrinsics"])

    def read(index):
        height, width = facts["size"][index]
        lengths = [height * width * channels * kind.itemsize for _, kind, channels in kinds]
        starts = itertools.accumulate(lengths, initial=bounds[index])
        images = [
            np.frombuffer(buffer[start : start + length], kind).reshape(height, width, channels)
            for start, length, (_, kind, channels) in zip(starts, lengths, kinds, strict=False)
        ]
        return [facts["label"][index], *images]

    def decode(index):
        label, *images = tf.numpy_function(read, [index], [tf.int64, *(kind for _, kind, _ in kinds)], stateful=False)
        sample = {"label": tf.ensure_shape(label, [])} | {
            name: tf.ensure_shape(image, [None, None, channels])
            for image, (name, _, channels) in zip(images, kinds, strict=True)
        }
        if "depth" in sample:
            sample |= {"depth": sample["depth"][..., 0], "intrinsics": tf.gather(cameras, index)}
        return sample

    return tf.data.Dataset.range(len(facts)), decode
