"""The folder of an evaluation's results: it appears whole, or not at all."""

import errno

import pytest

from keras_simsiam.core import output_folder


def test_what_fails_half_way_leaves_what_was_there(tmp_path):
    (tmp_path / "results.json").write_text("older")
    with pytest.raises(KeyError), output_folder.appearing_whole(tmp_path) as partial:
        (partial / "results.json").write_text("newer")
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert (tmp_path / "results.json").read_text() == "older"


def test_a_folder_of_a_task_takes_the_place_of_an_older_one(tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "older.txt").touch()
    with output_folder.appearing_whole(tmp_path) as partial:
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
    with pytest.raises(type(error)) as raised, output_folder.appearing_whole(tmp_path):
        raise error
    assert raised.value is error
