"""The .safetensors reader, against a file of the safetensors library and files written here by the format's description."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.models.pytorch.safetensors_file import read


def written(path, entries, numbers, metadata=None):
    header = json.dumps(entries | ({"__metadata__": metadata} if metadata else {})).encode()
    Path(path).write_bytes(len(header).to_bytes(8, "little") + header + numbers)
    return str(path)


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"weight": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


def test_reads_every_type_at_its_place(tmp_path):
    types = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": tf.bfloat16.as_numpy_dtype, "I64": "<i8", "I32": "<i4"}
    types |= {"I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"}
    arrays = {name: np.arange(6).reshape(2, 3).astype(kind) for name, kind in types.items()}
    arrays |= {"scalar": np.float32(7).reshape(()), "empty": np.zeros((0, 3), np.float32)}
    entries, numbers = {}, b""
    for name, array in arrays.items():
        end = len(numbers) + array.nbytes
        entries[name] = {
            "dtype": name if name in types else "F32",
            "shape": array.shape,
            "data_offsets": (len(numbers), end),
        }
        numbers += array.tobytes()
    found = read(written(tmp_path / "file.safetensors", entries, numbers, {"format": "pt"}))
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name].load(), array)


def test_reads_a_file_of_the_library():
    """The scales of its BatchNorms were drawn from 0.5 to 1.5: tests/golden/torch_resnets.py."""
    found = read(str(Path(__file__).parents[2] / "golden" / "torch_cifar.safetensors"))
    scale = found["layer4.1.bn2.weight"].load()
    assert scale.shape == (16,) and 0.5 <= scale.min() < scale.max() <= 1.5
    assert found["conv1.weight"].shape == (2, 3, 3, 3) and found["bn1.num_batches_tracked"].load() == 1


@pytest.mark.parametrize(
    "entries, numbers",
    [
        (entry(), bytes(7)),
        (entry(offsets=(0, 4)), bytes(8)),
        (entry(offsets=(4, 12)), bytes(8)),
        (entry(offsets=(-8, 0)), bytes(8)),
        (entry(shape=(-2,)), bytes(8)),
        (entry(shape=(-1, -2)), bytes(8)),
        (entry(shape=("2",)), bytes(8)),
        (entry(shape=(2.0,)), bytes(8)),
        (entry(dtype="F4"), bytes(8)),
        ({"weight": []}, b""),
        ({"weight": {"dtype": "F32"}}, b""),
    ],
)
def test_refuses_a_damaged_header(entries, numbers, tmp_path):
    with pytest.raises(UserError, match=r"file\.safetensors: damaged") as refused:
        read(written(tmp_path / "file.safetensors", entries, numbers))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "content", [b"", b"1", bytes(8), b"\xff" * 8, b"\2" + bytes(7) + b"[]", b"\x09" + bytes(7) + b"[" * 9]
)
def test_refuses_other_files(content, tmp_path):
    path = tmp_path / "file.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        read(str(path))
    with pytest.raises(UserError, match="cannot be read"):
        read(str(tmp_path))
