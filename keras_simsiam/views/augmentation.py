"""Random views of a sample: geometry shared by its RGB and HHA images, colour for each as its variant says.

Every draw is stateless: the same seed gives the same view, whatever ran before. Images are float32 in 0..1.
"""

import dataclasses
import math

import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.core.modalities import NEUTRAL
from keras_simsiam.core.settings import Checked, setting, text
from keras_simsiam.views import background, published
from keras_simsiam.views.blur import random_blur
from keras_simsiam.views.color import color_transforms, solarized, sometimes
from keras_simsiam.views.crop_3d import metric_box
from keras_simsiam.views.resample import centre_square, resample_images

_CROP_RATIO = (3 / 4, 4 / 3)
_CROP_TRIES = 10

_MIDDLE = NEUTRAL["hha"][0]  # an HHA image's middle: what its gain turns about, and what a dropped one is set to
_ALMOST = 1.5 / 255  # from it; that of mirrored normals is a level off
_HHA_GAIN = (0.5, 1.5)
_HHA_OFFSET = 60 / 255

SMALL_VIEW = 2  # the place of a small crop among the views that a probability may differ by: first, second, small
_SMALL_SHARE = 96 / 224  # of a view's side: SwAV's and DINO's
_SMALL_MULTIPLE = 8  # pixels, so that patches of 4 and 8 divide it
# The settings that a published set decides; those of probabilities may have a number a view.
PROBABILITIES = ("crop", "flip", "jitter", "grayscale", "blur", "solarize")


def _probability(what):
    help = f"Probability that {what}; one number, or those of the first view, the second and small crops."
    return setting(None, help, low=0, high=1)


