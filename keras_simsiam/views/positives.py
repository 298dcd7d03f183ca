"""Other frames as positives: the second view of a frame comes from another one of its recording, or of its instance.

Labels are not used. An instance is what the data set calls one: frames of one object, or of one scene. A recording is what
shares an instance and the frame's name without its trailing number: apple_1_1_12 is of apple_1_1.
"""

import sys

import numpy as np
import tensorflow as tf

from keras_simsiam.core import files, frame_names
from keras_simsiam.core.errors import UserError

# what a frame may be paired with, and how that is called
PAIRED = {
    "next_frame": "the next frame",
    "recording": "another frame of the recording",
    "viewpoint": "a frame of another recording of the instance",
}


def in_memory(records, decode, *, positives, window=0, limit_gb):
    """Read every record into memory, undecoded, and find what each frame may be paired with.

    Args:
        records: a tf.data.Dataset of undecoded records, scalar strings, in the same order at every pass.
        decode: graph function from a record to a Sample; of a pass for only names its images are not decoded.
        positives: one of PAIRED.
        window: as in `Partners`.
        limit_gb: the most that may be held, in units of 10⁹ bytes.

    Returns:
        (records, decode, partner) for `batches.view_batches`: places of records, in their order, and graph functions from a
        place to the Sample there, and from a place and a seed to the place of its partner.

    Raises:
        UserError: more memory is needed than that; or no frame has a partner.
    """
    sizes, instances, names = _survey(records, decode)
    if sum(sizes) > limit_gb * files.GB:
        raise UserError(
            f"`cache_gb={limit_gb:g}`: `positives={positives}` holds the undecoded training records, "
            f"{files.in_gb(sum(sizes))}: allow more or use `positives=augment`"
        )
    partners = Partners(positives, instances, names, window=window)
    _announce(positives, partners.counts, sum(sizes))
    held = records.batch(len(sizes)).get_single_element()
    return tf.data.Dataset.range(len(sizes)), lambda place: decode(tf.gather(held, place)), partners.draw


class Partners:
    """What each frame may be paired with, and the draw of one of them.

    `next_frame`: the next frame of the recording, in the order of the numbers; of the last, the one before: a turntable's
    video may end before it has come round. `recording`: any other frame of the recording, at most `window` places away.
    `viewpoint`: any frame of the instance's other recordings, which on a turntable are of other camera heights. A frame
    without any of these, or of unknown instance, is its own partner.

    With the frames in the order of instance, recording and number, a frame's partners are a range of places with a hole.

    Attributes:
        counts: int64 [N], the number of each frame's partners, itself not among them.

    Example:
        >>> partners = Partners("recording", [0, 0, 0, 1], ["apple_1_1_1", "apple_1_1_2", "apple_1_4_1", "ball_1_1_1"])
        >>> partners.counts.tolist(), [partners.of(place) for place in range(4)]
        ([1, 1, 0, 0], [[1], [0], [2], [3]])
    """

    def __init__(self, positives, instances, names, *, window=0):
        """
        Args:
            positives: one of PAIRED.
            instances: N integers, -1 = unknown.
            names: N frame names.
            window: of `recording`, the number of places that a partner may be away; 0: any.

        Raises:
            UserError: no instance is known, or no frame has a partner.
        """
        instances = np.asarray(instances, np.int64)
        keys = [_key(instance, name) for instance, name in zip(instances, names, strict=True)]
        self._order = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
        in_order = [keys[place] for place in self._order]
        recording = _ends([key[:3] for key in in_order])  # two columns: where each begins and ends
        instance = _ends([key[0] for key in in_order])
        own = np.arange(len(keys))[:, None] + [0, 1]
        first, last = recording.T
        if positives == "next_frame":
            is_last = own[:, 1] == last
            several, hole = own + np.where(is_last, -1, 1)[:, None], own
            several = np.where((last - first > 1)[:, None], several, own)
        elif positives == "recording":
            reach = window or len(keys)
            several = np.stack([np.maximum(first, own[:, 0] - reach), np.minimum(last, own[:, 1] + reach)], axis=1)
            hole = own
        else:
            several, hole = instance, recording
        # the hole where it is within the range
        hole = np.clip(hole, several[:, :1], several[:, 1:])
        unknown = instances[self._order] < 0
        several[unknown] = hole[unknown] = own[unknown]
        self._ranges = np.empty((len(keys), 4), np.int64)
        self._ranges[self._order] = np.concatenate([several, hole], axis=1)
        begin, end, hole_begin, hole_end = self._ranges.T
        self.counts = end - begin - (hole_end - hole_begin)
        _check(positives, instances, names, self.counts)
        # tensors once, which a graph then refers to and does not hold
        self._tensors = tf.constant(self._ranges), tf.constant(self.counts), tf.constant(self._order)

    def of(self, place):
        """The places of a frame's partners, a list of int; its own where it has none."""
        begin, end, hole_begin, hole_end = self._ranges[place]
        places = [*self._order[begin:hole_begin], *self._order[hole_end:end]]
        return [int(each) for each in places] or [place]

    def draw(self, place, seed):
        """One of a frame's partners, each as probable as the others.

        Args:
            place: int64 scalar tensor.
            seed: int32 [2].

        Returns:
            int64 scalar tensor, its place; a graph function.
        """
        ranges, counts, order = self._tensors
        begin, _, hole_begin, hole_end = tf.unstack(tf.gather(ranges, place), num=4)
        count = tf.gather(counts, place)
        at = begin + tf.random.stateless_uniform([], seed, 0, tf.maximum(count, 1), tf.int64)
        at += tf.where(at < hole_begin, tf.zeros_like(at), hole_end - hole_begin)
        return tf.where(count > 0, tf.gather(order, at % len(self._order)), place)


