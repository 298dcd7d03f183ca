"""What is written appears whole, or not at all, or is refused in one line."""

import errno
import hashlib
import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf

from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError

ROOT = pathlib.Path(__file__).parents[2]


class OtherError(UserError):
    """One of a caller's own."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/somewhere/a"), "No space left on device"),
        (OSError("file signature not found\nat all"), "file signature not found"),
        (tf.errors.UnknownError(None, None, "{{function_node x}} a/b; File too large [Op:Save]"), "File too large"),
        (OSError(), "OSError"),
    ],
)
def test_what_cannot_be_written_is_one_line(error, said):
    with pytest.raises(UserError) as raised, files.writing("--output=a", "name another file"):
        raise error
    assert str(raised.value) == f"--output=a cannot be written ({said}): name another file"
    with pytest.raises(OtherError), files.writing("a", raises=OtherError):
        raise error


def test_other_errors_are_not_of_writing():
    for error in (ValueError("x"), UserError("mine"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as raised, files.writing("a"):
            raise error
        assert raised.value is error


def test_tensorflow_is_not_loaded_to_say_it():
    code = """
import sys
from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
try:
    with files.writing("a", "b"):
        open("/nowhere/a", "w")
except UserError as error:
    print(error, "tensorflow" in sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "a cannot be written (No such file or directory): b False\n"


def _names(folder):
    return sorted(os.listdir(folder))


def test_a_file_is_replaced_once_it_is_complete(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("older")
    with pytest.raises(KeyError), files.replacing(path) as partial:
        partial.write_text("half")
        raise KeyError
    assert _names(tmp_path) == ["a.json"] and path.read_text() == "older"
    with files.replacing(path) as partial:
        partial.write_text("newer")
        assert path.read_text() == "older" and not list(tmp_path.glob("*.json"))[1:]
    assert _names(tmp_path) == ["a.json"] and path.read_text() == "newer"
    files.write_text(path, "as dashes – go")
    assert _names(tmp_path) == ["a.json"] and path.read_bytes() == "as dashes – go".encode()


def test_two_processes_may_write_the_same_file(tmp_path):
    with files.replacing(tmp_path / "a") as one, files.replacing(tmp_path / "a") as other:
        one.write_text("one")
        other.write_text("other")
    assert _names(tmp_path) == ["a"]


def test_a_killed_attempt_under_a_fixed_name_is_replaced(tmp_path):
    (tmp_path / "a.partial").write_text("of a killed process, and longer")
    with files.replacing(tmp_path / "a", tmp_path / "a.partial") as partial:
        partial.write_text("whole")
    assert _names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "whole"


def test_a_file_that_cannot_be_put_in_place_leaves_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"Is a directory"), files.writing("folder"):
        files.write_text(tmp_path / "folder", "text")
    assert _names(tmp_path) == ["folder"]


def test_a_folder_appears_whole_and_others_may_read_it(tmp_path):
    with pytest.raises(KeyError), files.appearing(tmp_path / "new") as partial:
        (partial / "a").write_text("half")
        raise KeyError
    assert not _names(tmp_path)
    with files.appearing(tmp_path / "new") as partial:
        (partial / "a").write_text("whole")
        assert all(name.startswith(files.PARTIAL) for name in _names(tmp_path))
    assert _names(tmp_path) == ["new"] and (tmp_path / "new" / "a").read_text() == "whole"
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_fails_half_way_leaves_what_was_there(tmp_path):
    (tmp_path / "results.json").write_text("older")
    with pytest.raises(KeyError), files.merged_into(tmp_path, "--output") as partial:
        (partial / "results.json").write_text("newer")
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert (tmp_path / "results.json").read_text() == "older"


def test_a_folder_of_a_task_takes_the_place_of_an_older_one(tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "older.txt").touch()
    with files.merged_into(tmp_path, "--output") as partial:
        (partial / "figures").mkdir()
        (partial / "figures" / "newer.txt").touch()
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["figures", "figures/newer.txt"]


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file"),
        PermissionError(errno.EACCES, "Permission denied", "/elsewhere/weights.h5"),
        OSError("file signature not found"),
    ],
)
def test_an_error_of_reading_is_not_said_to_be_the_outputs(tmp_path, error):
    with pytest.raises(type(error)) as raised, files.merged_into(tmp_path, "--output"):
        raise error
    assert raised.value is error


def test_an_output_that_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"^--output=file cannot be written \(Not a directory\): choose another$"),
        files.merged_into(tmp_path / "file", "--output=file"),
    ):
        pass


def test_hashes_of_a_file_and_of_all_in_a_folder(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a").write_bytes(b"one")
    (tmp_path / "z").write_bytes(b"other")
    assert files.sha256(tmp_path / "z") == hashlib.sha256(b"other").hexdigest()
    assert files.sha256(str(tmp_path)) == hashlib.sha256(b"oneother").hexdigest()


def test_sizes_are_rounded_up_so_that_they_are_enough():
    assert files.in_gb(10**9) == "1 GB" and files.in_gb(12_345_678_901) == "12.346 GB"
    assert files.in_gb(1) == "1e-05 GB" and files.in_gb(1_234_567) == "0.00124 GB"