@dataclasses.dataclass(frozen=True)
class Augmentation(Checked):
    """What is drawn for a view.

    A set of `augmentations` decides what is not given; an object holds the values themselves. Probabilities are tuples of
    one to three numbers, of which the last holds for all views that follow.

    Example:
        >>> ks.Augmentation(hha_jitter=True, blur=0.5).min_crop
        0.2
        >>> ks.Augmentation(augmentations="byol", flip=0.0).blur
        (1.0, 0.1)
        >>> ks.Augmentation(min_crop=2.0)
        Traceback (most recent call last):
        keras_simsiam.core.errors.UserError: `min_crop=2.0`: must be above 0 and at most 1
    """

    min_crop: float | None = setting(
        None,
        "Smallest area of a random crop, as a share of the frame.",
        above=0,
        high=1,
    )
    max_crop: float | None = setting(
        None,
        "Largest area of a random crop, as a share of the frame.",
        above=0,
        high=1,
    )
    crop: tuple[float, ...] | None = _probability("a view is a random crop, else it is the centre square")
    flip: tuple[float, ...] | None = _probability("a view is flipped")
    jitter: tuple[float, ...] | None = _probability("a view's colours are jittered")
    jitter_strength: tuple[float, ...] | None = setting(
        None,
        "Strength of colour jitter: brightness, contrast, saturation (0 to 1), hue (0 to 0.5).",
    )
    grayscale: tuple[float, ...] | None = _probability("a view loses its colours")
    # a kernel of a tenth of the view's side
    blur: tuple[float, ...] | None = _probability("a view's colour is blurred, by a sigma of 0.1 to 2 pixels")
    solarize: tuple[float, ...] | None = _probability("a view's bright colours are inverted")
    augmentations: str = setting(
        "simsiam",
        "The published set that decides crops, flips, colour jitter, grayscale, blur and solarisation where no flag does.",
        choices=published.SETS,
    )
    # Zhu, section 4.2: all transforms, against spatial only
    hha_color: bool = setting(False, "Colour jitter and grayscale on HHA too, with the draws of RGB.")
    hha_jitter: bool = setting(False, "Random gain and offset of each HHA channel, per view.")
    # the mask, where there is one, becomes 0: nothing measured
    hha_dropout: float = setting(0.0, "Probability that a view's HHA is replaced by its middle value.", low=0, below=1)
    modality_dropout: float = setting(
        0.0,
        "Probability that a view's colour or its depth, either with 1/2 and never both, is replaced by its mean value.",
        low=0,
        high=1,
    )
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
    background: str = setting(
        "none",
        "What becomes of what lies behind a random depth in a view, of colour and HHA alike: nothing; or it is removed, "
        "blurred, or replaced by that of another frame of the batch.",
        choices=background.CHOICES,
    )
    background_probability: tuple[float, ...] = setting(
        (0.5,),
        "Probability that `background` changes a view; one number, or those of the first view, the second and small crops.",
        low=0,
        high=1,
    )
    crop_3d: tuple[float, ...] = setting(
        (),
        "Smallest and largest side in metres of a random crop around a random point of measured depth; default: crops by "
        "area.",
        above=0,
    )
    small_crops: int = setting(
        0, "Small crops of each sample in addition to its two views (`method` dino, swav).", low=0
    )
    small_size: int = setting(0, "Side of a small crop in pixels; 0: about 96 / 224 of `image_size`.", low=0)
    small_crop: tuple[float, ...] | None = setting(
        None,
        "Smallest and largest area of a small crop, as shares of the frame.",
        above=0,
        high=1,
    )

    def __post_init__(self):
        super().__post_init__()  # also of numbers that are no tuples yet
        for name, value in published.drawn(self.augmentations, self.small_crops).items():
            given = getattr(self, name)
            object.__setattr__(self, name, value if given is None else given)  # the class is frozen
        for name in (*PROBABILITIES, "background_probability"):
            object.__setattr__(self, name, _by_view(name, getattr(self, name)))
        self._check_ranges()

    def _check_ranges(self):
        """Refuse numbers that do not go together."""
        strength = self.jitter_strength
        if len(strength) != 4 or not all(0 <= s <= high for s, high in zip(strength, (1, 1, 1, 0.5), strict=True)):
            raise UserError(
                f"`jitter_strength={text(strength)}`: give brightness, contrast and saturation, each 0 to 1, and hue, 0 to 0.5"
            )
        if self.modality_dropout and self.hha_dropout:
            raise UserError(
                f"`hha_dropout={self.hha_dropout}` with `modality_dropout={self.modality_dropout}` could leave nothing of a "
                "view: give one of them"
            )
        if self.min_crop > self.max_crop:
            raise UserError(f"`max_crop={self.max_crop}`: must be at least `min_crop={self.min_crop}`")
        if len(self.small_crop) != 2 or self.small_crop[0] > self.small_crop[1]:
            raise UserError(f"`small_crop={text(self.small_crop)}`: give the smallest area and the largest")
        if self.crop_3d and (len(self.crop_3d) != 2 or self.crop_3d[0] > self.crop_3d[1]):
            raise UserError(f"`crop_3d={text(self.crop_3d)}`: give the smallest side and the largest, in metres")

    @property
    def before_hha(self):
        """Whether anything is drawn that HHA depends on, so that each view needs its own."""
        return self.sensor_noise > 0 or self.gravity_jitter > 0

    @property
    def of_depth(self):
        """The names of the settings given that need a view's measured depth, whatever the encoder sees."""
        return [name for name in ("background", "crop_3d") if getattr(self, name) not in ("none", ())]

    def probability(self, name, view):
        """A probability that may differ by view: of the first (0), the second (1) or a small crop (SMALL_VIEW), a float."""
        values = getattr(self, name)
        return float(values[min(view, len(values) - 1)])

    def area(self, view):
        """Smallest and largest area of a view's random crop, as shares of the frame."""
        return self.small_crop if view == SMALL_VIEW else (self.min_crop, self.max_crop)

    def small_side(self, image_size):
        """The side of a small crop in pixels, of a view's `image_size`: 96 of 224, else a multiple of 8 near that share."""
        multiples = round(image_size * _SMALL_SHARE / _SMALL_MULTIPLE)
        return self.small_size or min(image_size, _SMALL_MULTIPLE * max(1, multiples))


