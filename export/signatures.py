"""The signatures of an exported encoder: what each takes, and what it returns of the encoder's features."""

from typing import NamedTuple

import tensorflow as tf

from keras_simsiam.models.encoder import MODALITIES


class Input(NamedTuple):
    """An input of a signature.

    Attributes:
        name, dtype, description: what it is called, its type, what it holds.
        shape: its shape, the batch first; None where it may be of any size.
        default: what a server takes where a request leaves the input out, for all samples; None: it must be there.
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


def _embedding(features):
    return {"embedding": features["embedding"]}


def _maps(features):
    return {name: feature for name, feature in features.items() if name != "embedding"}


# How a signature's samples are given, and what it returns of the encoder's features. A head on the maps, as one that
# predicts depth, is a row more.
SIGNATURES = {
    "serving_default": ("files", _embedding),
    "tensors": ("tensors", _embedding),
    "features_map": ("files", _maps),
}


def inputs(signature, modality):
    """The inputs of a signature: a list of `Input`."""
    return [row for part in MODALITIES[modality] for row in _INPUTS[SIGNATURES[signature][0]][part]]
