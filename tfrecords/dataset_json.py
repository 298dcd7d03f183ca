"""dataset.json: what it says of a data set, and how it appears, last of all, next to the shards."""

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from keras_simsiam.core import files
from tfrecords import example, frame_statistics
from tfrecords.shard import writing

DATASET_JSON = "dataset.json"
SKIPPED_JSONL = "skipped.jsonl"


def shard_name(split: str, number: int) -> str:
    """The file name of a split's shard, counted from 0."""
    return f"{split}-{number:05d}.tfrecord"


def describe(shards: Mapping[str, Sequence[dict]], description: Mapping[str, Any]) -> dict:
    """The content of dataset.json.

    Args:
        shards: by split, the facts of each shard (`tfrecords.shard.Shard.finish`), at least one of them with frames.
        description: what else it shall say: source, classes, instances, gravity and so on, as JSON values.

    Returns:
        `description` and schema_version, splits (shards, bytes, sha256, count, labels: frames by label), has_depth,
        camera, depth (None for colour only), and in gravity how many frames it is known for.
    """
    # A shard all of whose frames had to be left out has no records to read.
    shards = {split: [facts for facts in written if facts["count"]] for split, written in shards.items()}
    total = frame_statistics.merge(itertools.chain(*shards.values()))
    return {
        "schema_version": example.SCHEMA_VERSION,
        "splits": {split: _split(written) for split, written in shards.items() if written},
        "has_depth": total["depth"] is not None,
        "camera": _camera(total["ranges"]),
        "depth": total["depth"] and _depth(total["depth"]),
        **description,
        "gravity": dict(description.get("gravity", {})) | _gravity(total),
    }


def publish(folder: str, output: str, content: Mapping[str, Any], skipped: Sequence[dict] = ()) -> None:
    """Move finished shards from a folder to the output, on the same disk; then dataset.json: now the data set exists.

    Interrupted, it can be called again.

    Args:
        folder: where the shards are, those that have not been moved yet.
        output: the data set's folder.
        content: of dataset.json, as `describe` makes it.
        skipped: a line each in skipped.jsonl.

    Raises:
        WriteError: something cannot be written.
    """
    names = [name for split in content["splits"].values() for name in split["shards"]]
    if skipped:
        write(os.path.join(folder, SKIPPED_JSONL), "".join(json.dumps(line) + "\n" for line in skipped))
        names.append(SKIPPED_JSONL)
    write(os.path.join(folder, DATASET_JSON), json.dumps(content, indent=1) + "\n")
    with writing(output):
        for name in names:
            if os.path.exists(os.path.join(folder, name)):
                os.replace(os.path.join(folder, name), os.path.join(output, name))
        files.flush(output)
        os.replace(os.path.join(folder, DATASET_JSON), os.path.join(output, DATASET_JSON))
        files.flush(output)


def write(path: str, text: str) -> None:
    """Write a small file, wholly or not at all.

    Raises:
        WriteError: it cannot be written.
    """
    with writing(path):
        files.write_text(path, text)


def _split(shards):
    labels = frame_statistics.merge(shards)["labels"]
    return {
        "shards": [facts["name"] for facts in shards],
        "bytes": [facts["bytes"] for facts in shards],
        "sha256": [facts["sha256"] for facts in shards],
        "count": sum(facts["count"] for facts in shards),
        "labels": {label: labels[label] for label in sorted(labels, key=int)},
    }


def _camera(ranges):
    """Each value where all frames share it, else the range, component by component."""
    camera = {}
    for name in ("intrinsics", "size"):
        least, greatest = ranges[name]
        camera |= {name: least} if least == greatest else {f"{name}_range": [least, greatest]}
    return camera


def _gravity(total):
    known = {"known_frames": total["known_gravities"]}
    if "degrees_below_horizon" in total["ranges"]:
        known["degrees_below_horizon"] = [value for (value,) in total["ranges"]["degrees_below_horizon"]]
    return known


def _depth(facts):
    present = sum(facts["centimetres"].values())
    depth = {
        "missing": round(facts["missing"] / (facts["missing"] + present), 6),
        "frames_by_missing": facts["missing_frames"],
    }
    if facts.get("empty_frames"):
        depth["frames_without"] = facts["empty_frames"]
    if present:
        least, greatest = facts["metres"]
        depth["metres"] = {"min": least, "median": _median(facts["centimetres"], present), "max": greatest}
    return depth


def _median(centimetres, total):
    """The lower median in metres."""
    seen = 0
    for value in sorted(centimetres, key=int):
        seen += centimetres[value]
        if 2 * seen >= total:
            return int(value) / 100