def _by_view(name, value):
    """A probability as the shortest tuple that says the same, of which the last holds for all views that follow."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if not 1 <= len(values) <= 3:
        raise UserError(
            f"`{name}={text(values)}`: give one number, or those of the first view, the second and the small crops"
        )
    while len(values) > 1 and values[-1] == values[-2]:
        values = values[:-1]
    return values


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


def two_views(images, seed, *, augmentation, image_size, others=None, depth_input="hha"):
    """Two independent views of a sample.

    Args:
        images: dict with `rgb` and/or `hha`, float32 [H,W,3] in 0..1; `hha` may have a mask as fourth channel. Where
            `augmentation.of_depth` names something also `depth` float32 [H,W], metres, and `intrinsics` float32 [4].
        seed: int32 [2].
        augmentation: an `Augmentation`.
        image_size: S, the side of a view in pixels.
        others: the images that the second view is of, of any size; None: those of the first.
        depth_input: what the `hha` image shows (`depth.depth_images`): a flip turns the x axis of `normals` and
            `voxels` as well.

    Returns:
        A tuple of two dicts of `rgb` and/or `hha` as in `images`, float32 [S,S,C] in 0..1. With `background` = `replaced`
        they have two keys more, which `background.replace` takes out of a batch.
    """
    seeds = tf.random.experimental.stateless_split(seed, 2)
    pair = images, images if others is None else others
    drawn = {"augmentation": augmentation, "image_size": image_size, "depth_input": depth_input}
    return tuple(random_view(one, seeds[view], **drawn, view=view) for view, one in enumerate(pair))


def small_views(images, seed, *, augmentation, image_size, others=None, depth_input="hha"):
    """The small crops of a sample, independent of one another and of `two_views` by the same seed (Caron et al. 2020).

    Args:
        images, seed, augmentation: as in `two_views`.
        image_size: of the two views; `augmentation.small_side` says how large the small ones are.
        others: the images that every second one is of; None: the same.
        depth_input: as in `two_views`.

    Returns:
        A tuple of `augmentation.small_crops` dicts as in `two_views`, float32 [s,s,C] in 0..1.
    """
    fold = tf.random.experimental.stateless_fold_in
    pair = images, images if others is None else others
    size = augmentation.small_side(image_size)
    drawn = {"augmentation": augmentation, "image_size": size, "depth_input": depth_input}
    # folded, so that the views are those of a run without, and the first small ones those of a run with more
    seeds = [fold(fold(seed, 2), index) for index in range(augmentation.small_crops)]
    return tuple(random_view(pair[index % 2], one, **drawn, view=SMALL_VIEW) for index, one in enumerate(seeds))


def random_view(images, seed, *, augmentation, image_size, view=0, depth_input="hha"):
    """One random view: random resized crop, flip, colour jitter, grayscale (Zhu, section 3.1; Chen & He, Appendix A).

    Blur and solarisation, where they are wanted, come last and only on RGB, as in FAIR's and BYOL's code.

    Args:
        images: as in `two_views`; a mask of `hha` follows only the geometry, and the background.
        seed: int32 [2].
        augmentation: an `Augmentation`.
        image_size: S, the side of a view in pixels.
        view: which view it is, for what is drawn differently: 0 the first, 1 the second, SMALL_VIEW a small crop.
        depth_input: as in `two_views`.

    Returns:
        A dict of one view as in `two_views`.
    """
    fold = tf.random.experimental.stateless_fold_in  # for what came later, so that the other draws stay as they are
    crop_seed, flip_seed, color_seed, hha_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
    names = sorted(images.keys() - {"depth", "intrinsics"})  # depth before colour
    box = _box(images, tf.shape(images[names[0]])[:2], crop_seed, augmentation, view)
    stacked = resample_images({name: images[name] for name in names}, box, image_size, depth_input=depth_input)
    channels = [images[name].shape[-1] for name in names]
    changes = augmentation.background != "none" and augmentation.probability("background_probability", view)
    if changes:  # the mask is one more channel, and follows the flip
        happens = tf.random.stateless_uniform([], fold(seed, 1)) < changes
        # a view that keeps its background lends it to another
        wanted = happens | (augmentation.background == "replaced")
        mask = background.mask(images["depth"], box, fold(seed, 0), image_size=image_size, wanted=wanted)
        if depth_input == "voxels":  # a mean of a point and what replaces it is another point
            mask = tf.round(mask)
        stacked = tf.concat([stacked, mask], -1)
        names, channels = [*names, "foreground"], [*channels, 1]
    flip = _FLIPS.get(depth_input, _mirrored) if "hha" in images else _mirrored
    stacked = sometimes(stacked, flip_seed, augmentation.probability("flip", view), flip)
    shown = dict(zip(names, tf.split(stacked, channels, axis=-1), strict=True))

    if "rgb" in shown:
        rgb = color_transforms(shown["rgb"], color_seed, augmentation=augmentation, view=view)
        if blur := augmentation.probability("blur", view):
            rgb = random_blur(rgb, fold(color_seed, 0), blur)
        shown["rgb"] = sometimes(rgb, fold(color_seed, 1), augmentation.probability("solarize", view), solarized)
    if "hha" in shown:
        hha, mask = shown["hha"][..., :3], shown["hha"][..., 3:]  # most images have no mask: no channel
        missing = tf.reduce_all(
            tf.abs(hha - _MIDDLE) < _ALMOST
        )  # a frame without depth has nothing that could be moved
        if augmentation.hha_color:
            hha = color_transforms(hha, color_seed, augmentation=augmentation, view=view)
        hha, mask = hha_transforms(hha, mask, hha_seed, augmentation)
        shown["hha"] = tf.concat([tf.where(missing, _MIDDLE, hha), mask], axis=-1)
    if changes:  # last, so that the neutral value is one throughout
        mask = shown.pop("foreground")
        shown = background.change(shown, mask, happens, kind=augmentation.background)
    if augmentation.modality_dropout and {"rgb", "hha"} <= shown.keys():
        both = {name: shown[name] for name in ("rgb", "hha")}
        shown |= with_one_dropped(both, fold(hha_seed, 3), augmentation.modality_dropout)
    return shown


def _mirrored(image):
    return tf.reverse(image, [1])


def _mirrored_normals(image):
    """A mirrored image whose first channel is the x component of normals: the normals of a mirrored scene."""
    mirrored = _mirrored(image)
    return tf.concat([1 - mirrored[..., :1], mirrored[..., 1:]], axis=-1)


def _mirrored_points(image):
    """The same of an image whose first channel is X, zero at the middle."""
    mirrored = _mirrored(image)
    return tf.concat([2 * _MIDDLE - mirrored[..., :1], mirrored[..., 1:]], axis=-1)


_FLIPS = {"normals": _mirrored_normals, "voxels": _mirrored_points}  # by `depth_input`; others are mirrored as they are


def _box(images, size, seed, augmentation, view):
    """The box of a random crop, by metres or by area, or the centre square, which evaluation takes."""
    probability = augmentation.probability("crop", view)
    if not probability:
        return centre_square(size)
    box = random_box(size, seed, *augmentation.area(view))
    if augmentation.crop_3d and view != SMALL_VIEW:
        metric_seed = tf.random.experimental.stateless_fold_in(seed, 1)
        metric, found = metric_box(images["depth"], images["intrinsics"], metric_seed, augmentation.crop_3d)
        box = tf.where(found, metric, box)
    if probability == 1:
        return box
    happens = tf.random.stateless_uniform([], tf.random.experimental.stateless_fold_in(seed, 0)) < probability
    return tf.where(happens, box, centre_square(size))


def random_box(size, seed, min_area, max_area=1.0):
    """A random crop's box, as torchvision's RandomResizedCrop draws it: area uniform, aspect ratio log-uniform.

    Args:
        size: int32 [2], height and width of the image.
        seed: int32 [2].
        min_area: smallest area as a share of the image's.
        max_area: largest area, in the same way.

    Returns:
        float32 [4]: top, left, height, width in pixels, within the image. Where ten tries give no box that fits (a very long
        image), the largest centred one whose ratio is allowed.
    """
    seeds = tf.random.experimental.stateless_split(seed, 3)
    height, width = tf.unstack(tf.cast(size, tf.float32))
    area = height * width * tf.random.stateless_uniform([_CROP_TRIES], seeds[0], min_area, max_area)
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


def with_one_dropped(view, seed, probability):
    """Modality dropout: colour or depth of a view is replaced by its neutral value, never both.

    A dropped image is zero to the network, so that what is learnt of the view comes from the other one alone.

    Args:
        view: dict with `rgb` float32 [S,S,3] and `hha` float32 [S,S,3] or, with the mask of what was measured, [S,S,4].
        seed: int32 [2].
        probability: that one of the two is dropped, either with half of it.

    Returns:
        The view, of which at most one image is `core.modalities.NEUTRAL`: RGB's mean, HHA's middle and a mask of 0.
    """
    drawn = tf.random.stateless_uniform([], seed)  # in 0..1: HHA below probability / 2, RGB from there to probability
    dropped = {"hha": drawn < probability / 2, "rgb": (drawn >= probability / 2) & (drawn < probability)}
    return {
        name: tf.where(dropped[name], tf.constant(NEUTRAL[name][: image.shape[-1]]), image)
        for name, image in view.items()
    }
