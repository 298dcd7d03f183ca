"""How the frames of a build are dealt out to shards, judged by a few of them before any is written."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from keras_simsiam.core.errors import UserError
from tfrecords import example
from tfrecords.frame_statistics import Statistics
from tfrecords.processes import Pool

# A shard is what one worker writes and what a stopped build need not redo. It is large enough to be read at the disk's
# speed and small enough to fetch, to retry and to deal out ...
_SHARD_BYTES = 64 * 2**20
# ... but a split is cut into as many as this while each keeps so many frames: with one shard, one worker would do it all.
_SHARDS, _SHARD_FRAMES = 32, 64

# How many frames of each split are encoded to learn how large they are.
_SAMPLES = 8


def layout(
    load: Callable[[Any], example.Frame], splits: Mapping[str, Sequence[Any]], pool: Pool, strict: bool
) -> dict[str, Any]:
    """How many shards each split gets, and whether its frames have depth.

    Args:
        load: makes the frame of a reference, or raises UserError.
        splits: references by split, at least one each, in the order of writing.
        pool: that does the work; the result does not depend on it.
        strict: whether a frame that cannot be used is an error.

    Returns:
        JSON values: `shards`, a number by split, and `has_depth`, that of the first frame that can be used.

    Raises:
        UserError: no frame can be used, or (strict) one that was looked at cannot.
    """
    everything = [(split, reference) for split, references in splits.items() for reference in references]
    samples = [
        (split, references[index])
        for split, references in splits.items()
        for index in np.linspace(0, len(references) - 1, min(len(references), _SAMPLES)).astype(int)
    ]
    frames = _look_at(samples, load, pool, strict)
    if not any("bytes" in frame for frame in frames):
        frames = _look_at(everything, load, pool, strict)
    usable = [frame for frame in frames if "bytes" in frame]
    if not usable:
        raise UserError(f"none of the {len(everything)} frames can be used: {frames[0]['reason']}")
    return {
        "shards": {
            split: _shard_count(len(references), _mean_size(usable, split)) for split, references in splits.items()
        },
        "has_depth": usable[0]["has_depth"],
    }


def _mean_size(usable, split):
    """Of the split's frames or, where none of them was usable, of all."""
    sizes = [frame["bytes"] for frame in usable if frame["split"] == split] or [frame["bytes"] for frame in usable]
    return sum(sizes) / len(sizes)


def _shard_count(frames, mean_size):
    return max(1, -int(-frames * mean_size // _SHARD_BYTES), min(_SHARDS, frames // _SHARD_FRAMES))


def _look_at(references, load, pool, strict):
    """What is found of (split, reference) pairs, in their order."""
    frames = sorted(pool.run(partial(_probe, load=load), enumerate(references)), key=lambda frame: frame["number"])
    for frame in frames if strict else ():
        if "reason" in frame:
            raise UserError(frame["reason"])
    return frames


def _probe(task, progress, load):
    """In a worker: the size of a frame's record and whether it has depth, or why it cannot be used."""
    number, (split, reference) = task
    facts = {"number": number, "split": split}
    try:
        frame = load(reference)
        Statistics().add(frame)
    except UserError as error:
        return facts | {"reason": str(error)}
    return facts | {"bytes": len(example.encode(frame)), "has_depth": frame.depth is not None}
