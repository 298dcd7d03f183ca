"""Decoders from an encoder's feature maps to depth, of any channels and any output stride."""

import math

from tensorflow import keras

from keras_simsiam.models.resnet import batch_norm

_LEAST_CHANNELS = 16  # of the skip-connected decoder, where the image is large and its blocks would be thinnest


def five_blocks(features, image_size):
    """Ray's decoder ("Depth Prediction Decoder"): of the last map only.

    A block: a 3×3 transposed convolution of stride 2, which leaves a quarter of the channels, then a 5×5 convolution; a last
    BatchNorm. The paper names no activation between them, so this has none. Five blocks for an output stride of 32, where
    ResNet-50's 2048 channels become 512, 128, 32, 8, 1; of D channels block k leaves max(1, D/4ᵏ), the last one 1. Fewer
    blocks for a smaller stride.

    Args:
        features: a dict with `map`, a symbolic tensor [B,h,w,D].
        image_size: S, the side of the depth map.

    Returns:
        A symbolic float32 tensor [B,S,S,1], standardised depth.
    """
    x = features["map"]
    channels, count = x.shape[-1], max(1, math.ceil(math.log2(image_size / x.shape[1])))
    for block in range(1, count + 1):
        filters = 1 if block == count else max(1, channels // 4**block)
        x = _convolved(_doubled(x, filters), filters, 5)
    return batch_norm(dtype="float32")(_cropped(x, image_size))


def skip_connected(features, image_size):
    """A decoder with low-level features, as Ray wishes for: from the last stage up, each stage's map is concatenated.

    A U-Net (Ronneberger et al., MICCAI 2015) of two 3×3 convolutions with BatchNorm and ReLU a step, enlarged by
    interpolation rather than transposed convolution, whose artefacts are a grid (Odena et al., Deconvolution and Checkerboard
    Artifacts, Distill 2016).

    Args:
        features: a dict with `c2` to `c5`, symbolic tensors [B,h,w,C] of falling resolution.
        image_size: S, the side of the depth map.

    Returns:
        A symbolic float32 tensor [B,S,S,1], standardised depth.
    """
    x = features["c5"]
    for name in ("c4", "c3", "c2"):
        skip = features[name]
        x = keras.layers.Concatenate()([_enlarged(x, skip.shape[1]), skip])
        x = _refined(x, skip.shape[-1])
    while x.shape[1] < image_size:
        channels = max(_LEAST_CHANNELS, x.shape[-1] // 2)
        x = _refined(_enlarged(x, min(image_size, 2 * x.shape[1])), channels)
    return keras.layers.Activation("linear", dtype="float32")(_convolved(x, 1, 3))


DECODERS = {"blocks": five_blocks, "skip": skip_connected}


def _doubled(x, filters):
    """A 3×3 transposed convolution of stride 2, padded as PyTorch's with padding 1 and output padding 1: the mirror image of
    the encoder's strided convolutions, whose output i lies at 2i."""
    uniform = _uniform(9 * filters)  # PyTorch counts a transposed convolution's fan-in by its output
    x = keras.layers.Conv2DTranspose(filters, 3, 2, kernel_initializer=uniform(), bias_initializer=uniform())(x)
    return keras.layers.Cropping2D(((1, 0), (1, 0)))(x)


def _convolved(x, filters, kernel):
    uniform = _uniform(kernel**2 * x.shape[-1])
    return keras.layers.Conv2D(
        filters, kernel, padding="same", kernel_initializer=uniform(), bias_initializer=uniform()
    )(x)


def _uniform(fan_in):
    """PyTorch's initialiser of weights and biases, to be made again for each: one used twice would repeat its draws."""
    limit = fan_in**-0.5
    return lambda: keras.initializers.RandomUniform(-limit, limit)


def _refined(x, filters):
    for _ in range(2):
        x = keras.layers.ReLU()(batch_norm()(_convolved(x, filters, 3)))
    return x


def _enlarged(x, size):
    """Interpolated to `size`, at most twice its own; odd sizes lose a line at the bottom and the right."""
    if x.shape[1] < size:
        x = keras.layers.UpSampling2D(2, interpolation="bilinear")(x)
    return _cropped(x, size)


def _cropped(x, size):
    excess = x.shape[1] - size
    return keras.layers.Cropping2D(((0, excess), (0, excess)))(x) if excess else x
