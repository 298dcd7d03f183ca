import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from keras_simsiam.core.errors import UserError
from keras_simsiam.dense.monodepth import metrics


def random_depth(seed=0, missing=0.4):
    random = np.random.default_rng(seed)
    truth = random.uniform(0.4, 9, (5, 12, 16)).astype(np.float32)
    prediction = (truth * random.uniform(0.4, 1.9, truth.shape) + random.normal(0, 0.3, truth.shape)).astype(np.float32)
    truth[random.uniform(size=truth.shape) < missing] = 0
    return prediction, truth


def test_against_scikit_learn():
    prediction, truth = random_depth()
    assert prediction.min() < 0 < metrics.FARTHEST < prediction.max()  # both ends are clipped
    found = metrics.pooled(prediction, truth)
    p, t = prediction[truth > 0].astype(float), truth[truth > 0].astype(float)
    clipped = p.clip(0.001, 10)
    assert found["mse"] == pytest.approx(sklearn_metrics.mean_squared_error(t, p))
    assert found["rmse"] == pytest.approx(sklearn_metrics.root_mean_squared_error(t, p))
    assert found["rel"] == pytest.approx(sklearn_metrics.mean_absolute_percentage_error(t, clipped))
    assert found["log10"] == pytest.approx(sklearn_metrics.mean_absolute_error(np.log10(t), np.log10(clipped)))
    # Eigen's equation 1 with λ = 1, as it is written
    d = np.log(clipped) - np.log(t)
    assert found["silog"] == pytest.approx(100 * np.sqrt((d**2).sum() / d.size - d.sum() ** 2 / d.size**2))
    for power in (1, 2, 3):
        within = [max(a / b, b / a) < 1.25**power for a, b in zip(clipped, t, strict=True)]
        assert found[f"delta{power}"] == pytest.approx(sklearn_metrics.accuracy_score(np.ones(t.size), within))


def test_by_hand():
    found = metrics.pooled(np.array([[[1.2, 4.0, 7.0]]]), np.array([[[1.0, 2.0, 0.0]]]))
    assert found["mse"] == pytest.approx((0.04 + 4) / 2)
    assert found["rel"] == pytest.approx((0.2 + 1) / 2)
    assert (found["delta1"], found["delta2"], found["delta3"]) == (0.5, 0.5, 0.5)
    assert found["log10"] == pytest.approx((np.log10(1.2) + np.log10(2)) / 2)


def test_the_bound_of_delta_is_not_accurate():
    assert metrics.pooled(np.array([[[1.25]]]), np.array([[[1.0]]]))["delta1"] == 0  # Ray: δ < 1.25


def test_a_negative_depth_is_not_accurate():
    truth = np.full((1, 2, 2), 2.0)
    found = metrics.pooled(-truth, truth)
    assert found["delta3"] == 0
    assert found["rel"] == pytest.approx((2 - 0.001) / 2)
    assert found["mse"] == pytest.approx(16)  # of the predictions as they are


def test_missing_pixels_do_not_count():
    prediction, truth = random_depth()
    other = np.where(truth > 0, prediction, 1e6)
    assert metrics.pooled(other, truth) == metrics.pooled(prediction, truth)
    assert metrics.per_image(other, truth) == metrics.per_image(prediction, truth)


def test_silog_forgives_a_factor():
    _, truth = random_depth()
    found = metrics.pooled(truth * 1.1, truth)
    assert found["silog"] == pytest.approx(0, abs=1e-4)
    assert found["rel"] == pytest.approx(0.1, rel=1e-5)


def test_per_image_is_the_mean_of_each_image_pooled_alone():
    prediction, truth = random_depth()
    truth[1, 2:] = 0  # a few pixels weigh as much as a whole image
    truth[3] = 0  # and none at all nothing
    alone = [metrics.pooled(prediction[[index]], truth[[index]]) for index in (0, 1, 2, 4)]
    found = metrics.per_image(prediction, truth)
    for name in metrics.METRICS:
        assert found[name] == pytest.approx(np.mean([one[name] for one in alone]))
    assert found["rel"] != pytest.approx(metrics.pooled(prediction, truth)["rel"])
    assert np.isnan(metrics.of_each(prediction, truth)["mse"][3])


def test_nothing_measured():
    for average in (metrics.pooled, metrics.per_image):
        with pytest.raises(UserError, match="no measured depth"):
            average(np.ones((2, 3, 3)), np.zeros((2, 3, 3)))


def test_predictions_that_are_none():
    with pytest.raises(ValueError, match="shape"):
        metrics.pooled(np.ones((1, 3, 3)), np.ones((1, 4, 3)))
    with pytest.raises(ValueError, match="not finite"):
        metrics.pooled(np.full((1, 2, 2), np.nan), np.ones((1, 2, 2)))
