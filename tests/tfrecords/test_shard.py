import hashlib
import os
import resource
import signal

import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from tfrecords import example
from tfrecords.shard import Shard, WriteError


def test_a_finished_shard_and_its_facts(make_frame, tmp_path):
    frames = [make_frame(f"a_1_{seed}", seed) for seed in range(3)]
    path = tmp_path / "train-00000.tfrecord"
    with Shard(str(path)) as shard:
        for frame in frames:
            shard.add(frame)
        facts = shard.finish()
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    assert records == [example.encode(frame) for frame in frames]
    assert os.listdir(tmp_path) == ["train-00000.tfrecord"]
    assert (facts["name"], facts["count"], facts["bytes"]) == (path.name, 3, path.stat().st_size)
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts["labels"] == {"3": 3}


def test_nothing_has_its_name_before_it_is_finished(make_frame, tmp_path):
    path = tmp_path / "train-00000.tfrecord"
    with pytest.raises(RuntimeError), Shard(str(path)) as shard:
        shard.add(make_frame())
        assert [name[0] for name in os.listdir(tmp_path)] == ["."]
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_an_unusable_frame_leaves_the_shard_as_it_was(make_frame, tmp_path):
    path = tmp_path / "train-00000.tfrecord"
    with Shard(str(path)) as shard:
        shard.add(make_frame())
        with pytest.raises(UserError, match="its depth is not"):
            shard.add(make_frame(depth=b""))
        facts = shard.finish()
    assert facts["count"] == 1 and len(list(tf.data.TFRecordDataset(str(path)))) == 1


def test_a_folder_that_is_not_there(tmp_path):
    path = tmp_path / "gone" / "train-00000.tfrecord"
    with pytest.raises(WriteError, match=rf"^{path} cannot be written \(No such file"), Shard(str(path)):
        pass


@pytest.fixture
def small_files():
    """No file may grow past 100,000 bytes: a write fails as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_is_one_line_and_leaves_nothing(make_frame, tmp_path, small_files):
    path = tmp_path / "train-00000.tfrecord"
    message = rf"^{path} cannot be written \(File too large\): make room"
    with pytest.raises(WriteError, match=message) as error, Shard(str(path)) as shard:
        for number in range(2000):
            shard.add(make_frame(f"a_1_{number}"))
        shard.finish()
    assert "\n" not in str(error.value)
    assert os.listdir(tmp_path) == []


def test_two_at_the_same_shard_do_not_meet(tmp_path, make_frame):
    """A cluster may try a task again while it still runs elsewhere."""
    path = str(tmp_path / "train-00000.tfrecord")
    frame = make_frame()
    with Shard(path) as first, Shard(path) as second:
        for shard in (first, second):
            shard.add(frame)
        facts = first.finish()
        assert second.finish() == facts
    assert os.listdir(tmp_path) == ["train-00000.tfrecord"]
    assert hashlib.sha256((tmp_path / "train-00000.tfrecord").read_bytes()).hexdigest() == facts["sha256"]
