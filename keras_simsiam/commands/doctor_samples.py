"""What the doctor looks at: a bounded, seeded sample of a data set's frames, and a print of many more."""

import hashlib

import cv2
import numpy as np
import tensorflow as tf

from keras_simsiam.commands.doctor_checks.copies import Print
from keras_simsiam.core.errors import UserError
from tfrecords.dataset import Dataset

# Prints of so many frames at most are compared with each other: 70 MB, and seconds.
PRINTS = 10_000
_THUMBNAIL = (48, 48)


def draw(data: Dataset, splits: list[str], frames: int, seed: int) -> tuple[list[dict], list[Print]]:
    """Draw frames, every frame as likely as any other, and decode them in one pass over the shards.

    Args:
        data: the data set.
        splits: the names of the splits to draw from.
        frames: how many samples to draw, fewer where there are fewer.
        seed: of the draw.

    Returns:
        The samples, as the checks take them, and the prints of at most 10,000 frames, these among them.

    Raises:
        UserError: there are no frames, or a record is corrupt.
    """
    counts = [data.splits[split].count for split in splits]
    if not sum(counts):
        raise UserError(f"{data.path} has no frames in {', '.join(splits)}: build the data set again")
    order = np.random.default_rng(seed).permutation(sum(counts))
    printed, sampled = np.zeros(len(order), bool), np.zeros(len(order), bool)
    printed[order[: max(frames, PRINTS)]] = sampled[order[:frames]] = True
    samples, prints = [], []
    starts = np.cumsum([0, *counts])
    for split, start, end in zip(splits, starts, starts[1:], strict=False):
        chosen = np.flatnonzero(printed[start:end])
        for position, sample in zip(chosen, _read(data, split, printed[start:end]), strict=False):
            sample |= {"frame": sample["frame"].decode(), "split": split}
            prints.append(make_print(sample))
            if sampled[start + position]:
                samples.append(sample)
    return samples, prints


def _read(data, split, chosen):
    """The chosen samples of a split, as dicts of NumPy arrays."""
    chosen = tf.constant(chosen)
    records = data.records(split).enumerate().filter(lambda index, _: chosen[index])
    samples = records.map(lambda _, record: data.decode(record), num_parallel_calls=tf.data.AUTOTUNE)
    try:
        yield from samples.as_numpy_iterator()
    except tf.errors.OpError:
        raise UserError(
            f"a record of {data.path}, split {split}, is corrupt: `python -m tfrecords.inspect {data.path} --verify` says "
            "which"
        ) from None


def make_print(sample: dict) -> Print:
    """The print of a sample (a dict of NumPy arrays, with its `frame` and `split`)."""
    digest = hashlib.blake2b(sample["rgb"].tobytes(), digest_size=16).digest()
    thumbnail = cv2.resize(sample["rgb"], _THUMBNAIL, interpolation=cv2.INTER_AREA)
    return Print(sample["frame"], sample["split"], digest, thumbnail)
