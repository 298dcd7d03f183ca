"""Transforms of a view's colours: jitter, grayscale and solarisation, every draw stateless."""

import tensorflow as tf

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as PIL and torchvision take it
_SOLARIZED = 0.5  # what is at least as bright is inverted: BYOL's code


def sometimes(image, seed, probability, change):
    """The image, changed with a probability; one that is never changed takes no draw."""
    if not probability:
        return image
    happens = tf.random.stateless_uniform([], seed) < probability
    return tf.cond(happens, lambda: change(image), lambda: image)


def color_transforms(image, seed, *, augmentation, view=0):
    """Colour jitter (brightness, contrast, saturation, hue in random order), then grayscale, each with its probability.

    torchvision's ColorJitter: with a strength s factors uniform in 1 ± s, hue shift in ± s of the circle.

    Args:
        image: float32 [S,S,3] in 0..1.
        seed: int32 [2].
        augmentation: an `Augmentation`, of which `jitter`, `jitter_strength` and `grayscale` count.
        view: which view it is, as in `random_view`.

    Returns:
        float32 [S,S,3] in 0..1.
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 7))
    order_seed, jitter_seed, grayscale_seed, *factor_seeds = seeds
    strengths = augmentation.jitter_strength

    def factor(index):
        return tf.random.stateless_uniform([], factor_seeds[index], 1 - strengths[index], 1 + strengths[index])

    operations = (
        lambda x: _blend(x, 0.0, factor(0)),
        lambda x: _blend(x, tf.reduce_mean(_gray(x)), factor(1)),
        lambda x: _blend(x, _gray(x), factor(2)),
        lambda x: tf.image.adjust_hue(x, factor(3) - 1),
    )

    def jitter(x):
        for index in tf.unstack(tf.argsort(tf.random.stateless_uniform([4], order_seed))):
            x = tf.switch_case(index, [lambda f=f, x=x: f(x) for f in operations])
        return x

    jittered = sometimes(image, jitter_seed, augmentation.probability("jitter", view), jitter)
    return sometimes(
        jittered,
        grayscale_seed,
        augmentation.probability("grayscale", view),
        lambda x: tf.repeat(_gray(x), 3, axis=-1),
    )


def solarized(image):
    """An image, float32 in 0..1, whose values of at least half are inverted (Grill et al. 2020, Appendix B)."""
    return tf.where(image < _SOLARIZED, image, 1 - image)


def _blend(image, other, factor):
    """torchvision's blend: `factor` of the image, 1 − `factor` of the other."""
    return tf.clip_by_value(factor * image + (1 - factor) * other, 0.0, 1.0)


def _gray(image):
    return tf.tensordot(image, tf.constant(_LUMA), 1)[..., tf.newaxis]
