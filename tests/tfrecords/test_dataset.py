import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from tfrecords import Dataset
from tfrecords.splits import Split
from tfrecords.writer import Writer


@pytest.fixture
def data(make_frame, tmp_path):
    output = str(tmp_path / "data")
    with Writer(output, shard_bytes=600) as writer:
        for number in range(5):
            writer.add("train", make_frame(f"a_1_{number}", number))
        writer.commit({"classes": ["a", "b"], "instances": ["a_1", "b_1"], "excluded": {}})
    return output


def test_load(data):
    dataset = Dataset(data)
    assert (dataset.path, dataset.classes, dataset.instances, dataset.has_depth) == (
        data,
        ("a", "b"),
        ("a_1", "b_1"),
        True,
    )
    assert dataset.splits["train"].count == 5
    assert all(os.path.exists(shard) for shard in dataset.splits["train"].shards)


def test_nothing_of_it_can_be_set(data):
    with pytest.raises(dataclasses.FrozenInstanceError):
        Dataset(data).path = "elsewhere"


def test_the_package_imports_it_when_it_is_asked_for():
    code = "import sys, tfrecords; before = 'tensorflow' in sys.modules; tfrecords.Dataset; sys.exit(before)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    with pytest.raises(ImportError, match="cannot import name 'Reader'"):
        from tfrecords import Reader  # noqa: F401


def test_a_split_says_how_many_of_its_frames_have_no_label(make_frame, tmp_path):
    with Writer(str(tmp_path / "data")) as writer:
        for number, (split, label) in enumerate([("train", -1), ("train", 0), ("train", -1), ("test", 1)]):
            writer.add(split, make_frame(f"a_1_{number}", number, label=label))
        writer.commit({"classes": ["a", "b"], "instances": ["a_1", "b_1"], "excluded": {}})
    splits = Dataset(str(tmp_path / "data")).splits
    assert (splits["train"].unlabelled, splits["test"].unlabelled) == (2, 0)


def _names(records, decode):
    return [decode(record)["frame"].numpy().decode() for record in records]


def test_samples_come_in_the_order_written(data):
    samples = Dataset(data).samples("train")
    assert [sample["frame"].numpy().decode() for sample in samples] == [f"a_1_{number}" for number in range(5)]


def test_records_come_from_the_shards_in_turn_at_every_pass(write_shards, monkeypatch):
    monkeypatch.setattr("tfrecords.dataset.SMALL_BYTES", 0)
    dataset = Dataset(write_shards([3, 1, 2]))
    records = dataset.records("train")
    for _ in range(2):
        assert _names(records, dataset.decode) == ["0_0", "1_0", "2_0", "0_1", "2_1", "0_2"]


def test_a_small_split_is_read_in_the_order_written(write_shards):
    dataset = Dataset(write_shards([3, 1, 2]))
    assert _names(dataset.records("train"), dataset.decode) == ["0_0", "0_1", "0_2", "1_0", "2_0", "2_1"]


def test_more_shards_than_are_read_side_by_side(write_shards, monkeypatch):
    monkeypatch.setattr("tfrecords.dataset.SMALL_BYTES", 0)
    dataset = Dataset(write_shards([2] * 10))
    names = _names(dataset.records("train"), dataset.decode)
    assert names[:8] == [f"{shard}_0" for shard in range(8)] and names[8:16] == [f"{shard}_1" for shard in range(8)]
    assert names == _names(dataset.records("train"), dataset.decode)
    assert sorted(names) == sorted(f"{shard}_{number}" for shard in range(10) for number in range(2))


def test_a_part_of_a_split(write_shards, monkeypatch):
    monkeypatch.setattr("tfrecords.dataset.SMALL_BYTES", 0)
    dataset = Dataset(write_shards([3, 2, 4]))
    part = dataset.only("train", ((1, 2), (0, 0), (2, 1)))
    assert _names(part.records("train"), dataset.decode) == ["0_1", "2_2", "0_2"]
    assert [os.path.basename(shard) for shard in part.splits["train"].shards] == ["0.tfrecord", "2.tfrecord"]
    again = part.only("train", ((1, 1), (0, 1)))
    assert _names(again.records("train"), dataset.decode) == ["0_2", "2_2"]
    assert len(list(again.samples("train"))) == again.splits["train"].count == 2


