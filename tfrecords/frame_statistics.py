"""What a build learns of its frames while it writes them: counts, camera, gravity and depth, to be merged shard by shard.

Facts are JSON values, as they also lie on disk next to a finished shard; those of several shards add up by `merge`.
"""

import functools
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np

from keras_simsiam.core.errors import UserError
from tfrecords import images
from tfrecords.example import Frame

# Bins of the histogram of the frames' shares of missing pixels, 0..1.
MISSING_BINS = 10


class Statistics:
    """Collector of the facts of the frames of a shard."""

    def __init__(self):
        self._labels = Counter()
        self._ranges = {}
        self._known_gravities = 0
        self._depth = _Depth()

    def add(self, frame: Frame) -> None:
        """Take in a frame; decode its depth image, but only read the header of its colour image.

        Raises:
            UserError: its images are not what a record must hold: colour PNG or JPEG, depth a 16-bit PNG of one channel
                and of the same size.
        """
        height, width = images.header_size(frame.rgb, frame.name)
        if frame.depth is not None:
            depth = images.decode(frame.depth)
            if depth is None or depth.dtype != np.uint16 or depth.shape != (height, width):
                raise UserError(
                    f"{frame.name}: its depth is not a 16-bit PNG of one channel with the {width}x{height} pixels of its "
                    "colour image: correct the source"
                )
            self._depth.add(depth, frame.units_per_metre)
        self._labels[str(frame.label)] += 1
        self._widen("size", [width, height])
        self._widen("intrinsics", [float(value) for value in frame.intrinsics])
        if any(frame.gravity):
            self._known_gravities += 1
            _, y, z = frame.gravity
            self._widen("degrees_below_horizon", [round(float(np.degrees(np.arctan2(z, y))), 2)])

    def facts(self) -> dict:
        """The facts so far.

        `labels`: frames by label (as a string). `ranges`: [least, greatest], component by component, of `size` (width,
        height), `intrinsics` and `degrees_below_horizon` (how far the camera looks down, where gravity is known).
        `known_gravities`: frames. `depth`: None for colour only, else what `merge` adds up.
        """
        return {
            "labels": dict(self._labels),
            "ranges": self._ranges,
            "known_gravities": self._known_gravities,
            "depth": self._depth.facts(),
        }

    def _widen(self, name, values):
        self._ranges[name] = _union(self._ranges.get(name), [values, values])


def merge(facts: Iterable[dict]) -> dict:
    """The facts of all frames from those of at least one shard."""
    return functools.reduce(_merge, facts)


class _Depth:
    """Counts of depth values: exact, and cheap for uint16."""

    def __init__(self):
        self._values = defaultdict(lambda: np.zeros(2**16, np.int64))
        self._missing = [0] * MISSING_BINS
        self._empty = 0

    def add(self, depth, units_per_metre):
        counts = np.bincount(depth.reshape(-1))
        self._values[units_per_metre][: len(counts)] += counts
        # A frame with nothing but holes belongs to the last bin, not past it.
        self._empty += int(counts[0] == depth.size)
        self._missing[min(int(counts[0] / depth.size * MISSING_BINS), MISSING_BINS - 1)] += 1

    def facts(self):
        if not self._values:
            return None
        centimetres, metres = Counter(), []
        for units, values in self._values.items():
            (present,) = np.nonzero(values[1:])
            for value in present.tolist():
                centimetres[str(round(100 * (value + 1) / units))] += int(values[value + 1])
            metres += [(value + 1) / units for value in present[[0, -1]].tolist()] if len(present) else []
        return {
            "missing": int(sum(values[0] for values in self._values.values())),
            "missing_frames": self._missing,
            "empty_frames": self._empty,
            "metres": [min(metres), max(metres)] if metres else None,
            "centimetres": dict(centimetres),
        }


def _merge(one, other):
    names = one["ranges"].keys() | other["ranges"].keys()
    return {
        "labels": dict(Counter(one["labels"]) + Counter(other["labels"])),
        "ranges": {name: _union(one["ranges"].get(name), other["ranges"].get(name)) for name in sorted(names)},
        "known_gravities": one["known_gravities"] + other["known_gravities"],
        "depth": one["depth"] and other["depth"] and _merge_depth(one["depth"], other["depth"]),
    }


def _merge_depth(one, other):
    metres = [values for values in (one["metres"], other["metres"]) if values]
    return {
        "missing": one["missing"] + other["missing"],
        "missing_frames": [a + b for a, b in zip(one["missing_frames"], other["missing_frames"], strict=True)],
        # shards of a build that an earlier version began do not tell
        "empty_frames": one.get("empty_frames", 0) + other.get("empty_frames", 0),
        "metres": [min(low for low, _ in metres), max(high for _, high in metres)] if metres else None,
        "centimetres": dict(Counter(one["centimetres"]) + Counter(other["centimetres"])),
    }


def _union(one, other):
    """The least and the greatest of two ranges, component by component; None stands for an empty range."""
    if one is None or other is None:
        return one or other
    return [list(map(min, one[0], other[0])), list(map(max, one[1], other[1]))]
