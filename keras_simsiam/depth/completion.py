"""A learnt completion of depth: a small convolutional network that corrects what `keras_simsiam.depth.holes` fills.

It is a function of its weights, NumPy arrays: a graph holds them as constants, whether it is of tf.data or of a SavedModel.
"""

import functools
import hashlib
import io
import pathlib
import zipfile

import numpy as np
import tensorflow as tf

from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from keras_simsiam.depth.camera import TensorLike

_CHANNELS = (16, 32, 48, 64)  # at 1/2, 1/4, 1/8 and 1/16 of the image's side
_INPUTS, _OUTPUTS = 6, 2
_GRID = 2 ** len(_CHANNELS)
_LIMIT = 0.5  # the most that a logarithm of depth is corrected by
_PREFIX, _SUFFIX, _DIGITS = "completion-", ".npz", 16
_REMEDY = "give a file that `python -m tools.depth_completion` has written"


def shapes() -> list[tuple[int, ...]]:
    """The shapes of the weights, a kernel and a bias per convolution, in the order in which `correct` takes them."""
    downwards = list(zip((_INPUTS, *_CHANNELS), _CHANNELS, strict=False))
    upwards = [(low + high, high) for low, high in zip(_CHANNELS[:0:-1], _CHANNELS[-2::-1], strict=True)]
    kernels = [(3, 3, *each) for each in (*downwards, *upwards, (_CHANNELS[0], _OUTPUTS))]
    return [shape for kernel in kernels for shape in (kernel, kernel[-1:])]


def correct(starts: TensorLike, rgb: TensorLike, valid: TensorLike, weights) -> tf.Tensor:
    """Depth from two fills of it and the colour, by the network.

    A U-Net (Ronneberger et al., MICCAI 2015) of 3×3 convolutions from half of the image's side down to a sixteenth. Of each
    pixel it says how much of the second fill there is in the result, and a correction of the logarithm of depth, at
    most 0.5 to either side. Logarithms are taken relative to their mean over the image: the scale of depth does not matter.

    Args:
        starts: two fills, float32 `[B, H, W]` each, metres, positive.
        rgb: float32 `[B, H, W, 3]` in 0..1.
        valid: bool `[B, H, W]`, where depth was measured.
        weights: arrays or variables of `shapes()`.

    Returns:
        float32 `[B, H, W]`, metres. Measured pixels are not kept.
    """
    first, second = (tf.math.log(starts[place]) for place in (0, 1))
    mean = tf.reduce_mean(first, axis=(1, 2), keepdims=True)
    mask = tf.cast(valid, tf.float32)[..., tf.newaxis]
    x = tf.concat([rgb - 0.5, tf.stack([first - mean, second - first], -1), mask], -1)
    height, width = tf.shape(x)[1], tf.shape(x)[2]
    x = tf.pad(x, [[0, 0], [0, -height % _GRID], [0, -width % _GRID], [0, 0]])
    kernels, biases = iter(weights[::2]), iter(weights[1::2])

    def convolved(x, stride=1):
        return tf.nn.conv2d(x, next(kernels), stride, "SAME") + next(biases)

    stages = []
    for _ in _CHANNELS:
        x = tf.nn.relu(convolved(x, 2))
        stages.append(x)
    for skip in stages[-2::-1]:
        x = tf.nn.relu(convolved(tf.concat([_doubled(x), skip], -1)))
    share, change = tf.unstack(_doubled(convolved(x))[:, :height, :width], axis=-1)
    return tf.exp(first + tf.sigmoid(share) * (second - first) + _LIMIT * tf.tanh(change))


def _doubled(x):
    return tf.raw_ops.ResizeBilinear(images=x, size=2 * tf.shape(x)[1:3], half_pixel_centers=True)


def save(weights, folder: str | pathlib.Path) -> pathlib.Path:
    """Write weights into a folder, in a file named after its content: a run that names it cannot get another one.

    Args:
        weights: arrays of `shapes()`.
        folder: made if it does not exist.

    Returns:
        The file, `completion-<16 digits of its SHA-256>.npz`.

    Raises:
        UserError: the folder or the file cannot be written.
    """
    buffer = io.BytesIO()
    np.savez(buffer, *(np.asarray(each, np.float32) for each in weights))
    name = _PREFIX + hashlib.sha256(buffer.getvalue()).hexdigest()[:_DIGITS] + _SUFFIX
    path = pathlib.Path(folder) / name
    with files.writing(f"`output={folder}`", "choose another"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(path) as partial:
            partial.write_bytes(buffer.getvalue())
    return path


@functools.lru_cache(maxsize=4)
def load(path: str) -> tuple[np.ndarray, ...]:
    """The weights in a file that `save` wrote.

    Raises:
        UserError: no such file exists, it holds something else, or its name is not that of its content.
    """
    try:
        content = pathlib.Path(path).read_bytes()
        with np.load(io.BytesIO(content)) as archive:
            weights = tuple(archive[name] for name in archive.files)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"`holes_model={path}` cannot be read ({files.reason(error)}): {_REMEDY}") from None
    if [each.shape for each in weights] != shapes():
        raise UserError(f"`holes_model={path}` is not a completion of this version: {_REMEDY}")
    if pathlib.Path(path).stem != _PREFIX + hashlib.sha256(content).hexdigest()[:_DIGITS]:
        raise UserError(f"`holes_model={path}` was renamed or changed, its name is not that of its content: {_REMEDY}")
    return weights
