"""The tensors of a file that torch.save wrote, read without PyTorch and without executing what the file says.

A pickle names functions to call. Of those this reader knows three kinds: collections.OrderedDict, the rebuilding of a tensor,
and the types of storages. It imports nothing, and refuses every other name.
"""

import contextlib
import io
import math
import os
import pickle
import struct
import typing
import zipfile
from collections import OrderedDict

import numpy as np
import tensorflow as tf

from keras_simsiam.core.errors import UserError

_DTYPES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(tf.bfloat16.as_numpy_dtype),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # torch/serialization.py, MAGIC_NUMBER


class Tensor(typing.NamedTuple):
    """A tensor that is read when it is wanted, so that an optimizer's momentum costs nothing."""

    shape: tuple[int, ...]
    load: typing.Callable  # without arguments: an array of `shape`, in the file's type


class _Storage(typing.NamedTuple):
    """A run of numbers in the file."""

    dtype: np.dtype
    key: str
    count: int


def read(path):
    """The tensors of a file that torch.save wrote, in its zip format (PyTorch 1.6 and later) or in the one before.

    Args:
        path: the file; its name says nothing.

    Returns:
        A dict from name to `Tensor`. Names within nested dicts are joined by dots: `state_dict.module.encoder.conv1.weight`.

    Raises:
        UserError: the file cannot be read, is none of torch.save's, is damaged, or asks for anything other than tensors and
            Python's own dicts, lists, tuples, numbers and strings. `Tensor.load` raises it where the numbers are damaged.
    """
    with refusing(path):
        with open(path, "rb") as stream:
            zip_format = stream.read(2) == b"PK"
        return _flattened((_zipped if zip_format else _legacy)(path))


@contextlib.contextmanager
def refusing(path):
    """A context for reading a checkpoint that may be damaged or made to do harm.

    Args:
        path: the file, for the message.

    Raises:
        UserError: whatever was raised, in one line.
    """
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}): give a checkpoint's file") from error
    except Exception as error:  # a file that was made to fail can raise anything
        reason = ascii(str(error))[1:-1][:100]
        raise UserError(f"{path}: damaged, or no checkpoint of PyTorch ({reason}): copy it once more") from error


class _Unpickler(pickle.Unpickler):
    """Unpickler of what the module's first lines list, and of nothing else."""

    def __init__(self, stream, path, tensor=None):
        super().__init__(stream, encoding="latin1")
        self.storages = {}
        self._path, self._tensor = path, tensor

    def find_class(self, module, name):
        """What a name stands for. A pickle may call it and set its attributes, so nothing here outlives the reading."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *rest: self._tensor(storage, offset, shape, strides)
        if module == "torch" and name in _DTYPES:
            return name
        wanted = ascii(f"{module}.{name}")[1:-1][:80]
        raise UserError(
            f"{self._path}: asks for {wanted}, which is no tensor (nothing was executed); if you trust the file, save the "
            "tensors alone in PyTorch: torch.save(torch.load(FILE, weights_only=False)['state_dict'], NEW_FILE)"
        )

    def persistent_load(self, identity):
        """A storage, to which a pickle refers by a tuple."""
        kind, storage_type, key, _, count, *view = identity
        if kind != "storage" or not isinstance(key, str) or any(view):
            raise ValueError(f"a reference to {kind} {view}")
        self.storages[key] = _Storage(_DTYPES[storage_type], key, count)
        return self.storages[key]


def _zipped(path):
    """The object of a file in the zip format: data.pkl, and each storage a member `data/<key>`, none compressed."""
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1 or any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
            raise UserError(f"{path}: a zip file, but none that torch.save wrote: give a checkpoint's file")
        root = pickles[0].removesuffix("data.pkl")
        if f"{root}byteorder" in members and archive.read(f"{root}byteorder") != b"little":
            raise UserError(f"{path}: written on a big-endian machine: save it once more on a little-endian one")
        stream = io.BytesIO(archive.read(pickles[0]))

    def tensor(storage, *place):
        def data():
            with zipfile.ZipFile(path) as archive:
                return archive.read(f"{root}data/{storage.key}")

        return _tensor(path, storage, data, *place)

    return _Unpickler(stream, path, tensor).load()


def _legacy(path):
    """The object of a file in the format before PyTorch 1.6: pickles one after the other, then the storages."""
    starts = {}

    def tensor(storage, *place):
        def data():
            with open(path, "rb") as stream:
                stream.seek(starts[storage.key])
                return stream.read(storage.count * storage.dtype.itemsize)

        return _tensor(path, storage, data, *place)

    with open(path, "rb") as stream:
        magic, _, machine = (_Unpickler(stream, path).load() for _ in range(3))
        if magic != _LEGACY_MAGIC or not machine["little_endian"]:
            raise ValueError("neither the zip format nor the one before it, of a little-endian machine")
        unpickler = _Unpickler(stream, path, tensor)
        content = unpickler.load()
        for key in _Unpickler(stream, path).load():
            storage = unpickler.storages[key]
            if struct.unpack("<q", stream.read(8))[0] != storage.count:
                raise ValueError("a storage of another size than its tensors say")
            starts[key] = stream.tell()
            stream.seek(storage.count * storage.dtype.itemsize, os.SEEK_CUR)
    return content


def _tensor(path, storage, data, offset, shape, strides):
    """The part of a storage that starts at `offset` and has `shape` and `strides`, in numbers, not bytes."""
    shape, strides = tuple(shape), tuple(strides)
    if any(type(number) is not int or number < 0 for number in (storage.count, offset, *shape, *strides)):
        raise ValueError("a tensor's shape that is no list of whole numbers")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if math.prod(shape) > storage.count or (all(shape) and last >= storage.count):
        raise ValueError("a tensor larger than its storage")

    def load():
        with refusing(path):
            numbers = np.frombuffer(data(), storage.dtype)
            if len(numbers) != storage.count:
                raise ValueError("a storage is cut short")
            steps = [stride * storage.dtype.itemsize for stride in strides]
            return np.lib.stride_tricks.as_strided(numbers[offset:], shape, steps, writeable=False)

    return Tensor(shape, load)


def _flattened(content):
    """The tensors in nested dicts, by their joined names. Each dict counts once, or few of them could nest endlessly."""
    tensors, seen, waiting = {}, set(), [("", content)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Tensor):
            tensors[name.removesuffix(".")] = value
        elif isinstance(value, dict) and id(value) not in seen:
            seen.add(id(value))
            waiting += [(f"{name}{key}.", inner) for key, inner in dict.items(value) if isinstance(key, str)]
    return tensors
