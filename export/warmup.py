"""Requests that TensorFlow Serving runs before a version takes traffic: the first run of a graph takes seconds."""

from pathlib import Path

import numpy as np
import tensorflow as tf

PLACE = Path("assets.extra") / "tf_serving_warmup_requests"  # TensorFlow Serving's name

_HEIGHT, _WIDTH = 120, 160


def write(version, inputs):
    """Write a request of each signature, one sample each, into a version's folder (a Path); `inputs`: of `signatures`."""
    path = version / PLACE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, rows in inputs.items():
            writer.write(_prediction_log(signature, request(rows)))


def request(rows):
    """A dict of arrays for the inputs of a signature, `signatures.Input`: a frame of a floor, whose gravity is unknown."""
    millimetres = np.tile(np.linspace(3000, 1000, _HEIGHT)[:, np.newaxis], (1, _WIDTH))
    rgb = np.zeros((_HEIGHT, _WIDTH, 3), np.uint8)
    png = tf.io.encode_png(millimetres[..., np.newaxis].astype(np.uint16)).numpy()
    files = "units_per_metre" in {row.name for row in rows}
    values = {
        "rgb": rgb,
        "image": tf.io.encode_jpeg(rgb).numpy(),
        "depth": png if files else millimetres / 1000,
        "units_per_metre": 1000,
        "intrinsics": (_WIDTH, _WIDTH, _WIDTH / 2, _HEIGHT / 2),
        "gravity": (0, 0, 0),
    }
    return {row.name: np.array([values[row.name]], row.dtype.as_numpy_dtype) for row in rows}


def _prediction_log(signature, tensors):
    """A PredictionLog with a PredictRequest, encoded by hand: its Python classes are no requirement of an export.

    The numbers are those of the fields in tensorflow_serving/apis: prediction_log.proto, predict.proto, model.proto.
    """
    encoded = {name: tf.make_tensor_proto(array).SerializeToString() for name, array in tensors.items()}
    inputs = b"".join(_field(2, _field(1, name.encode()) + _field(2, tensor)) for name, tensor in encoded.items())
    model_spec = _field(1, _field(3, signature.encode()))
    return _field(6, _field(1, model_spec + inputs))


def _field(number, content):
    """A field of bytes: its number and wire type 2, the length, the content (protocol buffers, Encoding)."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value):
    head = b"" if value < 128 else bytes([value & 127 | 128])
    return head + (bytes([value]) if value < 128 else _varint(value >> 7))
