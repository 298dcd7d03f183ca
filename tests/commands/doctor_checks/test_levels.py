from pathlib import Path

import numpy as np
import pytest

from keras_simsiam.commands.doctor_checks import levels

NYU = Path(__file__).parents[4] / "shared" / "data" / "nyu_sample.mat"


def _eight_bits(span=None):
    def squeeze(depth):
        most = depth.max() if span is None else span
        return (np.round(depth / most * 255) * np.float32(most / 255)).astype(np.float32)

    return squeeze


def test_silent_on_clean_data(crops, real_crops, redwood, whole_frames):
    for samples in (crops, real_crops, redwood, whole_frames("tum_fr1_desk"), whole_frames("kinect2")):
        finding = levels.check(samples)
        assert finding.severity == "ok" and finding.number.startswith(f"0 of {len(samples)} ")


@pytest.mark.parametrize("unit", [1, 1000, 0.001])
def test_ten_metres_in_8_bits(crops, real_crops, redwood, change, unit):
    """Whatever else is wrong with the units."""
    for samples in (crops, real_crops, redwood):
        finding = levels.check(change(samples, depth=lambda depth: unit * _eight_bits(10.0)(depth)))
        assert finding.severity == "wrong" and "16-bit" in finding.remedy


def test_each_frame_stretched_to_8_bits(redwood, whole_frames, change):
    for samples in (redwood, whole_frames("tum_fr1_desk")):
        finding = levels.check(change(samples, depth=_eight_bits()))
        assert finding.severity == "wrong" and finding.number.startswith(f"{len(samples)} of {len(samples)} ")


def test_a_few_such_frames_are_named(redwood, change):
    samples = redwood[1:] + change(redwood[:1], depth=_eight_bits(10.0))
    finding = levels.check(samples)
    assert finding.severity == "look" and redwood[0]["frame"] in finding.meaning


@pytest.mark.skipif(not NYU.exists(), reason="the real frames are not beside the repository")
def test_real_frames_that_went_through_8_bits():
    import h5py

    with h5py.File(NYU) as file:
        samples = [{"depth": depth.T, "frame": str(index)} for index, depth in enumerate(file["depths"])]
    finding = levels.check(samples)
    assert finding.number.startswith("4 of 7 ") and "3, 4, 5 and 1 more" in finding.meaning


def test_next_to_no_depth(crops, change):
    assert levels.check(change(crops, depth=np.zeros_like)).severity == "look"
