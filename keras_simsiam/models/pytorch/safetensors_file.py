"""The tensors of a .safetensors file: a header in JSON, then the numbers. Nothing in the format can be executed."""

import json
import math
import os

import numpy as np
import tensorflow as tf

from keras_simsiam.models.pytorch.torch_pickle import Tensor, refusing

_DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(tf.bfloat16.as_numpy_dtype),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}


def read(path):
    """The tensors of a .safetensors file (Hugging Face, safetensors, "Format").

    Args:
        path: the file: 8 bytes little-endian, the header's length; the header, a JSON object from name to type, shape and
            the first and last place of the numbers behind the header; the numbers.

    Returns:
        A dict from name to `Tensor`.

    Raises:
        UserError: the file cannot be read, or is damaged or cut short.
    """
    with refusing(path), open(path, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > os.path.getsize(path):
            raise ValueError("the header is cut short")
        header = json.loads(stream.read(length))
        size = os.path.getsize(path) - stream.tell()
        header.pop("__metadata__", None)
        return {name: _tensor(path, 8 + length, size, **entry) for name, entry in header.items()}


def _tensor(path, start, size, dtype, shape, data_offsets):
    begin, end = data_offsets
    kind = _DTYPES[dtype]
    if any(type(number) is not int or number < 0 for number in (begin, *shape)):
        raise ValueError("a shape or place that is no whole number")
    if not begin <= end <= size or end - begin != math.prod(shape) * kind.itemsize:
        raise ValueError("a tensor of another size than its numbers")

    def load():
        with refusing(path):
            count = math.prod(shape)
            return np.fromfile(path, kind, count, offset=start + begin).reshape(shape)

    return Tensor(tuple(shape), load)
