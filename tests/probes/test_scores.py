import numpy as np
import pytest
from sklearn import metrics

from keras_simsiam.core.errors import UserError
from keras_simsiam.probes import scores


def test_accuracies():
    labels, predictions = np.array([0, 0, 0, 2]), np.array([0, 0, 1, 0])
    assert scores.top1(labels, predictions) == 0.5
    np.testing.assert_allclose(scores.per_class(labels, predictions, 3), [2 / 3, np.nan, 0])
    assert scores.mean_per_class(labels, predictions, 3) == pytest.approx(1 / 3)
    assert scores.majority_class(np.array([2, 2, 1, 1])) == 1


@pytest.mark.parametrize(("count", "classes"), [(200, 7), (12, 9), (50, 1), (1, 1), (1, 4)])
@pytest.mark.parametrize("seed", range(5))
def test_accuracies_are_scikit_learns(count, classes, seed):
    """Of random predictions, some of classes without a sample; of one class; of one sample."""
    labels, predictions = np.random.default_rng(seed).integers(0, classes, (2, count))
    recalls = metrics.recall_score(labels, predictions, labels=range(classes), average=None, zero_division=np.nan)
    present = np.unique(labels)
    mean = metrics.recall_score(labels, predictions, labels=present, average="macro")
    assert scores.top1(labels, predictions) == pytest.approx(metrics.accuracy_score(labels, predictions))
    np.testing.assert_allclose(scores.per_class(labels, predictions, classes), recalls)
    assert scores.mean_per_class(labels, predictions, classes) == pytest.approx(mean)


def test_wilson_interval_is_the_root_of_its_definition():
    for accuracy, count in [(0.7, 50), (0.02, 700), (0.5, 3)]:
        for bound in scores.wilson_interval(accuracy, count):
            assert abs(accuracy - bound) == pytest.approx(scores.Z_95 * np.sqrt(bound * (1 - bound) / count))


def test_wilson_interval_at_the_ends():
    assert scores.wilson_interval(0.0, 10)[0] == 0
    low, high = scores.wilson_interval(1.0, 10)
    assert high == pytest.approx(1) and low == pytest.approx(10 / (10 + scores.Z_95**2))


def test_data_without_labels_is_refused():
    with pytest.raises(UserError, match="split test has no samples"):
        scores.require_labels(np.zeros(0, np.int64), "split test")
    with pytest.raises(UserError, match="split test has 2 of 3 samples without a label"):
        scores.require_labels(np.array([-1, 0, -1]), "split test")