def _key(instance, name):
    """What frames are ordered by: instance, recording (a name without a number is one alone), number, name."""
    recording, number = frame_names.place(name)
    return int(instance), recording, number is None, number or 0, name


def _ends(groups):
    """Where the group of each place begins and ends, int64 [N,2], of N groups of which equal ones stand together."""
    changes = [place for place in range(1, len(groups)) if groups[place] != groups[place - 1]]
    edges = np.array([0, *changes, len(groups)], np.int64)
    group = np.searchsorted(edges, np.arange(len(groups)), side="right")
    return np.stack([edges[group - 1], edges[group]], axis=1)


def _check(positives, instances, names, counts):
    """Refuse frames none of which has a partner."""
    given = f"`positives={positives}`"
    if np.max(instances, initial=-1) < 0:
        raise UserError(
            f"{given}: the data set does not say which frames show the same instance; use `positives=augment`"
        )
    if np.any(counts):
        return
    if positives == "viewpoint":
        raise UserError(
            f"{given}: every instance has a single recording (the frames whose names, such as {names[0]}, differ only by a "
            "number at the end); use `positives=recording`"
        )
    raise UserError(
        f"{given}: every recording has a single frame (their names, such as {names[0]}, are to differ by a number at the "
        "end); use `positives=augment`"
    )


def _survey(records, decode):
    """The size in bytes, the instance and the name of each record's frame, three tuples."""

    def facts(record):
        sample = decode(record)
        return tf.strings.length(record), sample["instance"], sample["frame"]

    each = records.map(facts, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)
    sizes, instances, names = zip(*each.as_numpy_iterator(), strict=True)
    return [int(size) for size in sizes], instances, [name.decode(errors="surrogateescape") for name in names]


def _announce(positives, counts, size):
    single = np.count_nonzero(counts == 0)
    without = f"; {single} have none and are paired with themselves" if single else ""
    held = f"{len(counts)} frames to pair with {PAIRED[positives]}, {files.in_gb(size)}"
    print(f"holding {held}{without}", file=sys.stderr, flush=True)
