"""Next frames as positives: the second view of a frame comes from the next one of its recording, free labels from motion.

A recording is what shares an instance and the frame's name without its trailing number: apple_1_1_12 is of apple_1_1.
"""

import collections
import sys

import numpy as np
import tensorflow as tf

from keras_simsiam.core import files, frame_names
from keras_simsiam.core.errors import UserError


def in_memory(records, decode, *, limit_gb):
    """Read every record into memory, undecoded, and pair each frame with the next.

    Args:
        records: a tf.data.Dataset of undecoded records, scalar strings, in the same order at every pass.
        decode: graph function from a record to a Sample; of a pass for only names its images are not decoded.
        limit_gb: the most that may be held, in units of 10⁹ bytes.

    Returns:
        (records, decode, partner) for `batches.view_batches`: places of records, in their order, and graph functions from a
        place to the Sample there and to the place of its partner.

    Raises:
        UserError: more memory is needed than that; or no frame has a next one.
    """
    sizes, instances, names = _survey(records, decode)
    if sum(sizes) > limit_gb * files.GB:
        raise UserError(
            f"`cache_gb={limit_gb:g}`: `positives=next_frame` holds the undecoded training records, {files.in_gb(sum(sizes))}: "
            "allow more or use `positives=augment`"
        )
    places = partners(instances, names)
    _announce(places, sum(sizes))
    held, places = records.batch(len(sizes)).get_single_element(), tf.constant(places)
    return (
        tf.data.Dataset.range(len(sizes)),
        lambda place: decode(tf.gather(held, place)),
        lambda place: tf.gather(places, place),
    )


def partners(instances, names):
    """The partner of each frame: the next of its recording, in the order of the numbers; of the last, the one before.

    The last is not paired with the first: a turntable's video may end before it has come round. The only frame of a
    recording, or one of unknown instance, is its own partner.

    Args:
        instances: N integers, -1 = unknown.
        names: N frame names.

    Returns:
        int64 [N], the place of each frame's partner.

    Raises:
        UserError: no instance is known, or every recording has a single frame.
    """
    by_recording = collections.defaultdict(list)
    for place, (instance, name) in enumerate(zip(instances, names, strict=True)):
        recording, number = frame_names.place(name)
        if instance >= 0 and number is not None:
            by_recording[instance, recording].append((number, name, place))
    partner = np.arange(len(names))
    for frames in by_recording.values():
        places = [place for *_, place in sorted(frames)]
        partner[places] = [*places[1:], *places[-2:-1]] if len(places) > 1 else places
    if max(instances, default=-1) < 0:
        raise UserError(
            "`positives=next_frame`: the data set does not say which frames show the same instance; "
            "use `positives=augment`"
        )
    if np.array_equal(partner, np.arange(len(names))):
        raise UserError(
            "`positives=next_frame`: every recording has a single frame (their names, such as "
            f"{names[0]}, are to differ by a number at the end); use `positives=augment`"
        )
    return partner


def _survey(records, decode):
    """The size in bytes, the instance and the name of each record's frame, three tuples."""

    def facts(record):
        sample = decode(record)
        return tf.strings.length(record), sample["instance"], sample["frame"]

    each = records.map(facts, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)
    sizes, instances, names = zip(*each.as_numpy_iterator(), strict=True)
    return [int(size) for size in sizes], instances, [name.decode(errors="surrogateescape") for name in names]


def _announce(places, size):
    single = np.count_nonzero(places == np.arange(len(places)))
    without = f"; {single} have no next frame and are paired with themselves" if single else ""
    held = f"{len(places)} frames to pair with the next, {files.in_gb(size)}"
    print(f"holding {held}{without}", file=sys.stderr, flush=True)
