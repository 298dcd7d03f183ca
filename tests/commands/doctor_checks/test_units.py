import numpy as np
import pytest

from keras_simsiam.commands.doctor_checks import units


def test_silent_on_clean_data(crops, real_crops, redwood):
    for samples in (crops, real_crops, redwood):
        finding = units.check(samples)
        assert finding.severity == "ok" and not finding.remedy
    medians = [np.median(sample["depth"][sample["depth"] > 0]) for sample in redwood]
    assert finding.number.startswith(f"median {np.median(medians):.3g} m")


@pytest.mark.parametrize(("factor", "remedy"), [(1000, "1000 times"), (0.001, "0.001 times"), (100, "100 times")])
def test_wrong_units(crops, redwood, change, factor, remedy):
    for samples in (crops, redwood):
        finding = units.check(change(samples, depth=lambda depth: depth * np.float32(factor)))
        assert finding.severity == "wrong" and f"units_per_metre {remedy}" in finding.remedy


def test_one_frame_that_hha_would_refuse_is_named(crops, change):
    samples = crops[:19] + change(crops[19:20], depth=lambda depth: depth * 1000)
    finding = units.check(samples)
    assert finding.severity == "wrong" and crops[19]["frame"] in finding.meaning and "more" not in finding.meaning


def test_unusual_distances_are_to_be_looked_at(crops, change):
    assert units.check(change(crops, depth=lambda depth: depth * 15)).severity == "look"
    assert units.check(change(crops, depth=lambda depth: depth * 0.2)).severity == "look"


def test_no_depth_at_all(crops, change):
    finding = units.check(change(crops, depth=np.zeros_like))
    assert (finding.severity, finding.number) == ("wrong", "no depth")


@pytest.mark.parametrize(
    ("median", "factor"), [(1.2, 1), (0.06, 1), (49, 1), (1200, 1000), (0.0012, 0.001), (7000, 10000)]
)
def test_factor(median, factor):
    assert units.factor(median) == pytest.approx(factor)
