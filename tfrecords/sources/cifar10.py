"""CIFAR-10 (Krizhevsky 2009) from its Python batches: 32×32 colour images of ten classes, stored as lossless PNG."""

import functools
import os
import pickle
from dataclasses import dataclass

import cv2
import numpy as np

from keras_simsiam.core.errors import UserError
from tfrecords.example import Frame
from tfrecords.sources import Plan, hold_out

_SPLITS = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
_NAMES = "batches.meta"
_SIZE = 32

# What a pickled array is made of: everything else that a pickle can name is code that it would run.
_PERMITTED = {
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy.core.multiarray", "_reconstruct"): np.core.multiarray._reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): np.core.multiarray._reconstruct,
}


@dataclass(frozen=True, slots=True)
class _Reference:
    path: str
    row: int


def plan(input: str, val_fraction: float = 0.0, seed: int = 0) -> Plan:
    """Plan the data set from its official files, without depth.

    Args:
        input: the folder cifar-10-batches-py: data_batch_1 to data_batch_5, test_batch and batches.meta.
        val_fraction: of the training images that becomes `val`, in [0, 1): the last ones; the batches are in random order.
        seed: of nothing; the builder orders the records by it.

    Raises:
        UserError: a file is missing, damaged, or holds something else.
    """
    classes = _class_names(os.path.join(input, _NAMES))
    splits = {}
    for split, names in _SPLITS.items():
        paths = [os.path.join(input, name) for name in names]
        splits[split] = [_Reference(path, row) for path in paths for row in range(len(_batch(path, len(classes))[1]))]
    return Plan(
        splits=hold_out.last([splits["train"]], val_fraction) | {"test": splits["test"]},
        load=functools.partial(_load, num_classes=len(classes)),
        classes=classes,
        instances=[],
        gravity={"mode": "unknown"},
    )


def _load(reference, num_classes):
    pixels, labels = _batch(reference.path, num_classes)
    image = pixels[reference.row].reshape(3, _SIZE, _SIZE).transpose(1, 2, 0)  # red, green, blue planes
    return Frame(
        name=f"{os.path.basename(reference.path)}/{reference.row:05d}",
        rgb=cv2.imencode(".png", image[..., ::-1])[1].tobytes(),
        depth=None,
        intrinsics=(0.0, 0.0, 0.0, 0.0),
        label=labels[reference.row],
    )


# All six hold 184 MB, in each process that loads frames: a pickle cannot be read in part.
@functools.cache
def _batch(path, num_classes):
    """Pixels, uint8 [N,3072], and labels of one batch."""
    content = _unpickle(path)
    pixels, labels = content.get(b"data"), content.get(b"labels")
    good = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.shape[1:] == (3 * _SIZE * _SIZE,)
    if not good or not isinstance(labels, list) or len(labels) != len(pixels):
        raise UserError(f"{path} holds no images and labels of CIFAR-10: fetch cifar-10-python.tar.gz again")
    if not all(isinstance(label, int) and 0 <= label < num_classes for label in labels):
        raise UserError(f"{path} has labels that {_NAMES} does not name: fetch cifar-10-python.tar.gz again")
    return pixels, labels


def _class_names(path):
    names = _unpickle(path).get(b"label_names")
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise UserError(f"{path} has no label_names: fetch cifar-10-python.tar.gz again")
    return [name.decode() for name in names]


class _Unpickler(pickle.Unpickler):
    """Unpickler of dicts, lists, numbers, texts and NumPy arrays; it runs no code that a pickle names."""

    def find_class(self, module, name):
        if (module, name) not in _PERMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _PERMITTED[module, name]


def _unpickle(path):
    try:
        with open(path, "rb") as file:
            content = _Unpickler(file, encoding="bytes").load()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: give the unpacked folder cifar-10-batches-py as `input`") from None
    # A damaged pickle can raise whatever its bytes happen to say.
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path} is not a batch of CIFAR-10 ({reason}): fetch cifar-10-python.tar.gz again") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a batch of CIFAR-10: fetch cifar-10-python.tar.gz again")
    return content
