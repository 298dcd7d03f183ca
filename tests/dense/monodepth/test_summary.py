import numpy as np
import pytest

from keras_simsiam.core.errors import UserError
from keras_simsiam.dense.monodepth import frames, metrics, summary


def crops(count, measured=None, seed=0):
    depth = np.random.default_rng(seed).uniform(1, 3, (count, 4, 4)).astype(np.float32)
    if measured is not None:
        depth[~measured] = 0
    return frames.Crops(np.zeros((count, 4, 4, 3)), depth, np.array([f"scene_{index}" for index in range(count)]))


def test_metrics_of_each_trial():
    test = crops(70)
    predicted = np.stack([test.depth * 1.1, test.depth * 1.2])
    found = summary.summarise(predicted, test)
    assert set(found["pooled"]) == set(metrics.METRICS)
    assert found["pooled"]["rel"] == pytest.approx([0.1, 0.2], rel=1e-5)
    assert found["per_image"]["rel"] == pytest.approx([0.1, 0.2], rel=1e-5)
    low, high = found["interval"]["rel"]
    # all images err alike: what is left is which of the two trials were drawn
    assert (low, high) == pytest.approx((0.1, 0.2), rel=1e-5)


def test_an_interval_holds_the_mean_and_narrows_with_more_frames():
    widths = []
    for count in (70, 700):
        test = crops(count)
        noise = np.random.default_rng(1).normal(0, 0.3, (1, count, 1, 1))
        found = summary.summarise(test.depth[np.newaxis] + noise, test)
        low, high = found["interval"]["mse"]
        assert low < found["per_image"]["mse"][0] < high
        widths.append(high - low)
    assert widths[1] < 0.6 * widths[0]  # a tenth of the variance, as far as so few blocks tell


def test_few_frames_have_no_interval():
    assert summary.summarise(crops(50).depth[np.newaxis], crops(50))["interval"]["rel"] is None


def test_images_without_depth_have_no_part():
    measured = np.arange(90) % 3 > 0
    with_holes = crops(90, measured)
    found = summary.summarise(with_holes.depth[np.newaxis] + 0.1, with_holes)
    assert found["per_image"]["mse"] == pytest.approx([0.01], rel=1e-4)
    assert found["interval"]["mse"] == pytest.approx([0.01, 0.01], rel=1e-4)
    with pytest.raises(UserError, match="no measured depth"):
        summary.summarise(np.ones((1, 3, 4, 4)), crops(3, np.zeros(3, bool)))


def test_differs_or_ties():
    test = crops(80)
    random = np.random.default_rng(1)
    one, same, worse = (test.depth * (1 + random.uniform(0, error, (3, 80, 1, 1))) for error in (0.2, 0.2, 0.4))
    assert summary.difference(one, same, test, "rel")["verdict"] == "tie"
    found = summary.difference(one, worse, test, "rel")
    assert found["verdict"] == "differs"
    assert found["interval"][0] < found["difference"] < found["interval"][1] < 0
    assert found["difference"] == pytest.approx(-0.1, abs=0.03)
    few = crops(20)
    assert summary.difference(few.depth[None], few.depth[None] * 2, few, "rel") == {
        "difference": pytest.approx(-1),
        "interval": None,
        "verdict": "tie",
    }


def test_table():
    one, two = (
        {key: dict.fromkeys(metrics.METRICS, values) for key in ("pooled", "per_image")} for values in ([0.5], [1, 2])
    )
    two["against"] = {
        "random": {"difference": 0.01, "interval": [-0.02, 0.03], "verdict": "tie"},
        "no image": {"difference": -0.1, "interval": None, "verdict": "tie"},
    }
    rows = summary.table({"contrastive probe": two}, {"no image: mean": one})
    count = len(metrics.METRICS)
    assert rows[0] == ["test depth", "mean over", *metrics.METRICS, "rel against random", "rel against no image"]
    assert rows[1:] == [
        ["contrastive probe", "pixels", *["1.500 ± 0.707"] * count, "", ""],
        ["contrastive probe", "images", *["1.500 ± 0.707"] * count, "+0.010 [-0.020, +0.030] tie", "-0.100 tie"],
        ["no image: mean", "pixels", *["0.500"] * count, "", ""],
        ["no image: mean", "images", *["0.500"] * count, "", ""],
    ]