def test_a_short_shard_is_an_error_where_no_checksum_notices(write_shards):
    dataset = Dataset(write_shards([3]))
    sizes = [len(record.numpy()) + 16 for record in dataset.records("train")]
    os.truncate(dataset.splits["train"].shards[0], sum(sizes[:2]) + 5)  # within the third record's header
    with pytest.raises(tf.errors.FailedPreconditionError):
        list(dataset.records("train"))


def test_mean_size_of_a_record(data):
    dataset = Dataset(data)
    sizes = [len(record.numpy()) + 16 for record in dataset.records("train")]
    assert dataset.record_bytes("train") == sum(sizes) // 5


def test_identity_changes_with_what_is_read(write_shards):
    data = write_shards([3, 2])
    dataset = Dataset(data)
    before = dataset.identity("train")
    assert Dataset(data).identity("train") == before
    shard = dataset.splits["train"].shards[1]
    content = pathlib.Path(shard).read_bytes()
    with open(shard, "wb") as file:  # the same size, another image
        file.write(content[:-30] + bytes(byte ^ 1 for byte in content[-30:]))
    assert dataset.identity("train") != before
    part = dataset.only("train", ((0, 3), (0, 1)))
    assert part.identity("train") != dataset.identity("train")
    colour = dataclasses.replace(dataset, has_depth=False)
    assert colour.identity("train") != dataset.identity("train")


def test_identity_of_remote_data_needs_checksums():
    split = Split(("http://host/train-0.tfrecord",), 2, (100,))
    remote = Dataset("http://host", splits={"train": split})
    with pytest.raises(UserError, match=r"http://host has no checksums .*`cache=memory`"):
        remote.identity("train")
    known = [dataclasses.replace(split, checksums=(digits,)) for digits in ("ab", "cd")]
    one, other = (dataclasses.replace(remote, splits={"train": each}).identity("train") for each in known)
    assert one != other


def test_color_only_data_has_no_depth(make_frame, tmp_path):
    with Writer(str(tmp_path / "data")) as writer:
        writer.add("train", make_frame(depth=None))
        writer.commit({"classes": [], "instances": []})
    dataset = Dataset(str(tmp_path / "data"))
    assert not dataset.has_depth
    assert "depth" not in dataset.samples("train").element_spec


def test_missing_data_set_names_the_folder_and_the_remedy(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}.*python -m tfrecords.build"):
        Dataset(str(tmp_path))


def test_unknown_split_lists_those_there(data):
    with pytest.raises(UserError, match=r"no split 'val': it has train$"):
        Dataset(data).records("val")


def test_damaged_description(data):
    with open(os.path.join(data, "dataset.json"), "w") as file:
        file.write('{"splits": ')
    with pytest.raises(UserError, match=r"dataset.json is damaged"):
        Dataset(data)


def test_description_without_its_keys(data):
    with open(os.path.join(data, "dataset.json"), "w") as file:
        file.write("{}")
    with pytest.raises(UserError, match=r"dataset\.json is damaged .no 'schema_version'"):
        Dataset(data)


def test_missing_and_truncated_shards_are_named(data):
    shard = Dataset(data).splits["train"].shards[1]
    os.truncate(shard, os.path.getsize(shard) - 4)
    with pytest.raises(UserError, match=r"train-00001.tfrecord has \d+ bytes, not \d+ as written"):
        Dataset(data)
    os.remove(shard)
    with pytest.raises(UserError, match=r"train-00001\.tfrecord is missing"):
        Dataset(data)


def test_newer_schema(data):
    path = os.path.join(data, "dataset.json")
    with open(path) as file:
        content = json.load(file)
    with open(path, "w") as file:
        json.dump(content | {"schema_version": 99}, file)
    with pytest.raises(UserError, match="schema version 99"):
        Dataset(data)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["http://localhost/data", "s3://bucket/data"])
def test_remote_data_without_tensorflow_io(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_io", None)
    with pytest.raises(UserError, match=f"{path}.*needs tensorflow-io, which exists for Python 3.11"):
        Dataset(path)


def test_local_data_needs_no_tensorflow_io(data):
    code = f"import sys; from tfrecords import Dataset; Dataset({data!r}); sys.exit('tensorflow_io' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
