"""Reads a data set's dataset.json, from a local folder or from http://, https:// or s3://."""

import json
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from keras_simsiam.core.errors import UserError
from tfrecords import example, filesystems
from tfrecords.dataset_json import DATASET_JSON
from tfrecords.splits import Split


def read(folder: str) -> dict[str, Any]:
    """What dataset.json says of a data set: `splits`, `classes`, `instances`, `has_depth`, `depth_origin` of a `Dataset`.

    Raises:
        UserError: the folder has none, it is not what this package writes, or a newer version wrote it; or, in a
            local folder, a shard is missing or not of the size that was written.
    """
    path = tf.io.gfile.join(folder, DATASET_JSON)
    text = _text(folder, path)
    try:
        content = json.loads(text)
        version = content["schema_version"]
        if version <= example.SCHEMA_VERSION:
            return {
                "splits": {name: _split(folder, split) for name, split in content["splits"].items()},
                "classes": tuple(content["classes"]),
                "instances": tuple(content["instances"]),
                "has_depth": content["has_depth"],
                "depth_origin": depth_origin(content),
            }
    except (ValueError, KeyError, TypeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise UserError(f"{path} is damaged ({reason}): delete {folder} and build it again") from None
    raise UserError(
        f"{path} has schema version {version}, this package reads up to {example.SCHEMA_VERSION}: "
        "update the package or build the data set again"
    )


def depth_origin(content: Mapping[str, Any]) -> str:
    """What predicted the depth, in words: `predicted by midas.onnx (SHA-256 …)`; empty where it was measured, or has none.

    Args:
        content: of dataset.json.
    """
    by = content.get("predicted_depth")
    return f"predicted by {by['by']} (SHA-256 {by['sha256'][:12]}…), not measured" if by else ""


def _text(folder, path):
    filesystems.register_for(path)
    try:
        with tf.io.gfile.GFile(path) as file:
            return file.read()
    except tf.errors.OpError as error:
        if filesystems.is_remote(path):
            raise UserError(f"cannot read {path} ({filesystems.reason(error)}): check the address") from None
        raise UserError(
            f"no data set in {folder} ({DATASET_JSON} is missing): build one by "
            f"`python -m tfrecords.build --source=... --output={folder}`"
        ) from None


def _split(folder, content):
    shards = tuple(tf.io.gfile.join(folder, shard) for shard in content["shards"])
    # data sets of the first release did not say
    written = content.get("bytes", [None] * len(shards))
    sizes = tuple(_checked_size(*pair) for pair in zip(shards, written, strict=True))
    labels = {int(label): count for label, count in content.get("labels", {}).items()}
    return Split(shards, content["count"], sizes, tuple(content.get("sha256", ())), labels=labels)


def _checked_size(shard, written):
    """A shard's bytes; a remote one's are believed where dataset.json has them, to spare a request for every shard."""
    if written is not None and filesystems.is_remote(shard):
        return written
    size = tf.io.gfile.stat(shard).length if tf.io.gfile.exists(shard) else None
    if size is None or written not in (None, size):
        state = "is missing" if size is None else f"has {size} bytes, not {written} as written"
        raise UserError(f"{shard} {state}: copy or build the data set again")
    return size
