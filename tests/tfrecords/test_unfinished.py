import errno
import fcntl
import os

import pytest

from keras_simsiam.core.errors import UserError
from tfrecords.unfinished import FOLDER, Unfinished, record

COMMAND = {"source": {"name": "synthetic", "arguments": {"seed": 0, "degrees": (1, 2)}}, "input": "digest"}
FACTS = {"name": "train-00000.tfrecord", "count": 2, "bytes": 5, "skipped": []}


def _finish_one(unfinished):
    with open(os.path.join(unfinished.folder, FACTS["name"]), "w") as file:
        file.write("12345")
    record(unfinished.folder, FACTS)


def test_it_leaves_nothing_before_a_shard_is_finished(tmp_path):
    with pytest.raises(KeyboardInterrupt), Unfinished(str(tmp_path / "new" / "data")) as unfinished:
        unfinished.begin(COMMAND, dict)
        raise KeyboardInterrupt
    assert os.listdir(tmp_path / "new") == []


def test_it_keeps_finished_shards_alone(tmp_path):
    with pytest.raises(KeyboardInterrupt), Unfinished(str(tmp_path / "data")) as unfinished:
        assert unfinished.begin(COMMAND, lambda: {"shards": 3}) == {"shards": 3}
        _finish_one(unfinished)
        open(os.path.join(unfinished.folder, ".train-00001.tfrecord.123"), "w").close()
        raise KeyboardInterrupt
    assert sorted(os.listdir(tmp_path / "data" / FOLDER)) == [
        "build.json",
        "lock",
        "train-00000.tfrecord",
        "train-00000.tfrecord.json",
    ]
    with Unfinished(str(tmp_path / "data")) as unfinished:
        assert unfinished.begin(COMMAND, lambda: {"shards": 4}) == {"shards": 3}
        assert unfinished.finished() == {"train-00000.tfrecord": FACTS}


def test_it_leaves_the_other_files_of_the_folder_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with Unfinished(str(tmp_path)) as unfinished:
        unfinished.begin(COMMAND, dict)
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_two_builds_at_once_are_refused(tmp_path):
    with Unfinished(str(tmp_path)) as unfinished:
        unfinished.begin(COMMAND, dict)
        _finish_one(unfinished)
        message = f"another build is writing to `output={tmp_path}`: wait"
        with pytest.raises(UserError, match=message), Unfinished(str(tmp_path)) as other:
            other.begin(COMMAND, dict)
        assert unfinished.finished()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": {"name": "nyu", "arguments": {"seed": 0}}}, r"of another command \(`source=synthetic`\)"),
        ({"source": {"name": "synthetic", "arguments": {"degrees": [1, 2]}}}, r"of another command \(`seed=0`\)"),
        ({"input": "other"}, "its input has changed"),
    ],
)
def test_another_command_is_refused(tmp_path, change, message):
    with Unfinished(str(tmp_path)) as unfinished:
        unfinished.begin(COMMAND, dict)
        _finish_one(unfinished)
    with pytest.raises(UserError, match=message) as error, Unfinished(str(tmp_path)) as unfinished:
        unfinished.begin(COMMAND | change, dict)
    assert "\n" not in str(error.value)
    assert (tmp_path / FOLDER / "train-00000.tfrecord").exists()


def test_a_finished_data_set_is_refused(tmp_path):
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(UserError, match="already holds a data set"):
        Unfinished(str(tmp_path))


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/data` cannot be written"), Unfinished(str(tmp_path / "file" / "data")):
        pass


def test_its_lock_is_one_that_nfs_grants(tmp_path, monkeypatch):
    """flock(2): over NFS, an exclusive lock needs a file that is open for writing."""
    flock = fcntl.flock

    def nfs(descriptor, operation):
        if operation & fcntl.LOCK_EX and fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", nfs)
    with Unfinished(str(tmp_path / "data")) as unfinished:
        unfinished.begin(COMMAND, dict)
    assert os.listdir(tmp_path) == []
