"""A data set written without the package's writer: shards of exactly the frames that a test wants in them."""

import json

import tensorflow as tf

from tfrecords import example


def write(folder, splits, **content):
    """Writes shards and dataset.json.

    Args:
        folder: a pathlib.Path.
        splits: by name, a list of shards, each a list of frames (tfrecords.example.Frame).
        content: what else dataset.json says, or says otherwise.

    Returns:
        The folder.
    """
    folder.mkdir()
    described = {}
    for name, shards in splits.items():
        paths = [folder / f"{name}-{number:05d}.tfrecord" for number in range(len(shards))]
        for path, frames in zip(paths, shards, strict=True):
            write_records(path, map(example.encode, frames))
        sizes, count = [path.stat().st_size for path in paths], sum(map(len, shards))
        described[name] = {"shards": [path.name for path in paths], "bytes": sizes, "count": count}
    frames = [frame for shards in splits.values() for shard in shards for frame in shard]
    has_depth = all(frame.depth is not None for frame in frames)
    known = {"schema_version": example.SCHEMA_VERSION, "splits": described, "has_depth": has_depth}
    (folder / "dataset.json").write_text(json.dumps(known | {"classes": [], "instances": []} | content))
    return folder


def write_records(path, records):
    """Writes a shard of serialized records."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
