import numpy as np
import pytest

from keras_simsiam.commands import doctor_samples
from keras_simsiam.core.errors import UserError
from tests.tfrecords import by_hand
from tests.tfrecords.conftest import png
from tfrecords import Dataset
from tfrecords.example import Frame


def _rgb(number):
    return np.random.default_rng(number).integers(0, 256, [20 + number % 3, 30, 3], np.uint8)


def _frame(number):
    rgb = _rgb(number)
    depth = np.full(rgb.shape[:2], 1000 + number, np.uint16)
    return Frame(f"f_{number}", png(rgb[..., ::-1]), png(depth), (30.0, 30.0, 14.5, 9.5))


@pytest.fixture
def data(tmp_path):
    frames = [_frame(number) for number in range(30)]
    return Dataset(
        str(by_hand.write(tmp_path / "data", {"train": [frames[:11], frames[11:25]], "test": [frames[25:]]}))
    )


def test_every_frame_when_there_are_few(data):
    samples, prints = doctor_samples.draw(data, ["test", "train"], 200, 0)
    assert sorted(int(sample["frame"][2:]) for sample in samples) == list(range(30))
    for sample in samples:
        number = int(sample["frame"][2:])
        assert sample["split"] == ("train" if number < 25 else "test")
        np.testing.assert_allclose(sample["depth"], (1000 + number) / 1000)
        np.testing.assert_array_equal(sample["rgb"], _rgb(number))
    assert [one.frame for one in prints] == [sample["frame"] for sample in samples]
    assert len({one.digest for one in prints}) == 30


def test_a_bounded_draw_by_the_seed(data, monkeypatch):
    monkeypatch.setattr(doctor_samples, "PRINTS", 12)
    draws = [doctor_samples.draw(data, ["test", "train"], 8, seed) for seed in (0, 0, 1)]
    names = [[sample["frame"] for sample in samples] for samples, _ in draws]
    assert names[0] == names[1] != names[2] and [len(one) for one in names] == [8, 8, 8]
    for samples, prints in draws:
        assert len(prints) == 12 and {sample["frame"] for sample in samples} <= {one.frame for one in prints}


def test_one_split_alone(data):
    samples, _ = doctor_samples.draw(data, ["test"], 200, 0)
    assert [sample["frame"] for sample in samples] == [f"f_{number}" for number in range(25, 30)]


def test_a_corrupt_record_names_the_command_that_finds_it(data):
    path = data.splits["test"].shards[0]
    with open(path, "r+b") as file:
        file.seek(40)
        file.write(b"damage")
    with pytest.raises(UserError, match=r"split test, is corrupt: `python -m tfrecords.inspect .* --verify`"):
        doctor_samples.draw(data, ["test"], 200, 0)


def test_no_frames(data):
    with pytest.raises(UserError, match="has no frames"):
        doctor_samples.draw(data, [], 200, 0)
