import cv2
import numpy as np
import pytest

from keras_simsiam.commands import doctor_samples
from keras_simsiam.commands.doctor_checks import copies


def _prints(samples):
    return [doctor_samples.make_print(sample) for sample in samples]


def _stored_as_jpeg(rgb):
    encoded = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1]


def _again(samples, split):
    return [sample | {"frame": f"{sample['frame']}_again", "split": split} for sample in samples]


@pytest.fixture
def train(crops):
    return [sample for sample in crops if sample["split"] == "train"]


@pytest.fixture
def test_frames(crops):
    return [sample for sample in crops if sample["split"] == "test"]


def test_silent_on_clean_data(crops, real_crops, redwood):
    for samples in (crops, real_crops, redwood):
        assert copies.duplicates(_prints(samples)).severity == "ok"
        assert copies.leakage(_prints(samples)).severity == "ok"


def test_copied_test_frames(crops, test_frames):
    finding = copies.leakage(_prints(crops + _again(test_frames[:3], "train")))
    assert finding.severity == "wrong" and finding.number.startswith("3 equal, 3 same, 3 alike of 32 frames")
    assert f"test {test_frames[0]['frame']} = train {test_frames[0]['frame']}_again" in finding.meaning


def test_test_frames_stored_again_as_jpeg(crops, test_frames, change):
    again = change(_again(test_frames, "train"), rgb=_stored_as_jpeg)
    finding = copies.leakage(_prints(crops + again))
    assert finding.severity == "wrong" and finding.number.startswith("0 equal, 32 same, 32 alike of 32 frames")


def test_a_video_that_was_split_frame_by_frame(redwood):
    """Every other frame is to be tested on: no two are the same, but neighbours are alike."""
    mixed = [sample | {"split": ("train", "test")[index % 2]} for index, sample in enumerate(redwood)]
    finding = copies.leakage(_prints(mixed))
    assert finding.severity == "look" and finding.number.startswith("0 equal, 0 same, 2 alike of 2 frames")


def test_val_and_test_leak_too(crops, test_frames):
    finding = copies.leakage(_prints(crops + _again(test_frames[:3], "val")))
    assert finding.severity == "wrong" and "val" in finding.meaning


@pytest.mark.parametrize(("count", "severity"), [(1, "look"), (20, "wrong")])
def test_duplicates(crops, train, count, severity):
    finding = copies.duplicates(_prints(crops + _again(train[:count], "train")))
    assert finding.severity == severity and finding.number.startswith(f"{count} of {len(crops) + count} ")


def test_frames_that_show_nothing_are_not_compared(crops, test_frames, change):
    black = change(test_frames + _again(test_frames, "train"), rgb=np.zeros_like)
    assert copies.leakage(_prints(crops + black)).severity == "ok"


def test_one_split(train):
    assert copies.leakage(_prints(train)).number == "one split only"
