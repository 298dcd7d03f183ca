"""Two random views of a sample: geometry shared by its RGB and HHA images, colour for each as its variant says.

Every draw is stateless: the same seed gives the same view, whatever ran before. Images are float32 in 0..1.
"""

import dataclasses
import math

import tensorflow as tf

from keras_simsiam.core.settings import Checked, setting
from keras_simsiam.views.blur import random_blur
from keras_simsiam.views.resample import resample

# Chen & He, Appendix A, and FAIR's code: brightness, contrast, saturation, hue; the probabilities of each transform
_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = 0.4, 0.4, 0.4, 0.1
_JITTER_PROBABILITY, _GRAYSCALE_PROBABILITY, _FLIP_PROBABILITY = 0.8, 0.2, 0.5
_CROP_RATIO = (3 / 4, 4 / 3)
_CROP_TRIES = 10

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as PIL and torchvision take it
_MIDDLE = 128 / 255  # an HHA image's middle: what its gain turns about, and what a dropped one is set to
_HHA_GAIN = (0.5, 1.5)
_HHA_OFFSET = 60 / 255


@dataclasses.dataclass(frozen=True)
class Augmentation(Checked):
    """What is drawn for a view.

    Example:
        >>> ks.Augmentation(hha_jitter=True, blur=0.5).min_crop
        0.2
        >>> ks.Augmentation(min_crop=2.0)
        Traceback (most recent call last):
        keras_simsiam.core.errors.UserError: `min_crop=2.0`: must be above 0 and at most 1
    """

    # 0.2 published, 0.08 in solo-learn
    min_crop: float = setting(0.2, "Smallest area of a random crop, as a share of the frame.", above=0, high=1)
    # Zhu, section 4.2: all transforms, against spatial only
    hha_color: bool = setting(False, "Colour jitter and grayscale on HHA too, with the draws of RGB.")
    hha_jitter: bool = setting(False, "Random gain and offset of each HHA channel, per view.")
    # the mask, where there is one, becomes 0: nothing measured
    hha_dropout: float = setting(0.0, "Probability that a view's HHA is replaced by its middle value.", low=0, below=1)
    sensor_noise: float = setting(
        0.0,
        "Probability that a view's depth gets sensor noise before HHA: shadows, steps of disparity, holes.",
        low=0,
        high=1,
        formerly=("depth_faults",),
    )
    gravity_jitter: float = setting(
        0.0, "Degrees by which gravity is turned at most before HHA, per view.", low=0, high=90
    )
    # 0.5 published for ImageNet, none for CIFAR-10
    blur: float = setting(
        0.0, "Probability that a view's colour is blurred, by a sigma of 0.1 to 2 pixels.", low=0, high=1
    )

    @property
    def before_hha(self):
        """Whether anything is drawn that HHA depends on, so that each view needs its own."""
        return self.sensor_noise > 0 or self.gravity_jitter > 0


def sample_seed(seed, epoch, index):
    """The seed of one sample in one epoch of one run, so that a run can be replayed from any point.

    Args:
        seed: int scalar, the run's.
        epoch: int scalar.
        index: int scalar, the sample's place in the data set.

    Returns:
        int32 [2].
    """
    fold = tf.random.experimental.stateless_fold_in
    return fold(fold(tf.stack([tf.cast(seed, tf.int32), 0]), tf.cast(epoch, tf.int32)), tf.cast(index, tf.int32))


def two_views(images, seed, *, augmentation, image_size, others=None):
    """Two independent views of a sample.

    Args:
        images: dict with `rgb` and/or `hha`, float32 [H,W,3] in 0..1; `hha` may have a mask as fourth channel.
        seed: int32 [2].
        augmentation: an `Augmentation`.
        image_size: S, the side of a view in pixels.
        others: the images that the second view is of, of any size; None: those of the first.

    Returns:
        A tuple of two dicts with the keys and channels of `images`, float32 [S,S,C] in 0..1.
    """
    seeds = tf.random.experimental.stateless_split(seed, 2)
    pair = images, images if others is None else others
    drawn = {"augmentation": augmentation, "image_size": image_size}
    return tuple(random_view(one, seeds[view], **drawn) for view, one in enumerate(pair))


def random_view(images, seed, *, augmentation, image_size):
    """One random view: random resized crop, flip, colour jitter, grayscale (Zhu, section 3.1; Chen & He, Appendix A).

    Blur, where it is wanted, comes last and only on RGB, as in FAIR's code.

    Args:
        images: dict with `rgb` and/or `hha`, float32 [H,W,3] in 0..1; `hha` may have a mask as fourth channel, which
            follows only the geometry.
        seed: int32 [2].
        augmentation: an `Augmentation`.
        image_size: S, the side of a view in pixels.

    Returns:
        A dict with the keys and channels of `images`, float32 [S,S,C] in 0..1.
    """
    crop_seed, flip_seed, color_seed, hha_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
    names = sorted(images)
    stacked = tf.concat([images[name] for name in names], axis=-1)  # one resample for all modalities
    box = random_box(tf.shape(stacked)[:2], crop_seed, augmentation.min_crop)
    stacked = resample(stacked, box, image_size)
    flipped = tf.random.stateless_uniform([], flip_seed) < _FLIP_PROBABILITY
    stacked = tf.cond(flipped, lambda: tf.reverse(stacked, [1]), lambda: stacked)
    channels = [images[name].shape[-1] for name in names]
    view = dict(zip(names, tf.split(stacked, channels, axis=-1), strict=True))

    if "rgb" in view:
        view["rgb"] = color_transforms(view["rgb"], color_seed)
        if augmentation.blur:
            blur_seed = tf.random.experimental.stateless_fold_in(color_seed, 0)  # the other draws stay as they are
            view["rgb"] = random_blur(view["rgb"], blur_seed, augmentation.blur)
    if "hha" in view:
        hha, mask = view["hha"][..., :3], view["hha"][..., 3:]  # most images have no mask: no channel
        hha = color_transforms(hha, color_seed) if augmentation.hha_color else hha
        view["hha"] = tf.concat(hha_transforms(hha, mask, hha_seed, augmentation), axis=-1)
    return view


