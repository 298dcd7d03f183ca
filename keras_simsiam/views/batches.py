"""Batches of two random views, and small crops, to train on, or of clean views to judge by."""

from collections.abc import Callable

import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.depth import gravity, sensor_noise
from keras_simsiam.views import background
from keras_simsiam.views.augmentation import Augmentation, sample_seed, small_views, two_views
from keras_simsiam.views.preprocessing import Preprocessing, clean_view, label_of, native_images, without_autograph

# What tf.data's shuffle takes for a record besides its bytes: measured 0.8 kB, by benchmarks/reader.py.
_ELEMENT_BYTES = 1024

_DEFAULTS = Augmentation()


def perturbed(sample, seed, augmentation):
    """A sample as another sensor, held a little otherwise, might have recorded it: what is drawn before HHA.

    Args:
        sample: a Sample with depth; with `gravity_jitter` one whose gravity is known.
        seed: int32 [2].
        augmentation: an `augmentation.Augmentation`.

    Returns:
        The sample with its depth, with probability `sensor_noise`, as `sensor_noise.simulate` gives it, and its gravity
        turned by up to `gravity_jitter` degrees.
    """
    happens_seed, noise_seed, gravity_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    depth, intrinsics, changed = sample["depth"], sample["intrinsics"], {}
    if augmentation.sensor_noise:
        noisy = tf.random.stateless_uniform([], happens_seed) < augmentation.sensor_noise
        changed["depth"] = tf.cond(noisy, lambda: sensor_noise.simulate(depth, intrinsics, noise_seed), lambda: depth)
    if augmentation.gravity_jitter:
        changed["gravity"] = gravity.tilted(sample["gravity"], gravity_seed, augmentation.gravity_jitter)
    return sample | changed


def _with_gravity(sample):
    """The sample with its gravity estimated where it is unknown: from depth as it was recorded, once for both views."""
    known = gravity.known_or_estimated(sample.get("gravity"), sample["depth"], sample["intrinsics"])
    return sample | {"gravity": known}


@without_autograph
def _views(sample, partner, seed, preprocessing, augmentation):
    """Two views of a sample, or one of it and one of its partner, and its small crops.

    The depth image once a sample, or once a view where it depends on that; small crops have the one or, in turn, the two.
    """
    if augmentation.before_hha:
        prepared = _with_gravity if preprocessing.depth_input == "hha" else lambda each: each
        first = prepared(sample)
        pair = first, first if partner is None else prepared(partner)
        # folded, so that crops and colours are those of a run without
        seeds = tf.random.experimental.stateless_split(tf.random.experimental.stateless_fold_in(seed, 1), 2)
        sample, partner = (perturbed(each, seeds[view], augmentation) for view, each in enumerate(pair))
    others = None if partner is None else _images(partner, preprocessing, augmentation)
    images, size = _images(sample, preprocessing, augmentation), preprocessing.image_size
    drawn = {"augmentation": augmentation, "image_size": size, "others": others}
    drawn["depth_input"] = preprocessing.depth_input
    views = two_views(images, seed, **drawn)
    return views + small_views(images, seed, **drawn) if augmentation.small_crops else views


def _images(sample, preprocessing, augmentation):
    """What views are drawn of: the images of a sample, and its depth and camera where a draw depends on them."""
    images = native_images(sample, preprocessing)
    return images | {name: sample[name] for name in ("depth", "intrinsics") if augmentation.of_depth}


def clean_batches(samples: tf.data.Dataset, preprocessing: Preprocessing, *, batch_size: int) -> tf.data.Dataset:
    """Batches of clean views with what is known of each sample; the last batch may be smaller.

    Args:
        samples: a tf.data.Dataset of Samples.
        preprocessing: a `Preprocessing`.
        batch_size: B.

    Returns:
        A tf.data.Dataset of (view, targets): view a dict of float32 [B,S,S,C] in 0..1, targets a dict with `label` int64 [B],
        `instance` int64 [B] and `frame` string [B]; -1, -1 and empty where a sample does not have them.
    """

    def prepare(sample):
        instance, frame = tf.cast(sample.get("instance", -1), tf.int64), sample.get("frame", "")
        return clean_view(sample, preprocessing), {"label": label_of(sample), "instance": instance, "frame": frame}

    return samples.map(prepare, tf.data.AUTOTUNE).batch(batch_size).prefetch(tf.data.AUTOTUNE)


def records_held(shuffle_mb, record_bytes):
    """How many records a shuffle of so many MiB holds at a time, at least 1; `record_bytes` is their mean size."""
    return max(1, int(shuffle_mb * 2**20 // (record_bytes + _ELEMENT_BYTES)))


def view_batches(
    records: tf.data.Dataset,
    decode: Callable | None = None,
    *,
    preprocessing: Preprocessing,
    batch_size: int,
    augmentation: Augmentation = _DEFAULTS,
    count: int | None = None,
    seed: int = 0,
    first_epoch: int = 0,
    first_step: int = 0,
    shuffle_records: int | None = None,
    first_index: int = 0,
    partner: Callable | None = None,
) -> tf.data.Dataset:
    """Batches of two views, and of small crops where there are any, epoch after epoch without end.

    The order and every draw derive from (seed, epoch, place of the record in the data set), so that a run that starts at
    `first_step` of `first_epoch` sees what an uninterrupted one would have seen: the records before it are read and passed
    over, undecoded. An epoch leaves its last incomplete batch out.

    Example:
        >>> dataset = ks.Dataset(data_dir)
        >>> batches = ks.view_batches(
        ...     dataset.records("train"), dataset.decode, preprocessing=ks.Preprocessing("rgbd", 32), batch_size=4
        ... )
        >>> batch = next(iter(batches))
        >>> len(batch["views"]), batch["views"][0]["hha"].shape, batch["label"].shape
        (2, TensorShape([4, 32, 32, 3]), TensorShape([4]))

    Args:
        records: a tf.data.Dataset of undecoded records, in the same order at every pass; or of Samples: dicts of your own
            arrays, `rgb` uint8 [H,W,3] and, with depth, `depth` float32 [H,W] in metres and `intrinsics` float32 [4].
        decode: graph function from a record to a Sample; None: the records are Samples.
        preprocessing: a `Preprocessing`.
        batch_size: B, at most `count`.
        augmentation: an `Augmentation`.
        count: number of records in an epoch; `records` may hold a few more, as one of several workers' share does. None: the
            dataset's cardinality.
        seed: int, the run's.
        first_epoch: the epoch to begin with, from 0.
        first_step: the batch of that epoch to begin with, from 0.
        shuffle_records: how many records the shuffle holds at a time; None: all, in whatever memory that takes.
        first_index: place of the first record in the data set, so that several workers draw differently.
        partner: graph function from a record and a seed, int32 [2], to the record whose sample the second view is of; None:
            the same.

    Returns:
        A tf.data.Dataset of dicts: `views`, a tuple of two views, each a dict of float32 [B,S,S,C] in 0..1, and of the small
        crops, float32 [B,s,s,C]; `label` int64 [B] of the first view's sample, -1 where it is unlabelled; `index` int64 [B],
        that sample's place in the data set.

    Raises:
        ValueError: there are fewer records than a batch holds, or their number is unknown and not given.
        UserError: the augmentation needs depth, and the samples have none.
    """
    count = int(records.cardinality()) if count is None else count
    if count < batch_size:
        known = f"the data set has {count} records" if count >= 0 else "give count, the number of records in an epoch"
        raise ValueError(f"batch_size={batch_size}: {known}")
    if augmentation.of_depth and not decode and "depth" not in records.element_spec:
        raise UserError(f"`{augmentation.of_depth[0]}` needs samples with depth and intrinsics: leave it out")
    decode = decode or (lambda sample: sample)

    def prepare(epoch, index, record):
        sample = decode(record)
        drawn = sample_seed(seed, epoch, index)
        # folded, so that the views are drawn as those of a run without a partner
        other = decode(partner(record, tf.random.experimental.stateless_fold_in(drawn, 3))) if partner else None
        views = _views(sample, other, drawn, preprocessing, augmentation)
        return {"views": views, "label": label_of(sample), "index": index}

    held = min(count, shuffle_records or count)
    per_epoch = count // batch_size * batch_size
    shuffled = shuffled_epochs(
        records.enumerate(first_index),
        held,
        per_epoch=per_epoch,
        seed=seed,
        first_epoch=first_epoch,
        seen=first_step * batch_size,
    )
    batches = shuffled.map(prepare, tf.data.AUTOTUNE, deterministic=True).batch(batch_size, drop_remainder=True)
    if augmentation.background == "replaced":
        batches = batches.map(_with_other_backgrounds, tf.data.AUTOTUNE, deterministic=True)
    return batches.prefetch(tf.data.AUTOTUNE)


@without_autograph
def _with_other_backgrounds(batch):
    return batch | {"views": background.replace(batch["views"])}


def shuffled_epochs(records, held, *, per_epoch, seed, first_epoch=0, seen=0):
    """Epoch after epoch without end, each in its own order.

    Args:
        records: a tf.data.Dataset of (index, record), the same at every pass.
        held: how many records the shuffle holds at a time.
        per_epoch: how many of an epoch's shuffled records are taken.
        seed: int, the run's.
        first_epoch: the epoch to begin with, from 0.
        seen: how many of the first epoch are left out.

    Returns:
        A tf.data.Dataset of (epoch, index, record).
    """
    # one shuffle seed an epoch, and seeds of two runs never a whole number of epochs apart
    seeds = tf.data.Dataset.range(first_epoch, tf.int64.max).map(
        lambda epoch: (epoch, tf.cast(sample_seed(seed, epoch, -1)[0], tf.int64))
    )

    def one_epoch(epoch, shuffle_seed):
        # the order is to depend only on this seed; also, with a global seed of 0 TensorFlow's shuffle takes no tensor
        tf.compat.v1.get_default_graph().seed = None
        shuffled = records.shuffle(held, shuffle_seed, reshuffle_each_iteration=False).take(per_epoch)
        rest = shuffled.skip(tf.where(epoch == first_epoch, tf.constant(seen, tf.int64), 0))
        return rest.map(lambda index, record: (epoch, index, record))

    return seeds.flat_map(one_epoch)
