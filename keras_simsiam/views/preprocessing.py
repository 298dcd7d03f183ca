"""From a sample to what an encoder takes, in training, evaluation and serving alike: the depth image, and the clean view."""

import dataclasses

import tensorflow as tf

from keras_simsiam.core.modalities import MODALITIES, NEUTRAL
from keras_simsiam.core.settings import Checked, setting
from keras_simsiam.depth import camera, holes
from keras_simsiam.depth.depth_images import DEPTH_INPUTS
from keras_simsiam.depth.hha import ENCODINGS
from keras_simsiam.views.resample import centre_square, resample_images

# Graph operations throughout: autograph has nothing to convert in them, and looking takes as long as tracing them.
without_autograph = tf.autograph.experimental.do_not_convert


@dataclasses.dataclass(frozen=True)
class Preprocessing(Checked):
    """What turns a sample into an encoder's input, in training, evaluation and serving alike.

    Example:
        >>> ks.Preprocessing("rgbd", 64, holes="mask").channels
        {'rgb': 3, 'hha': 4}
    """

    modality: str = setting(
        "rgbd", "What the encoder sees: colour, depth (`depth_input`), or both.", choices=MODALITIES
    )
    image_size: int = setting(224, "Side of a view in pixels.", low=1)
    hha_encoding: str = setting("paper", "Gupta's HHA, or the simpler one of the RGB-D paper.", choices=ENCODINGS)
    holes: str = setting(
        "none",
        "Missing depth: as published, a mask channel, a neutral value, or filled: by the nearest, smoothly, along colour, or "
        "by `holes_model`.",
        choices=holes.CHOICES,
    )
    depth_input: str = setting(
        "hha",
        "What shows depth: HHA, surface normals, disparity, jet colours, depth standardised in each image, or voxels: points "
        "for a 3-D CNN as tower.",
        choices=DEPTH_INPUTS,
    )
    holes_model: str = setting(
        "", "Of holes learned: the completion that `python -m tools.depth_completion` has written."
    )

    @property
    def channels(self):
        """The channels of each image of a view, by its name: 3, and 4 of a depth image with the mask of what was measured."""
        return {name: 4 if name == "hha" and self.holes == "mask" else 3 for name in MODALITIES[self.modality]}


@without_autograph
def encoded_images(sample, preprocessing):
    """The images of a sample at its own resolution: a depth image depends on the whole frame, so it comes before any crop.

    Args:
        sample: a Sample (docs/architecture.md), or one from keras_simsiam.views.cache, which has its depth image already.
            Gravity may be left out: HHA then has it estimated from depth.
        preprocessing: a `Preprocessing`.

    Returns:
        A dict with `rgb` uint8 [H,W,3] and/or `hha` float32 [H,W,3] in 0..255, the image that `preprocessing.depth_input`
        names; `hha` is [H,W,4] with `preprocessing.holes` = `mask`. A sample without any measured
        pixel has a neutral one, as a dropped one is, and not what the depth image makes of holes.
    """
    images = {name: sample[name] for name in MODALITIES[preprocessing.modality] if name in sample}
    if "hha" in MODALITIES[preprocessing.modality] and "hha" not in images:
        known = sample["intrinsics"], sample.get("gravity")
        images["hha"] = holes.encode(
            sample["depth"],
            *known,
            encoding=preprocessing.hha_encoding,
            holes=preprocessing.holes,
            depth_input=preprocessing.depth_input,
            rgb=sample.get("rgb"),
            holes_model=preprocessing.holes_model,
        )
        images["hha"] = _neutral_without_depth(images["hha"], sample["depth"])
    return images


def _neutral_without_depth(image, depth):
    """The depth image [H,W,C], or what a dropped one is (`modalities.NEUTRAL`) where no pixel of depth [H,W] was measured."""
    _, valid = camera.measured(depth)
    neutral = 255 * tf.constant(NEUTRAL["hha"][: image.shape[-1]])
    return tf.where(tf.reduce_any(valid), image, neutral)


def label_of(sample):
    """The label of a sample, a scalar int64: -1, unlabelled, where it has none."""
    return tf.cast(sample.get("label", -1), tf.int64)


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
    box = centre_square(tf.shape(next(iter(images.values())))[:2])
    resized = resample_images(images, box, preprocessing.image_size, depth_input=preprocessing.depth_input)
    channels = [preprocessing.channels[name] for name in images]
    return dict(zip(images, tf.split(resized, channels, axis=-1), strict=True))
