import numpy as np
import pytest

from keras_simsiam.commands.doctor_checks import missing_depth


def _cut(rows, columns):
    def cut(depth):
        depth = depth.copy()
        depth[rows, columns] = 0
        return depth

    return cut


def test_silent_on_clean_data(crops, real_crops, redwood):
    for samples in (crops, real_crops, redwood):
        assert missing_depth.check(samples).severity == "ok"


def test_the_number_is_the_share_of_zeros(real_crops):
    shares = [100 * np.count_nonzero(sample["depth"] == 0) / sample["depth"].size for sample in real_crops]
    assert missing_depth.check(real_crops).number.startswith(f"{np.median(shares):.1f} % missing")


@pytest.mark.parametrize(("empty", "severity"), [(1, "look"), (4, "look"), (5, "wrong")])
def test_frames_without_depth(crops, change, empty, severity):
    samples = crops[: 80 - empty] + change(crops[:empty], depth=np.zeros_like)
    finding = missing_depth.check(samples)
    assert finding.severity == severity and f"{empty} frames have no depth" in finding.meaning


def test_a_border_band(redwood, change):
    finding = missing_depth.check(change(redwood, depth=_cut(slice(None), slice(200))))
    assert finding.severity == "look" and "left 31 %" in finding.number and "band" in finding.meaning


def test_mostly_missing(redwood, change):
    finding = missing_depth.check(change(redwood, depth=_cut(slice(None, None, 2), slice(None))))
    assert finding.severity == "look" and "Less than half" in finding.meaning


def test_filled_depth_is_said(redwood, change):
    finding = missing_depth.check(change(redwood, depth=np.ones_like))
    assert finding.severity == "ok" and "filled in" in finding.meaning
