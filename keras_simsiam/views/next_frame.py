"""Neighbours as positives: the second view of a frame comes from the next one of its recording, free labels from motion.

A recording is what shares an instance and the frame's name without its trailing number: apple_1_1_12 is of apple_1_1.
"""

import collections
import sys

import numpy as np
import tensorflow as tf

from keras_simsiam.core import files, frame_names
from keras_simsiam.core.errors import UserError


def in_memory(records, decode, limit_gb):
    """Reads every record into memory, undecoded, and finds its neighbour.

    Args:
        records: a tf.data.Dataset of undecoded records, scalar strings, in the same order at every pass.
        decode: graph function from a record to a Sample; of a pass for names alone its images are not decoded.
        limit_gb: the most that may be held, in units of 10⁹ bytes.

    Returns:
        (records, decode, partner) for `pipeline.view_batches`: places of records, in their order, and graph functions from a
        place to the Sample there and to the place of its neighbour.

    Raises:
        UserError: more memory is needed than that; or no frame has a neighbour.
    """
    sizes, instances, names = _survey(records, decode)
    if sum(sizes) > limit_gb * files.GB:
        raise UserError(
            f"--cache_gb={limit_gb:g}: --positives=neighbour holds the undecoded training records, {files.in_gb(sum(sizes))}: "
            "allow more or use --positives=augment"
        )
    partners = find(instances, names)
    _announce(partners, sum(sizes))
    held, partners = records.batch(len(sizes)).get_single_element(), tf.constant(partners)
    return (
        tf.data.Dataset.range(len(sizes)),
        lambda place: decode(tf.gather(held, place)),
        lambda place: tf.gather(partners, place),
    )


def find(instances, names):
    """The neighbour of each frame: the next of its recording, in the order of the numbers; of the last, the one before.

    The last is not paired with the first: a turntable's video may end before it has come round. A frame that is alone in its
    recording, or of unknown instance, is its own neighbour.

    Args:
        instances: N integers, -1 = unknown.
        names: N frame names.

    Returns:
        int64 [N], the place of each frame's neighbour.

    Raises:
        UserError: no instance is known, or every recording has a single frame.
    """
    by_recording = collections.defaultdict(list)
    for place, (instance, name) in enumerate(zip(instances, names, strict=True)):
        recording, number = frame_names.place(name)
        if instance >= 0 and number is not None:
            by_recording[instance, recording].append((number, name, place))
    partners = np.arange(len(names))
    for frames in by_recording.values():
        places = [place for *_, place in sorted(frames)]
        partners[places] = [*places[1:], *places[-2:-1]] if len(places) > 1 else places
    if max(instances, default=-1) < 0:
        raise UserError(
            "--positives=neighbour: the data set does not say which frames show the same instance; "
            "use --positives=augment"
        )
    if np.array_equal(partners, np.arange(len(names))):
        raise UserError(
            "--positives=neighbour: every recording has a single frame (their names, such as "
            f"{names[0]}, are to differ by a number at the end); use --positives=augment"
        )
    return partners


def _survey(records, decode):
    """The size in bytes, the instance and the name of each record's frame, three tuples."""

    def facts(record):
        sample = decode(record)
        return tf.strings.length(record), sample["instance"], sample["frame"]

    found = records.map(facts, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)
    sizes, instances, names = zip(*found.as_numpy_iterator(), strict=True)
    return [int(size) for size in sizes], instances, [name.decode(errors="surrogateescape") for name in names]


def _announce(partners, size):
    alone = np.count_nonzero(partners == np.arange(len(partners)))
    without = f"; {alone} have no neighbour and are paired with themselves" if alone else ""
    held = f"{len(partners)} frames for their neighbours, {files.in_gb(size)}"
    print(f"holding {held}{without}", file=sys.stderr, flush=True)
