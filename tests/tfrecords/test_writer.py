import json
import os

import pytest

from keras_simsiam.core.errors import UserError
from tfrecords import Dataset
from tfrecords.writer import Writer

DESCRIPTION = {"classes": ["a"], "instances": ["a_1"]}


def test_shards_hold_all_frames_in_order(make_frame, tmp_path):
    output = str(tmp_path / "new" / "data")
    with Writer(output, shard_bytes=600) as writer:
        for number in range(7):
            writer.add("train", make_frame(f"a_1_{number}", number))
        writer.add("test", make_frame("a_2_0"))
        content = writer.commit(DESCRIPTION)
    assert len(content["splits"]["train"]["shards"]) > 1
    assert content["splits"]["train"]["count"] == 7
    assert content == json.loads((tmp_path / "new" / "data" / "dataset.json").read_text())
    shards = [name for split in content["splits"].values() for name in split["shards"]]
    assert sorted(os.listdir(output)) == sorted([*shards, "dataset.json"])
    names = [sample["frame"].numpy().decode() for sample in Dataset(output).samples("train")]
    assert names == [f"a_1_{number}" for number in range(7)]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_source_that_raises_midway_leaves_nothing(make_frame, tmp_path, error):
    with pytest.raises(error), Writer(str(tmp_path / "data")) as writer:
        writer.add("train", make_frame())
        raise error
    assert os.listdir(tmp_path) == []


def test_failure_leaves_a_folder_that_was_there_as_it_was(make_frame, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RuntimeError), Writer(str(tmp_path)) as writer:
        writer.add("train", make_frame())
        raise RuntimeError
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_nothing_is_visible_before_the_commit(make_frame, tmp_path):
    with Writer(str(tmp_path)) as writer:
        writer.add("train", make_frame())
        assert not [name for name in os.listdir(tmp_path) if not name.startswith(".")]
        writer.commit(DESCRIPTION)
    assert sorted(os.listdir(tmp_path)) == ["dataset.json", "train-00000.tfrecord"]


def test_refuses_to_overwrite(tmp_path):
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(UserError, match="already holds a data set: choose another folder or delete it"):
        Writer(str(tmp_path))


def test_refuses_a_file(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(UserError, match="is a file"):
        Writer(str(tmp_path / "data"))


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"`output=.*file/data` cannot be written"),
        Writer(str(tmp_path / "file" / "data")),
    ):
        pass


def test_refuses_to_commit_nothing(tmp_path):
    with pytest.raises(UserError, match="no frames"), Writer(str(tmp_path / "data")) as writer:
        writer.commit(DESCRIPTION)
    assert os.listdir(tmp_path) == []


def test_depth_for_all_frames_or_for_none(make_frame, tmp_path):
    with pytest.raises(ValueError, match="a_1_2"), Writer(str(tmp_path)) as writer:
        writer.add("train", make_frame("a_1_1"))
        writer.add("train", make_frame("a_1_2", depth=None))
