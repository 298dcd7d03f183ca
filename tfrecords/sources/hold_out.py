"""Takes a validation split from the training frames of a data set that brings none."""

from collections.abc import Hashable, Sequence

import numpy as np

from keras_simsiam.core.errors import UserError

Splits = dict[str, list[Hashable]]


def last(recordings: Sequence[Sequence[Hashable]], fraction: float) -> Splits:
    """Hold out the end of each recording, so that no validation frame is next in time to a training frame.

    Args:
        recordings: the frames of each, in the order of time.
        fraction: of each recording, rounded to whole frames, in [0, 1).

    Returns:
        `train`, and `val` where fraction > 0.

    Raises:
        UserError: one of the two would be empty.
    """
    splits = {"train": [], "val": []}
    for frames in recordings:
        kept = len(frames) - round(fraction * len(frames))
        splits["train"] += frames[:kept]
        splits["val"] += frames[kept:]
    return _checked(splits, fraction)


def drawn(groups: Sequence[Sequence[Hashable]], fraction: float, seed: int) -> Splits:
    """Hold out whole groups of frames, drawn one after the other until they make up that fraction of all frames.

    Args:
        groups: frames that must stay together, those of one scene for example.
        fraction: of all frames, in [0, 1).
        seed: of the draw.

    Returns:
        `train`, and `val` where fraction > 0, each in the order of `groups`.

    Raises:
        UserError: one of the two would be empty.
    """
    wanted = round(fraction * sum(map(len, groups)))
    held_out = set()
    for index in np.random.default_rng(seed).permutation(len(groups)):
        if sum(len(groups[other]) for other in held_out) >= wanted:
            break
        held_out.add(int(index))
    splits = {"train": [], "val": []}
    for index, frames in enumerate(groups):
        splits["val" if index in held_out else "train"] += frames
    return _checked(splits, fraction)


def _checked(splits, fraction):
    if not splits["train"] or (fraction and not splits["val"]):
        empty = "val" if splits["train"] else "train"
        raise UserError(f"`val_fraction={fraction}` leaves no frame for '{empty}': choose another, or give more frames")
    return {name: frames for name, frames in splits.items() if frames}
