"""Files of torch.save: real ones that torch 2.14.1 wrote (tests/golden/torch_resnets.py), and ones made to do harm."""

import contextlib
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from keras_simsiam.core.errors import UserError
from keras_simsiam.models.pytorch.torch_pickle import read

GOLDEN = Path(__file__).parents[2] / "golden"
FILES = ("torch_types.pth", "torch_legacy.pth")


def dumped(value):
    """A value's pickle without its first and last instruction, to put others around it."""
    return pickle.dumps(value, 2)[2:-1]


def storage(key="0", kind="FloatStorage", count=4):
    return b"(" + dumped("storage") + f"ctorch\n{kind}\n".encode() + dumped(key) + dumped("cpu") + dumped(count) + b"tQ"


def tensor(offset=0, shape=(4,), strides=(1,), stored=None):
    arguments = b"".join(map(dumped, (offset, shape, strides, False, None)))
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + (stored or storage()) + arguments + b"tR"


def zipped(path, body, data=bytes(16), compression=zipfile.ZIP_STORED):
    """A file as torch.save lays it out, around the instructions of a pickle."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("made/data.pkl", b"\x80\x02" + body + b".")
        archive.writestr("made/data/0", data)
    return str(path)


@pytest.mark.parametrize("file", FILES)
def test_reads_types_and_layouts(file):
    found = {name: tensor.load() for name, tensor in read(str(GOLDEN / file)).items()}
    for name in ("float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64"):
        array = found.pop(name)
        assert array.dtype.name == name
        np.testing.assert_array_equal(array.astype(np.float64), np.arange(5))
    numbers = np.arange(24)
    expected = {
        "scalar": np.array(7),
        "empty": np.zeros((0, 3)),
        "bool": np.array([False, True]),
        "views.transposed": numbers.reshape(4, 6).T,
        "views.tail": numbers[20:],
        "views.every_third": numbers[1::3],
        "channels_last": numbers.reshape(1, 2, 3, 4),
    }
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def test_a_training_checkpoint_gives_its_tensors_by_joined_names():
    found = read(str(GOLDEN / "torch_simsiam.pth"))
    assert (
        "state_dict.module.encoder.layer1.0.conv1.weight" in found and "state_dict.module.predictor.0.weight" in found
    )
    assert all(name.startswith("state_dict.module.") for name in found)  # not the epoch, nor the optimizer's settings


class Harmful:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def harmful(path):
    """Pickles that make a folder when Python loads them, in the ways that pickles know."""
    name = os.mkdir.__module__.encode()
    code = f"__import__('os').mkdir({path!r})"
    return [
        *(pickle.dumps(Harmful(path), protocol) for protocol in range(5)),  # GLOBAL and STACK_GLOBAL, then REDUCE
        b"(S'" + path.encode() + b"'\ni" + name + b"\nmkdir\n.",  # INST
        b"(c" + name + b"\nmkdir\nS'" + path.encode() + b"'\no.",  # OBJ
        b"\x80\x02cbuiltins\neval\n(" + dumped(code) + b"tR.",
        b"\x80\x04" + dumped("os") + dumped("path.os.mkdir") + b"\x93(" + dumped(path) + b"tR.",  # a dotted name
        b"\x80\x02" + dumped({}) + b"c" + name + b"\nmkdir\n(" + dumped(path) + b"tRb.",  # as a state, by BUILD
    ]


@pytest.mark.parametrize("number", range(10))
def test_executes_nothing(number, tmp_path):
    bait = tmp_path / "made"
    pickled = harmful(str(bait))[number]
    with contextlib.suppress(Exception):  # what comes after the harm is done
        pickle.loads(pickled)
    assert bait.is_dir(), "the pickle does no harm, so that nothing is shown"
    bait.rmdir()

    legacy = (GOLDEN / "torch_legacy.pth").read_bytes()
    stream = io.BytesIO(legacy)
    for _ in range(3):
        pickle.load(stream)
    head = legacy[: stream.tell()]
    for content in (pickled, head + pickled, head + pickle.dumps({}, 2) + pickled):
        (tmp_path / "file.pth").write_bytes(content)
        with pytest.raises(UserError, match="nothing was executed") as refused:
            read(str(tmp_path / "file.pth"))
        assert "\n" not in str(refused.value)
    body = pickled[2:-1] if pickled[:1] == b"\x80" else pickled[:-1]
    with pytest.raises(UserError, match="nothing was executed"):
        read(zipped(tmp_path / "file.pth", body))
    assert not bait.exists()


@pytest.mark.parametrize(
    "body",
    [
        tensor(shape=(5,)),  # past the end of its storage
        tensor(offset=1),
        tensor(strides=(2,)),
        tensor(offset=-1),
        tensor(shape=(-1,)),
        tensor(strides=(-1,)),
        tensor(shape=(10**6, 10**6), strides=(0, 0)),  # one number, repeated to terabytes
        tensor(shape=(2.0,)),
        tensor(shape=(2, 2)),  # a stride is missing
        tensor(stored=storage(count=-1)),
        tensor(stored=storage(kind="QInt8Storage")),
        tensor(stored=dumped("no storage")),
        tensor(stored=dumped(("no storage",) * 5) + b"Q"),
        b"ccollections\nOrderedDict\n" + dumped({"clear": None}) + b"b",  # attributes of a class
        b"ccollections\nOrderedDict\n" + dumped(1) + b"\x85R",
        b"(" * 1000,
        b"",
    ],
)
def test_refuses_tensors_that_cannot_be(body, tmp_path):
    with pytest.raises(UserError, match=r"file\.pth: (damaged|asks for)") as refused:
        read(zipped(tmp_path / "file.pth", body))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("body", [tensor(stored=storage("1")), tensor(stored=storage(count=5))])
def test_refuses_numbers_that_are_not_there(body, tmp_path):
    (made,) = read(zipped(tmp_path / "file.pth", body)).values()
    with pytest.raises(UserError, match="damaged"):
        made.load()


def test_nested_dicts_end(tmp_path):
    """Sixty dicts, each holding the one before twice, and one that holds itself."""
    nested = {"tensor": None}
    for _ in range(60):
        nested = {"a": nested, "b": nested}
    nested["itself"] = nested
    path = zipped(tmp_path / "file.pth", pickle.dumps(nested, 2)[2:-1])
    assert read(path) == {}


def test_refuses_what_torch_save_did_not_write(tmp_path):
    path = tmp_path / "file.pth"
    cut = (GOLDEN / FILES[0]).read_bytes()[:3000]
    for content in (b"", b"text", cut, bytes(1000), np.random.default_rng(0).bytes(1000), pickle.dumps({"weight": 1})):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"file\.pth: damaged"):
            read(str(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "text")
    with pytest.raises(UserError, match="a zip file, but none"):
        read(str(path))
    with pytest.raises(UserError, match="a zip file, but none"):  # a small file can hold gigabytes of zeros
        read(zipped(path, tensor(), compression=zipfile.ZIP_DEFLATED))
    for missing in (tmp_path, tmp_path / "not there.pth"):
        with pytest.raises(UserError, match="cannot be read"):
            read(str(missing))


@pytest.mark.parametrize("file", FILES)
def test_a_file_cut_short_or_altered_is_never_read_as_another(file, tmp_path):
    """Whatever one byte is missing or wrong: the same numbers, or one line; of the zip format no other number at all."""
    whole = (GOLDEN / file).read_bytes()
    expected = {name: found.load() for name, found in read(str(GOLDEN / file)).items()}
    path = tmp_path / "file.pth"
    random = np.random.default_rng(0)
    for place in random.integers(0, len(whole), 60):
        for content in (
            whole[:place],
            whole[:place] + bytes([whole[place] ^ 1 << random.integers(8)]) + whole[place + 1 :],
        ):
            path.write_bytes(content)
            try:
                found = {name: tensor.load() for name, tensor in read(str(path)).items()}
            except UserError:
                continue
            assert len(content) == len(whole), "a file cut short was read"
            if file == "torch_types.pth":  # whose checksums tell
                for name in set(found) & set(expected):
                    np.testing.assert_array_equal(found[name], expected[name])
