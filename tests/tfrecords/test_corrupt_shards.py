"""A corrupt shard is named with its record, or left out from there on; what is intact stays."""

import os

import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from tfrecords import Dataset, corrupt_shards
from tfrecords.splits import Split


@pytest.fixture
def dataset(write_shards):
    return Dataset(write_shards([3, 4, 2]))


def _starts(shard):
    """Where each record of a shard begins, and where the last one ends."""
    starts = [0]
    for record in tf.data.TFRecordDataset(shard):
        starts.append(starts[-1] + 16 + len(record.numpy()))
    return starts


def _flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 4]))


def _names(dataset):
    return [dataset.decode(record)["frame"].numpy().decode() for record in dataset.records("train")]


DAMAGE = {
    "length": lambda path, start, end: _flip(path, start + 1),
    "checksum of the length": lambda path, start, end: _flip(path, start + 9),
    "data": lambda path, start, end: _flip(path, (start + end) // 2),
    "checksum of the data": lambda path, start, end: _flip(path, end - 2),
    "cut within the header": lambda path, start, end: os.truncate(path, start + 5),
    "cut within the data": lambda path, start, end: os.truncate(path, end - 9),
    "cut before the record": lambda path, start, end: os.truncate(path, start),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_every_kind_of_damage_is_named_and_left_out(dataset, damage, capsys):
    shard = dataset.splits["train"].shards[1]
    starts = _starts(shard)
    damage(shard, starts[2], starts[3])

    with (
        pytest.raises(
            UserError, match=r"shards/1\.tfrecord is corrupt, record 2 \(from 0\) .*`on_corrupt=skip`$"
        ) as error,
        dataset.naming_corrupt_shards(("train", "val")),
    ):
        _names(dataset)
    assert "\n" not in str(error.value)
    assert not capsys.readouterr().err

    intact = dataset.without_corrupt_records(("train", "val"))
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1 and "1.tfrecord, where record 2 (from 0)" in warning
    assert "7 of 9 frames remain" in warning and "0.tfrecord" not in warning
    assert sorted(_names(intact)) == ["0_0", "0_1", "0_2", "1_0", "1_1", "2_0", "2_1"]
    assert intact.splits["train"].count == 7


def test_an_intact_data_set_is_read_as_it_is(dataset, capsys):
    assert dataset.without_corrupt_records(("train", "val")) is dataset
    assert corrupt_shards.counts(dataset.splits["train"]) == [3, 4, 2]
    with dataset.naming_corrupt_shards(("train",)):
        assert len(_names(dataset)) == 9
    assert capsys.readouterr().err == ""


def test_two_corrupt_shards_in_one_warning(dataset, capsys):
    for shard, record in ((0, 0), (2, 1)):
        path = dataset.splits["train"].shards[shard]
        _flip(path, _starts(path)[record] + 20)
    assert sorted(_names(dataset.without_corrupt_records(("train", "val")))) == ["1_0", "1_1", "1_2", "1_3", "2_0"]
    warning = capsys.readouterr().err
    assert (
        warning.count("\n") == 1 and "0.tfrecord" in warning and "2.tfrecord" in warning and "1.tfrecord" not in warning
    )


def test_nothing_remains(write_shards):
    dataset = Dataset(write_shards([2]))
    _flip(dataset.splits["train"].shards[0], 30)
    with pytest.raises(UserError, match=r"split train: nothing remains without the rest of .*0\.tfrecord"):
        dataset.without_corrupt_records(("train", "val"))


def test_damage_that_is_left_out_is_not_blamed_for_what_comes_later(dataset):
    left_out, later = dataset.splits["train"].shards[0], dataset.splits["train"].shards[1]
    _flip(left_out, _starts(left_out)[1] + 20)
    intact = dataset.without_corrupt_records(("train", "val"))
    assert corrupt_shards.counts(intact.splits["train"]) == [1, 4, 2]
    _flip(later, _starts(later)[3] + 20)
    with pytest.raises(UserError, match=r"1\.tfrecord is corrupt, record 3"), intact.naming_corrupt_shards(("train",)):
        _names(intact)


def test_a_shard_that_is_gone_is_no_corruption(dataset):
    os.remove(dataset.splits["train"].shards[2])
    with pytest.raises(UserError, match=r"2\.tfrecord cannot be read"), dataset.naming_corrupt_shards(("train",)):
        _names(dataset)
    with pytest.raises(UserError, match=r"2\.tfrecord cannot be read"):
        dataset.without_corrupt_records(("train", "val"))


def test_a_wrong_count(dataset):
    split = dataset.splits["train"]
    wrong = Dataset(dataset.path, splits={"train": Split(split.shards, 10, split.sizes)})
    with pytest.raises(UserError, match="split train has 9 frames, not 10"), wrong.naming_corrupt_shards(("train",)):
        list(wrong.records("train"))


def test_errors_of_another_cause_stay_as_they_are(dataset):
    with pytest.raises(tf.errors.DataLossError, match="a checkpoint"), dataset.naming_corrupt_shards(("train",)):
        raise tf.errors.DataLossError(None, None, "a checkpoint")
    with pytest.raises(ValueError), dataset.naming_corrupt_shards(("train",)):
        raise ValueError
