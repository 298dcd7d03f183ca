"""From samples to what an encoder takes: batches of two random views to train on, or of clean images to judge by."""

import dataclasses

import tensorflow as tf

from keras_simsiam import augment
from keras_simsiam.depth import holes
from keras_simsiam.models.encoder import MODALITIES

# What tf.data's shuffle takes for a record beside its bytes: measured 0.8 kB, by benchmarks/reader.py.
_ELEMENT_BYTES = 1024


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """What turns a sample into an encoder's input, in training, evaluation and serving alike.

    Attributes:
        modality: `rgb`, `hha` or `rgbd`.
        image_size: S, the side of a view in pixels.
        hha_encoding: `gupta` or `paper` (keras_simsiam.depth.hha).
        holes: what becomes of missing depth, one of keras_simsiam.depth.holes.CHOICES.
    """

    modality: str
    image_size: int
    hha_encoding: str = "paper"
    holes: str = "none"

    @property
    def channels(self):
        """The channels of each image of a view, by its name: 3, and 4 of an HHA image with the mask of what was measured."""
        return {name: 4 if name == "hha" and self.holes == "mask" else 3 for name in MODALITIES[self.modality]}


def encoded_images(sample, preprocessing):
    """The images of a sample at its own resolution: HHA depends on the whole frame, so it comes before any crop.

    Args:
        sample: a Sample (docs/architecture.md), or one from keras_simsiam.cache, which has its HHA already.
        preprocessing: a `Preprocessing`.

    Returns:
        A dict with `rgb` uint8 [H,W,3] and/or `hha` float32 [H,W,3] in 0..255; `hha` is [H,W,4] with
        `preprocessing.holes` = `mask`.
    """
    images = {name: sample[name] for name in MODALITIES[preprocessing.modality] if name in sample}
    if "hha" in MODALITIES[preprocessing.modality] and "hha" not in images:
        camera = sample["intrinsics"], sample["gravity"]
        images["hha"] = holes.encode(sample["depth"], *camera, preprocessing.hha_encoding, preprocessing.holes)
    return images


def native_images(sample, preprocessing):
    """`encoded_images` as float32 in 0..1."""
    return {name: tf.cast(image, tf.float32) / 255 for name, image in encoded_images(sample, preprocessing).items()}


def clean_view(sample, preprocessing):
    """The view that evaluation and serving take: the centre square, resized once (Zhu, section 4.1).

    Args:
        sample: a Sample.
        preprocessing: a `Preprocessing`.

    Returns:
        A dict with `rgb` and/or `hha`, float32 [S,S,C] in 0..1, C as in `preprocessing.channels`.
    """
    images = native_images(sample, preprocessing)
    stacked = tf.concat(list(images.values()), axis=-1)
    height, width = tf.unstack(tf.cast(tf.shape(stacked)[:2], tf.float32))
    side = tf.minimum(height, width)
    box = tf.stack([(height - side) / 2, (width - side) / 2, side, side])
    resized = augment.resample(stacked, box, preprocessing.image_size)
    channels = [preprocessing.channels[name] for name in images]
    return dict(zip(images, tf.split(resized, channels, axis=-1), strict=True))


def clean_batches(samples, preprocessing, batch_size):
    """Batches of clean views with what is known of each sample; the last batch may be smaller.

    Args:
        samples: a tf.data.Dataset of Samples.
        preprocessing: a `Preprocessing`.
        batch_size: B.

    Returns:
        A tf.data.Dataset of (view, targets): view a dict of float32 [B,S,S,C] in 0..1, targets a dict with `label` int64 [B],
        `instance` int64 [B] and `frame` string [B].
    """

    def prepare(sample):
        return clean_view(sample, preprocessing), {key: sample[key] for key in ("label", "instance", "frame")}

    return samples.map(prepare, tf.data.AUTOTUNE).batch(batch_size).prefetch(tf.data.AUTOTUNE)


def records_held(shuffle_mb, record_bytes):
    """How many records a shuffle of so many MiB holds at a time, at least 1; `record_bytes` is their mean size."""
    return max(1, int(shuffle_mb * 2**20 // (record_bytes + _ELEMENT_BYTES)))


def view_batches(
    records,
    decode,
    count,
    preprocessing,
    augmentation,
    batch_size,
    seed,
    first_epoch=0,
    first_step=0,
    shuffle_records=None,
    first_index=0,
    labelled=False,
):
    """Batches of two views, epoch after epoch without end.

    The order and every draw derive from (seed, epoch, place of the record in the data set), so that a run that starts at
    `first_step` of `first_epoch` sees what an uninterrupted one would have seen: the records before it are read and passed
    over, undecoded. An epoch leaves its last incomplete batch out.

    Args:
        records: a tf.data.Dataset of undecoded records, in the same order at every pass.
        decode: graph function from a record to a Sample.
        count: number of records in an epoch; `records` may hold a few more, as one of several workers' share does.
        preprocessing: a `Preprocessing`.
        augmentation: an `augment.Augmentation`.
        batch_size: B, at most `count`.
        seed: int, the run's.
        first_epoch: the epoch to begin with, from 0.
        first_step: the batch of that epoch to begin with, from 0.
        shuffle_records: how many records the shuffle holds at a time; None: all, in whatever memory that takes.
        first_index: place of the first record in the data set, so that several workers draw differently.
        labelled: whether each batch is (views, labels), for supervised pre-training.

    Returns:
        A tf.data.Dataset of tuples of two views, each a dict of float32 [B,S,S,C] in 0..1; labels are int64 [B].
    """
    per_epoch = count // batch_size * batch_size
    # one shuffle seed an epoch, and seeds of two runs never a whole number of epochs apart
    shuffle_seeds = tf.data.Dataset.range(first_epoch, tf.int64.max).map(
        lambda epoch: (epoch, tf.cast(augment.sample_seed(seed, epoch, -1)[0], tf.int64))
    )

    def one_epoch(epoch, shuffle_seed):
        # the order is to depend on this seed alone; besides, with a global seed of 0 TensorFlow's shuffle takes no tensor
        tf.compat.v1.get_default_graph().seed = None
        shuffled = records.enumerate(first_index).shuffle(
            min(count, shuffle_records or count), shuffle_seed, reshuffle_each_iteration=False
        )
        seen = tf.where(epoch == first_epoch, tf.constant(first_step * batch_size, tf.int64), 0)
        return shuffled.take(per_epoch).skip(seen).map(lambda index, record: (epoch, index, record))

    def prepare(epoch, index, record):
        sample = decode(record)
        images = native_images(sample, preprocessing)
        views = augment.two_views(images, augment.sample_seed(seed, epoch, index), augmentation)
        return (views, sample["label"]) if labelled else views

    return (
        shuffle_seeds.flat_map(one_epoch)
        .map(prepare, tf.data.AUTOTUNE, deterministic=True)
        .batch(batch_size, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )
