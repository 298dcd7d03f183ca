"""Colour images and their depth, as a depth network learns from them and is judged by them (Ray, "Data Processing")."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.views.augmentation import sample_seed
from keras_simsiam.views.batches import shuffled_epochs

# 640×480 becomes 320×240, of which 224×224 is cut out
SHORT_SIDE = 240 / 224
# A pixel that depth was measured on less than half of counts as missing.
_LEAST_MEASURED = 0.5
_LONGEST = 4  # short sides: of a longer image only the middle is resized, as a crop sees no more of it


def resized(sample, image_size):
    """A sample at the resolution that crops are cut from, its aspect kept.

    Colour is resized bilinearly, antialiased; depth is the same mean over only measured pixels, never across missing ones.

    Args:
        sample: a Sample with depth (docs/architecture.md).
        image_size: S, the side of the crops; the short side becomes S · 240/224.

    Returns:
        A dict: `rgb` uint8 [h,w,3]; `depth` float32 [h,w], metres, 0 = missing; `frame` string.
    """
    size = _resized_size(sample["depth"], image_size)
    depth = resized_depth(sample["depth"], size)
    return {"rgb": _resized_colour(sample["rgb"], size), "depth": depth, "frame": sample["frame"]}


def resized_depth(depth, size):
    """Depth at another size: the mean over known pixels, never across missing ones.

    Args:
        depth: float32 [H,W], metres, 0 = missing.
        size: int32 [2], height and width.

    Returns:
        float32 [h,w], metres; 0 where less than half of what a pixel covers is known.
    """
    measured = tf.cast(depth > 0, tf.float32)
    weighted = tf.image.resize(tf.stack([depth * measured, measured], -1), size, antialias=True)
    total, weight = tf.unstack(weighted, axis=-1)
    return tf.where(weight >= _LEAST_MEASURED, tf.math.divide_no_nan(total, weight), 0.0)


def _resized_size(image, image_size):
    """int32 [2], height and width, of an image [H,W,…] once its short side is S · 240/224."""
    native = tf.cast(tf.shape(image)[:2], tf.float32)
    return tf.cast(tf.round(native * round(image_size * SHORT_SIDE) / tf.reduce_min(native)), tf.int32)


def _resized_colour(rgb, size):
    """uint8 [h,w,3]"""
    return tf.cast(tf.round(tf.image.resize(tf.cast(rgb, tf.float32), size, antialias=True)), tf.uint8)


def centre_image(rgb, image_size):
    """What a depth network is judged on, of colour only: resized, its centre crop.

    Args:
        rgb: uint8 [H,W,3].
        image_size: S.

    Returns:
        float32 [S,S,3] in 0..1: of the same bits as `centre_crops` has them, unless one side is four times the other.
    """
    # resized as a whole, a row of 2²⁴ pixels would be S times as many times S
    size = tf.shape(rgb)[:2]
    kept = tf.minimum(size, _LONGEST * tf.reduce_min(size))
    rgb = tf.slice(rgb, tf.concat([(size - kept) // 2, [0]], 0), tf.concat([kept, [3]], 0))
    resized_rgb = _resized_colour(rgb, _resized_size(rgb, image_size))
    return _cut(resized_rgb, _centre_corner(resized_rgb, image_size), image_size)


def prepared(samples, image_size):
    """The resized frames of a split.

    Args:
        samples: a finite tf.data.Dataset of Samples with depth.
        image_size: S.

    Returns:
        A tf.data.Dataset of what `resized` gives, in the same order.
    """
    return samples.map(lambda sample: resized(sample, image_size), tf.data.AUTOTUNE, deterministic=True)


def training_batches(frames, count, *, image_size, batch_size, seed):
    """Batches to train on, epoch after epoch without end: in random order, a random crop and flip of each frame.

    Args:
        frames: what `prepared` gives, cached.
        count: of them.
        image_size: S.
        batch_size: B, at most `count`; an epoch leaves its last batch out where it is not full.
        seed: int, the trial's: order, crops and flips follow only from it.

    Returns:
        A tf.data.Dataset of (rgb float32 [B,S,S,3] in 0..1, depth float32 [B,S,S] in metres, 0 = missing).
    """

    def draw(epoch, index, frame):
        crop_seed, flip_seed = tf.unstack(tf.random.experimental.stateless_split(sample_seed(seed, epoch, index), 2))
        room = tf.cast(tf.shape(frame["depth"]) - image_size + 1, tf.float32)
        corner = tf.cast(tf.floor(tf.random.stateless_uniform([2], crop_seed) * room), tf.int32)
        rgb, depth = _crop(frame, corner, image_size)
        flipped = tf.random.stateless_uniform([], flip_seed) < 0.5
        return tf.cond(flipped, lambda: (tf.reverse(rgb, [1]), tf.reverse(depth, [1])), lambda: (rgb, depth))

    epochs = shuffled_epochs(frames.enumerate(), count, per_epoch=count // batch_size * batch_size, seed=seed)
    drawn = epochs.map(draw, tf.data.AUTOTUNE, deterministic=True)
    return drawn.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def centre_crops(frames, image_size):
    """The centre crop of each frame: what validation and test use.

    Args:
        frames: what `prepared` gives.
        image_size: S.

    Returns:
        A `Crops`.

    Raises:
        UserError: no frames.
    """
    crops = list(frames.map(lambda frame: _centre(frame, image_size)).as_numpy_iterator())
    if not crops:
        raise UserError("there are no frames to predict the depth of: check the split and its shards")
    rgb, depth, names = zip(*crops, strict=True)
    return Crops(np.stack(rgb), np.stack(depth), np.array([name.decode() for name in names]))


@dataclasses.dataclass(frozen=True)
class Crops:
    """Centre crops of a split, in its order.

    Attributes:
        rgb: float32 [N,S,S,3] in 0..1.
        depth: float32 [N,S,S], metres, 0 = missing.
        frames: str [N], unique names.
    """

    rgb: np.ndarray
    depth: np.ndarray
    frames: np.ndarray


def mean_of_each_pixel(frames, image_size, otherwise):
    """The mean of the depth measured at each pixel of the centre crops: what the camera's place tells, without the image.

    Args:
        frames: what `prepared` gives.
        image_size: S.
        otherwise: metres, where nothing was ever measured.

    Returns:
        float32 [S,S], metres.
    """
    total, measured = np.zeros((image_size, image_size)), np.zeros((image_size, image_size))
    for _, depth, _ in frames.map(lambda frame: _centre(frame, image_size)).as_numpy_iterator():
        total, measured = total + depth, measured + (depth > 0)
    return np.where(measured > 0, total / np.maximum(measured, 1), otherwise).astype(np.float32)


def _centre(frame, image_size):
    return *_crop(frame, _centre_corner(frame["depth"], image_size), image_size), frame["frame"]


def _centre_corner(image, image_size):
    return (tf.shape(image)[:2] - image_size) // 2


def _crop(frame, corner, image_size):
    """(rgb float32 [S,S,3] in 0..1, depth [S,S]) of a frame, from a corner int32 [2], top and left."""
    return _cut(frame["rgb"], corner, image_size), tf.slice(frame["depth"], corner, [image_size, image_size])


def _cut(rgb, corner, image_size):
    rgb = tf.slice(rgb, tf.concat([corner, [0]], 0), [image_size, image_size, 3])
    return tf.cast(rgb, tf.float32) / 255


@dataclasses.dataclass(frozen=True)
class Scale:
    """Mean and standard deviation, in metres, of the depth that was measured, and the number of frames.

    Attributes:
        mean: metres.
        std: metres, > 0.
        count: frames.
    """

    mean: float
    std: float
    count: int


def scale_of(frames):
    """The `Scale` of a training split, in one pass over it.

    Args:
        frames: what `prepared` gives.

    Returns:
        A `Scale`.

    Raises:
        UserError: no frames, or no depth was measured in any, or all of it is the same.
    """
    count = measured = total = squares = 0
    for frame in frames.as_numpy_iterator():
        depth = frame["depth"][frame["depth"] > 0].astype(np.float64)
        count, measured = count + 1, measured + depth.size
        total, squares = total + depth.sum(), squares + np.square(depth).sum()
    mean = total / max(1, measured)
    variance = squares / max(1, measured) - mean**2
    if not variance > 1e-12 * mean**2:
        raise UserError("the training split has no two depths that differ: there is nothing to learn depth from")
    return Scale(float(mean), float(np.sqrt(variance)), count)
