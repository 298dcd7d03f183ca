import hashlib
import json
import os
import struct

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from tests.tfrecords import by_hand
from tests.tfrecords.conftest import png
from tfrecords import Dataset, example, verify


@pytest.fixture
def folder(make_frame, tmp_path):
    """Seven frames in three shards to train on, two to test on."""
    frames = [make_frame(f"a_{number}", number) for number in range(9)]
    splits = {"train": [frames[:2], frames[2:5], frames[5:7]], "test": [frames[7:]]}
    instances = [str(number) for number in range(12)]
    return by_hand.write(tmp_path / "data", splits, classes=list("abcd"), instances=instances)


def _run(folder, checksums=None):
    return list(verify.verify(Dataset(str(folder)), checksums or {}))


def _record_starts(path):
    """Where each record begins: a length of 8 bytes, its CRC of 4, the data, its CRC of 4."""
    content, starts, start = path.read_bytes(), [], 0
    while start < len(content):
        starts.append(start)
        start += 16 + struct.unpack_from("<Q", content, start)[0]
    return starts


def _flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def _rewrite(path, records):
    by_hand.write_records(path, records)
    _forget_sizes(path.parent)


def _forget_sizes(folder):
    content = json.loads((folder / "dataset.json").read_text())
    for split in content["splits"].values():
        split.pop("bytes", None)
    (folder / "dataset.json").write_text(json.dumps(content))


def _checksums(folder):
    return {
        name: [hashlib.sha256((folder / os.path.basename(shard)).read_bytes()).hexdigest() for shard in split.shards]
        for name, split in Dataset(str(folder)).splits.items()
    }


def test_a_whole_data_set(folder):
    train = "train: 7 frames, shards: 3; records"
    assert _run(folder) == [
        f"{train} (there are no checksums) as written",
        "test: 2 frames, shards: 1; records (there are no checksums) as written",
    ]
    assert _run(folder, _checksums(folder))[0] == f"{train} and checksums as written"


@pytest.mark.parametrize("record", [0, 1, 2])
@pytest.mark.parametrize("place", ["length", "data", "crc"])
def test_a_flipped_bit_is_found_in_its_record(folder, record, place):
    shard = folder / "train-00001.tfrecord"
    starts = [*_record_starts(shard), shard.stat().st_size]
    assert len(starts) == 4
    _flip(shard, {"length": starts[record], "data": starts[record] + 60, "crc": starts[record + 1] - 2}[place])
    with pytest.raises(
        UserError, match=rf"train-00001\.tfrecord, record {record}: corrupt \(its CRC differs\): copy or"
    ):
        _run(folder, _checksums(folder))


def test_a_shard_that_is_cut_off(folder):
    shard = folder / "train-00001.tfrecord"
    os.truncate(shard, _record_starts(shard)[2] + 40)
    with pytest.raises(UserError, match=r"train-00001\.tfrecord has \d+ bytes, not \d+ as written"):
        _run(folder)
    _forget_sizes(folder)
    with pytest.raises(UserError, match=r"train-00001\.tfrecord, record 2: cut off: copy or build"):
        _run(folder)


def test_a_shard_that_is_whole_but_another(folder):
    checksums = _checksums(folder)
    shards = [folder / f"train-0000{number}.tfrecord" for number in (0, 1)]
    first, second = (shard.read_bytes() for shard in shards)
    shards[0].write_bytes(second)
    shards[1].write_bytes(first)
    _forget_sizes(folder)
    with pytest.raises(UserError, match=r"train-00000\.tfrecord is not what was written \(its SHA-256 differs\)"):
        _run(folder, checksums)
    assert len(_run(folder)) == 2


def test_checksums_that_are_not_one_a_shard(folder):
    with pytest.raises(UserError, match="split train has 3 shards, 1 checksums"):
        _run(folder, {"train": ["0"]})


def test_a_missing_record(folder):
    shard = folder / "test-00000.tfrecord"
    _rewrite(shard, [record.numpy() for record in tf.data.TFRecordDataset(str(shard)).take(1)])
    with pytest.raises(UserError, match="split test has 1 records, not 2 as written"):
        _run(folder)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"depth": png(np.ones([5, 6], np.uint16))}, "colour is 7x5, depth 6x5"),
        ({"depth": b"no image"}, "does not decode"),
        ({"rgb": png(np.ones([5, 7, 3], np.uint8))[:60]}, "does not decode"),
        ({"units_per_metre": 0.0}, "depth is not finite"),
        ({"intrinsics": (0.0, 570.0, 3.0, 2.0)}, r"intrinsics \[0\.0, .*\] are no camera"),
        ({"gravity": (0.0, 0.5, 0.0)}, "gravity has length 0.5"),
        ({"label": 4}, "label 4 is not one of 4"),
        ({"label": -2}, "label -2 is not"),
        ({"instance": 12}, "instance 12 is not one of 12"),
    ],
)
def test_records_that_hold_what_no_sample_may(folder, make_frame, changes, problem):
    frames = [make_frame("a_7"), make_frame("a_8", **changes)]
    _rewrite(folder / "test-00000.tfrecord", map(example.encode, frames))
    with pytest.raises(UserError, match=rf"test-00000\.tfrecord, record 1: {problem}") as error:
        _run(folder)
    assert "\n" not in str(error.value) and "node" not in str(error.value)


def test_a_record_that_is_no_example(folder, make_frame):
    _rewrite(folder / "test-00000.tfrecord", [example.encode(make_frame()), b"something else"])
    with pytest.raises(UserError, match=r"record 1: does not decode \(Could not parse example"):
        _run(folder)


def test_color_only(make_frame, tmp_path):
    frame = make_frame(depth=None, intrinsics=(0.0, 0.0, 0.0, 0.0))
    assert len(_run(by_hand.write(tmp_path / "data", {"train": [[frame]]}))) == 1