def random_box(size, seed, min_area):
    """A random crop's box, as torchvision's RandomResizedCrop draws it: area uniform, aspect ratio log-uniform.

    Args:
        size: int32 [2], height and width of the image.
        seed: int32 [2].
        min_area: smallest area as a share of the image's.

    Returns:
        float32 [4]: top, left, height, width in pixels, within the image. Where ten tries give no box that fits (a very long
        image), the largest centred one whose ratio is allowed.
    """
    seeds = tf.random.experimental.stateless_split(seed, 3)
    height, width = tf.unstack(tf.cast(size, tf.float32))
    area = height * width * tf.random.stateless_uniform([_CROP_TRIES], seeds[0], min_area, 1.0)
    log_ratio = tf.random.stateless_uniform([_CROP_TRIES], seeds[1], *(math.log(ratio) for ratio in _CROP_RATIO))
    widths = tf.round(tf.sqrt(area * tf.exp(log_ratio)))
    heights = tf.round(tf.sqrt(area / tf.exp(log_ratio)))
    fits = (widths >= 1) & (heights >= 1) & (widths <= width) & (heights <= height)

    first = tf.argmax(fits)
    crop = tf.stack([heights[first], widths[first]])
    corner = tf.random.stateless_uniform([2], seeds[2]) * (tf.stack([height, width]) - crop + 1)
    drawn = tf.concat([tf.floor(corner), crop], 0)

    ratio = tf.clip_by_value(width / height, *_CROP_RATIO)
    crop = tf.stack([tf.minimum(height, width / ratio), tf.minimum(width, height * ratio)])
    centred = tf.concat([(tf.stack([height, width]) - crop) / 2, crop], 0)
    return tf.where(tf.reduce_any(fits), drawn, centred)


def color_transforms(image, seed):
    """Colour jitter (p 0.8; brightness, contrast, saturation, hue in random order), then grayscale (p 0.2).

    torchvision's ColorJitter(0.4, 0.4, 0.4, 0.1): factors uniform in 1 ± 0.4, hue shift in ± 0.1 of the circle.

    Args:
        image: float32 [S,S,3] in 0..1.
        seed: int32 [2].

    Returns:
        float32 [S,S,3] in 0..1.
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 7))
    order_seed, jitter_seed, grayscale_seed, *factor_seeds = seeds

    def factor(index, strength):
        return tf.random.stateless_uniform([], factor_seeds[index], 1 - strength, 1 + strength)

    operations = (
        lambda x: _blend(x, 0.0, factor(0, _BRIGHTNESS)),
        lambda x: _blend(x, tf.reduce_mean(_gray(x)), factor(1, _CONTRAST)),
        lambda x: _blend(x, _gray(x), factor(2, _SATURATION)),
        lambda x: tf.image.adjust_hue(x, factor(3, _HUE) - 1),
    )

    def jitter():
        x = image
        for index in tf.unstack(tf.argsort(tf.random.stateless_uniform([4], order_seed))):
            x = tf.switch_case(index, [lambda f=f, x=x: f(x) for f in operations])
        return x

    jittered = tf.cond(tf.random.stateless_uniform([], jitter_seed) < _JITTER_PROBABILITY, jitter, lambda: image)
    grayed = tf.random.stateless_uniform([], grayscale_seed) < _GRAYSCALE_PROBABILITY
    return tf.cond(grayed, lambda: tf.repeat(_gray(jittered), 3, axis=-1), lambda: jittered)


def _blend(image, other, factor):
    """torchvision's blend: `factor` of the image, 1 − `factor` of the other."""
    return tf.clip_by_value(factor * image + (1 - factor) * other, 0.0, 1.0)


def _gray(image):
    return tf.tensordot(image, tf.constant(_LUMA), 1)[..., tf.newaxis]


def hha_transforms(hha, mask, seed, augmentation):
    """Value jitter and dropout of HHA, colour jitter's counterpart for depth; the mask has only dropout.

    Depth values that both views share unchanged identify the frame, a shortcut as colour is without colour jitter.

    Args:
        hha: float32 [S,S,3] in 0..1.
        mask: float32 [S,S,1], or [S,S,0] where there is none.
        seed: int32 [2].
        augmentation: an `Augmentation`, of which `hha_jitter` and `hha_dropout` count.

    Returns:
        The two, float32 in 0..1.
    """
    gain_seed, offset_seed, dropout_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    if augmentation.hha_jitter:
        gain = tf.random.stateless_uniform([3], gain_seed, *_HHA_GAIN)
        offset = tf.random.stateless_uniform([3], offset_seed, -_HHA_OFFSET, _HHA_OFFSET)
        hha = tf.clip_by_value((hha - _MIDDLE) * gain + _MIDDLE + offset, 0.0, 1.0)
    if augmentation.hha_dropout:
        dropped = tf.random.stateless_uniform([], dropout_seed) < augmentation.hha_dropout
        hha, mask = tf.where(dropped, _MIDDLE, hha), tf.where(dropped, 0.0, mask)
    return hha, mask
