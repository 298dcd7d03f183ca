"""Which SUN RGB-D frames are for training and testing."""

import os
from collections import Counter
from collections.abc import Sequence

from keras_simsiam.core.errors import UserError
from tfrecords.sources import matlab

_SENSORS = ("kv1", "kv2", "realsense", "xtion")
_SPLITS_FILE = os.path.join("SUNRGBDtoolbox", "traintestSUNRGBD", "allsplit.mat")


def official(names: Sequence[str], root: str, path: str = "") -> tuple[dict[str, list[str]], dict[str, int]]:
    """The data set's own split, 5,285 and 5,050 frames: alltrain and alltest of the toolbox's allsplit.mat.

    Args:
        names: the frames' folders below `root`.
        root: a folder in, at or above the data set's folder SUNRGBD.
        path: of allsplit.mat (any .mat format); empty: SUNRGBDtoolbox/traintestSUNRGBD in `root` or next to it.

    Returns:
        The names, in their order; and counts of what was left out.

    Raises:
        UserError: allsplit.mat is missing or damaged, or lists no frame to train or to test on.
    """
    if not path:
        near = [os.path.join(root, _SPLITS_FILE), os.path.join(root, os.pardir, _SPLITS_FILE)]
        path = next(filter(os.path.exists, near), None)
        if path is None:
            raise UserError(f"{near[1]} is missing: fetch SUNRGBDtoolbox, or give `splits_file` or `split=all`")
    train, test = matlab.variables(path, "alltrain", "alltest")
    listed = {_key(str(entry)): "train" for entry in train} | {_key(str(entry)): "test" for entry in test}
    splits, excluded = {"train": [], "test": []}, Counter()
    for name in names:
        split = listed.pop(_key(os.path.abspath(os.path.join(root, name))), None)
        if split is None:
            excluded["frames in neither list"] += 1
        else:
            splits[split].append(name)
    if not all(splits.values()):
        raise UserError(f"{path} names no frames of `input={root}` to train or to test on: give `split=all`")
    if listed:
        excluded["listed frames that are not there"] = len(listed)
    return splits, dict(excluded)


def _key(path):
    """A frame's path from its sensor's folder on, for the lists hold paths of the authors' machine."""
    parts = [part for part in path.replace(os.sep, "/").split("/") if part]
    starts = [index for index, part in enumerate(parts) if part in _SENSORS]
    return "/".join(parts[starts[-1] :] if starts else parts)
