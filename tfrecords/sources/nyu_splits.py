"""Which NYU Depth v2 frames are for training, validation and testing."""

import os

import numpy as np

from keras_simsiam.core.errors import UserError
from tfrecords.sources import matlab

SPLITS_FILE = "splits.mat"

_PAPER = {"train": 1152, "val": 144, "test": 145}

Splits = dict[str, list[int]]


def official(count: int, path: str, splits_file: str = "") -> Splits:
    """The data set's own split, 795 and 654 frames: the numbers in the toolbox's splits.mat (trainNdxs, testNdxs).

    Args:
        count: the number of frames.
        path: of the .mat file that holds them.
        splits_file: path of splits.mat (any .mat format); empty: next to `path`.

    Returns:
        Frame numbers from zero, in the file's order.

    Raises:
        UserError: splits.mat is missing or damaged, or names frames that do not exist, twice, or none at all.
    """
    splits_file = splits_file or os.path.join(os.path.dirname(path), SPLITS_FILE)
    if not os.path.exists(splits_file):
        raise UserError(
            f"{splits_file} is missing: fetch it from the data set's page, or give `splits_file` or `split=all`"
        )
    train, test = matlab.variables(splits_file, "trainNdxs", "testNdxs")
    numbers = np.concatenate([train, test])
    if not len(train) or not len(test) or not np.issubdtype(numbers.dtype, np.number):
        raise UserError(f"{splits_file}: trainNdxs or testNdxs holds no numbers: fetch it again")
    if numbers.min() < 1 or numbers.max() > count:
        raise UserError(f"{splits_file} goes to frame {numbers.max():.0f}, but {path} holds {count}: give `split=all`")
    if len(set(numbers.tolist())) < len(numbers):
        raise UserError(f"{splits_file} names a frame twice: fetch it again")
    return {"train": (train.astype(int) - 1).tolist(), "test": (test.astype(int) - 1).tolist()}


def paper(count: int, path: str, seed: int) -> tuple[Splits, dict[str, int]]:
    """The sizes of Ray's study of monocular depth: 1,152, 144 and 145 frames, drawn by the seed.

    They make 1,441 of the 1,449 that it says were used; it does not say which frames are whose. (0.8·1441, 0.1·1441
    and the rest are these sizes; so are 18 full batches of 64 out of 1449 - 144 - 145 = 1160.) Eight, drawn too, are
    left out here.

    Returns:
        Frame numbers from zero, in ascending order; and counts of what was left out.

    Raises:
        UserError: the data set has fewer frames.
    """
    total = sum(_PAPER.values())
    if count < total:
        raise UserError(f"`split=paper` takes {total} frames, but {path} holds {count}: choose another")
    order = np.random.default_rng(seed).permutation(count)
    splits, first = {}, 0
    for name, size in _PAPER.items():
        splits[name] = sorted(order[first : first + size].tolist())
        first += size
    left = {f"frames beyond the paper's {total}": count - total}
    return splits, {reason: number for reason, number in left.items() if number}
