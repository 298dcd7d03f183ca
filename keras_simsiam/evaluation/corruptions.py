"""Samples as a worse camera would have taken them: other colours, less light, more missing depth. At test time only.

In the manner of Hendrycks & Dietterich, Benchmarking Neural Network Robustness to Common Corruptions, ICLR 2019. Every draw is
stateless. Colour and light change RGB alone: depth has its own light.
"""

import functools

import tensorflow as tf

# Standard deviation of the sensor's noise as a share of full scale, before the exposure is coded: about one level of 8 bits.
READ_NOISE = 0.004
_PATCHES = 8  # a side of the coarse grid that missing depth is drawn on, so that it comes in patches

# IEC 61966-2-1 (sRGB): the slope and end of the linear part, the offset and exponent of the rest
_SLOPE, _KNEE, _OFFSET, _EXPONENT = 12.92, 0.0031308, 0.055, 2.4


def shift_colors(images, hue=0.0, saturation=1.0):
    """Turns the hue and scales the saturation (HSV).

    Args:
        images: float32 [...,H,W,3] in 0..1.
        hue: turns, in −1..1: 0.5 makes red cyan. Training's colour jitter draws up to 0.1.
        saturation: factor, ≥ 0; 0 leaves no colour.

    Returns:
        float32, the shape of `images`, in 0..1.
    """
    return tf.clip_by_value(tf.image.adjust_saturation(tf.image.adjust_hue(images, hue), saturation), 0.0, 1.0)


def darken(images, gain, seed):
    """The image at a fraction of the light, with a sensor's noise, coded in 8 bits again.

    The gain acts on linear light, as an exposure does, with sRGB's transfer function; READ_NOISE stays what it is however
    little light there is, which with the 8 bits is what darkness costs.

    Args:
        images: float32 [...,H,W,3] in 0..1, sRGB.
        gain: share of the light, in 0..1: 1/4 is two stops.
        seed: int32 [2], of the noise.

    Returns:
        float32, the shape of `images`, multiples of 1/255 in 0..1.
    """
    light = _linear(images) * gain + tf.random.stateless_normal(tf.shape(images), seed, stddev=READ_NOISE)
    return tf.round(_coded(tf.clip_by_value(light, 0.0, 1.0)) * 255) / 255


def _linear(images):
    return tf.where(images <= _SLOPE * _KNEE, images / _SLOPE, ((images + _OFFSET) / (1 + _OFFSET)) ** _EXPONENT)


def _coded(light):
    return tf.where(light <= _KNEE, _SLOPE * light, (1 + _OFFSET) * light ** (1 / _EXPONENT) - _OFFSET)


def drop_depth(depth, share, seed):
    """Depth with patches of it missing: smooth noise on a coarse grid, its lowest values cut out.

    Args:
        depth: float32 [H,W], metres, 0 = missing.
        share: of the pixels to be cut out, in 0..1, whether they were measured or not.
        seed: int32 [2].

    Returns:
        float32 [H,W], metres, 0 = missing.
    """
    noise = tf.random.stateless_uniform([_PATCHES, _PATCHES, 1], seed)
    noise = tf.reshape(tf.image.resize(noise, tf.shape(depth), "bicubic"), [-1])
    # by rank, so that the share is met to the pixel
    cut = tf.cast(tf.round(share * tf.cast(tf.size(noise), tf.float32)), tf.int32)
    places = tf.argsort(noise)[:cut]
    kept = tf.tensor_scatter_nd_update(tf.ones_like(noise), places[:, None], tf.zeros([cut]))
    return depth * tf.reshape(kept, tf.shape(depth))


def _on_colors(change, sample, seed):
    """Applies a change of float images in 0..1 to a sample's colours."""
    images = change(tf.cast(sample["rgb"], tf.float32) / 255, seed)
    return sample | {"rgb": tf.cast(tf.round(images * 255), tf.uint8)}


def _shifted(hue, saturation):
    return functools.partial(_on_colors, lambda images, _: shift_colors(images, hue, saturation))


def _darker(stops):
    return functools.partial(_on_colors, lambda images, seed: darken(images, 2.0**-stops, seed))


def _less_depth(share):
    return lambda sample, seed: sample | {"depth": drop_depth(sample["depth"], share, seed)}


# what a test sample goes through, by name: (sample, seed) -> sample
CONDITIONS = {
    "clean": lambda sample, seed: sample,
    "hue 1/4": _shifted(0.25, 1.0),
    "hue 1/2": _shifted(0.5, 1.0),
    "no colour": _shifted(0.0, 0.0),
    "dark 1/4": _darker(2),
    "dark 1/16": _darker(4),
    "dark 1/64": _darker(6),
    "depth −25 %": _less_depth(0.25),
    "depth −50 %": _less_depth(0.5),
}
OF_DEPTH = ("depth −25 %", "depth −50 %")


def under(condition, samples, seed=0):
    """A test split under a condition, at the frames' own resolution, before HHA and before any resize.

    Args:
        condition: a name of CONDITIONS; one of OF_DEPTH needs samples with depth.
        samples: a tf.data.Dataset of Samples (docs/architecture.md).
        seed: of the noise and the patches; a sample's draw depends on it and on the sample's place alone.

    Returns:
        A tf.data.Dataset of Samples, in the same order.
    """
    change = CONDITIONS[condition]

    def apply(index, sample):
        return change(sample, tf.random.experimental.stateless_fold_in(tf.stack([seed, 0]), tf.cast(index, tf.int32)))

    return samples.enumerate().map(apply, tf.data.AUTOTUNE, deterministic=True)
