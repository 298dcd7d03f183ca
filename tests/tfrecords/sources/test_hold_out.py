import pytest

from keras_simsiam.core.errors import UserError
from tfrecords.sources import hold_out


def test_the_end_of_each_recording_is_held_out():
    splits = hold_out.last([list(range(10)), list(range(100, 104))], 0.25)
    assert splits == {"train": [0, 1, 2, 3, 4, 5, 6, 7, 100, 101, 102], "val": [8, 9, 103]}


def test_groups_stay_together_and_make_up_the_fraction():
    groups = [[f"{scene}_{frame}" for frame in range(1 + scene % 3)] for scene in range(50)]
    splits = hold_out.drawn(groups, 0.2, seed=4)
    assert 20 <= len(splits["val"]) <= 22 and len(splits["train"]) + len(splits["val"]) == 99
    scenes = [{frame.split("_")[0] for frame in splits[name]} for name in ("train", "val")]
    assert not scenes[0] & scenes[1]
    assert hold_out.drawn(groups, 0.2, seed=4) == splits != hold_out.drawn(groups, 0.2, seed=5)


@pytest.mark.parametrize("split", [hold_out.last, lambda groups, fraction: hold_out.drawn(groups, fraction, 0)])
def test_no_fraction_no_validation_split(split):
    assert split([[1, 2], [3]], 0.0) == {"train": [1, 2, 3]}


@pytest.mark.parametrize(
    ("split", "frames", "fraction", "message"),
    [
        (hold_out.last, [[1, 2, 3]], 0.1, "`val_fraction=0.1` leaves no frame for 'val'"),
        (hold_out.last, [[1]], 0.6, "`val_fraction=0.6` leaves no frame for 'train'"),
        (lambda *arguments: hold_out.drawn(*arguments, 0), [[1, 2, 3]], 0.5, "leaves no frame for 'train'"),
    ],
)
def test_an_empty_split_is_refused(split, frames, fraction, message):
    with pytest.raises(UserError, match=message):
        split(frames, fraction)
