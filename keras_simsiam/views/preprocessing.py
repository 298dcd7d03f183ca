"""From a sample to what an encoder takes, in training, evaluation and serving alike: HHA, and the clean view."""

import dataclasses

import tensorflow as tf

from keras_simsiam.core.modalities import MODALITIES
from keras_simsiam.depth import holes
from keras_simsiam.views.resample import resample

# Graph operations throughout: autograph has nothing to convert in them, and looking takes as long as tracing them.
without_autograph = tf.autograph.experimental.do_not_convert


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


@without_autograph
def encoded_images(sample, preprocessing):
    """The images of a sample at its own resolution: HHA depends on the whole frame, so it comes before any crop.

    Args:
        sample: a Sample (docs/architecture.md), or one from keras_simsiam.views.cache, which has its HHA already.
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
    resized = resample(stacked, box, preprocessing.image_size)
    channels = [preprocessing.channels[name] for name in images]
    return dict(zip(images, tf.split(resized, channels, axis=-1), strict=True))
