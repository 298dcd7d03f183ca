import numpy as np
import pytest

from keras_simsiam.core.errors import UserError
from keras_simsiam.probes import linear


def clouds(count, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 5, count)
    return (4 * np.eye(5, 12)[labels] + random.normal(size=(count, 12)) / 4).astype(np.float32), labels


def test_separable_features_are_separated():
    train, labels = clouds(200, 0)
    queries, expected = clouds(300, 1)
    predictions = linear.classify(train, labels, queries)
    assert predictions.dtype == np.int64
    np.testing.assert_array_equal(predictions, expected)


def test_shuffled_labels_give_about_chance():
    train, labels = clouds(1000, 0)
    queries, expected = clouds(1000, 1)
    accuracy = np.mean(linear.classify(train, np.random.default_rng(2).permutation(labels), queries) == expected)
    assert accuracy < 0.45  # five clusters of one class each: all or nothing, 0.2 on average


def test_the_scale_of_a_feature_does_not_matter():
    train, labels = clouds(200, 0)
    queries, _ = clouds(300, 1)
    scale, shift = np.logspace(-3, 3, 12), np.linspace(-9, 9, 12)
    expected = linear.classify(train, labels, queries)
    np.testing.assert_array_equal(linear.classify(train * scale + shift, labels, queries * scale + shift), expected)


def test_constant_features_and_a_single_class():
    queries, _ = clouds(10, 1)
    constant = linear.classify(np.ones((6, 12)), [0, 1, 1, 1, 2, 2], np.ones((10, 12)))
    np.testing.assert_array_equal(constant, np.ones(10))
    np.testing.assert_array_equal(linear.classify(np.ones((6, 12)), [3] * 6, queries), [3] * 10)


def test_a_class_that_training_lacks_is_never_predicted():
    train, labels = clouds(200, 0)
    queries, expected = clouds(300, 1)
    predictions = linear.classify(train[labels != 2], labels[labels != 2], queries)
    assert set(predictions) == {0, 1, 3, 4}
    known = expected != 2
    np.testing.assert_array_equal(predictions[known], expected[known])


def test_refuses_unlabelled_samples():
    with pytest.raises(UserError, match="1 of 3 samples without a label"):
        linear.classify(np.ones((3, 2)), [0, -1, 1], np.ones((1, 2)))
