"""The signatures of an exported encoder: what each takes, and what it returns of the encoder's features."""

from typing import NamedTuple

import tensorflow as tf

from keras_simsiam.core.modalities import MODALITIES


class Input(NamedTuple):
    """An input of a signature.

    Attributes:
        name, dtype, description: what it is called, its type, what it holds.
        shape: its shape, the batch first; None where it may be of any size.
        default: what a server takes where a request leaves the input out, for all samples; None: it is required.
    """

    name: str
    shape: list
    dtype: tf.DType
    description: str
    default: tuple | None = None


_CAMERA = (
    Input("intrinsics", [None, 4], tf.float32, "fx, fy, cx, cy in pixels of this image, zero-based pixel centres"),
    Input(
        "gravity",
        [None, 3],
        tf.float32,
        "unit vector (x right, y down, z forward); zeros: estimated from the depth",
        ((0.0, 0.0, 0.0),),
    ),
)

# By how samples are given and by the part of a view that needs them.
_INPUTS = {
    "tensors": {
        "rgb": (Input("rgb", [None, None, None, 3], tf.uint8, "colour images"),),
        "hha": (Input("depth", [None, None, None], tf.float32, "metres, 0 = missing"), *_CAMERA),
    },
    "files": {
        "rgb": (Input("image", [None], tf.string, "JPEG or PNG files, of any sizes"),),
        "hha": (
            Input("depth", [None], tf.string, "16-bit PNG files of one channel, each of its image's size"),
            Input("units_per_metre", [None], tf.float32, "depth value of one metre: 1000 for millimetres"),
            *_CAMERA,
        ),
    },
}


class Signature(NamedTuple):
    """A way to call an exported model.

    Attributes:
        given: how samples are given, `files` or `tensors`.
        returns: what it returns, for a reader.
    """

    given: str
    returns: str


SIGNATURES = {
    "serving_default": Signature("files", "embedding float32 [B,D], and whitened"),
    "tensors": Signature("tensors", "embedding float32 [B,D], and whitened"),
    "features_map": Signature("files", "c2 … c5, map float32 [B,h,w,C]"),
    "depth": Signature("files", "depth float32 [B,S,S] in metres, of the centre of the image"),
}


def inputs(modality, depth=False):
    """The signatures of an export, and what each takes.

    Args:
        modality: of the encoder.
        depth: whether a depth network goes with it, which takes colour only.

    Returns:
        A dict from a name of SIGNATURES to a list of `Input`.
    """
    taken = {name: _rows(signature.given, modality) for name, signature in SIGNATURES.items() if name != "depth"}
    return taken | ({"depth": _rows("files", "rgb")} if depth else {})


def _rows(given, modality):
    return [row for part in MODALITIES[modality] for row in _INPUTS[given][part]]
