"""Gaussian blur as an augmentation of colour (Chen et al., SimCLR, appendix A; Chen & He, Appendix A); a graph operation."""

import tensorflow as tf

_SIGMA = (0.1, 2.0)  # pixels of the view, whatever its size


def random_blur(image, seed, probability):
    """Blur an image with a given probability, by a σ drawn uniformly from 0.1 to 2 pixels.

    Args:
        image: float32 [S,S,3] in 0..1, S static.
        seed: int32 [2].
        probability: 0..1.

    Returns:
        float32 [S,S,3] in 0..1.
    """
    apply_seed, sigma_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    blurred = tf.random.stateless_uniform([], apply_seed) < probability
    sigma = tf.random.stateless_uniform([], sigma_seed, *_SIGMA)
    return tf.cond(blurred, lambda: gaussian_blur(image, sigma), lambda: image)


def gaussian_blur(image, sigma):
    """An image convolved with a Gaussian, rows first, then columns.

    The kernel reaches over a tenth of the side, as in SimCLR's code (23 pixels of 224). At the border the image is mirrored,
    where that code takes black beyond it and darkens the edges.

    Args:
        image: float32 [S,S,C], S static.
        sigma: float32 scalar > 0, in pixels.

    Returns:
        float32 [S,S,C].
    """
    side, channels = image.shape[0], image.shape[2]
    reach = radius(side)
    offsets = tf.range(-reach, reach + 1, dtype=tf.float32)
    kernel = tf.nn.softmax(-tf.square(offsets) / (2 * tf.square(sigma)))
    kernel = tf.tile(kernel[:, tf.newaxis, tf.newaxis, tf.newaxis], [1, 1, channels, 1])  # Kx1xCx1
    padded = tf.pad(image, [[reach, reach], [reach, reach], [0, 0]], "REFLECT")[tf.newaxis]
    for along in (kernel, tf.transpose(kernel, [1, 0, 2, 3])):
        padded = tf.nn.depthwise_conv2d(padded, along, [1, 1, 1, 1], "VALID")
    return tf.ensure_shape(padded[0], [side, side, channels])


def radius(side):
    """Pixels to either side of the kernel's centre, for an image of `side` pixels; 0, no blur, where that is below 20."""
    return side // 10 // 2
