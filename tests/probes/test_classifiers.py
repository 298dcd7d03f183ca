import dataclasses

import numpy as np
import pytest

from keras_simsiam.evaluation import tables
from keras_simsiam.probes import classifiers, linear_sgd
from keras_simsiam.probes.features import Features


def random_features(count, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, count)
    embeddings = (2 * np.eye(4, 8)[labels] + random.normal(size=(count, 8))).astype(np.float32)
    return Features(embeddings, labels, np.arange(count).astype(str), np.zeros(count, np.int64))


def test_test_labels_never_reach_the_probes():
    train, test = random_features(100, 0), random_features(80, 1)
    permuted = dataclasses.replace(test, labels=np.random.default_rng(2).permutation(test.labels))
    available = classifiers.available(20, 0.1, 4)
    first, second = (classifiers.predict(available, train, given) for given in (test, permuted))
    for name in ("knn", "linear"):
        np.testing.assert_array_equal(first[name], second[name])
        assert np.mean(first[name] == test.labels) > 0.6


def test_probabilities_decide_as_the_classifier_does():
    train, test = random_features(100, 0), random_features(80, 1)
    probes = classifiers.available(20, 0.1, 5) | {"sgd": classifiers.stochastic(linear_sgd.RECIPES["sgd"], 5, 0)}
    for probe in probes.values():  # a fifth class has no training frame
        found = probe.probabilities(train.embeddings, train.labels, test.embeddings)
        assert found.shape == (80, 5)
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
        expected = probe.classify(train.embeddings, train.labels, test.embeddings)
        np.testing.assert_array_equal(found.argmax(axis=1), expected)
    alike = np.zeros(100, np.int64)  # of one class
    np.testing.assert_array_equal(probes["linear"].probabilities(train.embeddings, alike, test.embeddings)[:, 0], 1)


def test_late_fusion_takes_the_mean_of_both():
    """Where one modality is sure and the other is not, the sure one decides."""
    given = {"rgb": [[0.6, 0.4, 0], [0.1, 0.9, 0]], "hha": [[0, 1, 0], [0.45, 0.3, 0.25]]}
    probe = classifiers.Probe("", "", None, lambda train, _labels, queries: np.array(given[queries]))
    apart, both = classifiers.fused(probe, [None, None], None, ["rgb", "hha"])
    assert [list(each) for each in apart] == [[0, 1], [1, 0]]
    assert list(both) == [1, 1]


def test_protocols_state_their_settings():
    available = classifiers.available(7, 0.2, 4)
    assert "k=7 " in available["knn"].protocol and "T=0.2" in available["knn"].protocol
    assert "C=1" in available["linear"].protocol


def test_chance():
    majority, uniform = classifiers.chance(np.array([2, 2, 0]), np.array([0, 2, 1, 1]), 4).values()
    assert majority["top1"] == 0.25 and uniform == {"top1": pytest.approx(0.25)}


def test_tables_line_up():
    summary = {"top1": 0.5, "interval": (0.0, 1.0), "mean_per_class": 0.25, "per_class": [0.5, None]}
    table = tables.accuracy_table({"a": {"knn": summary}, "chance": {"knn": {"top1": 0.1}}}, {"knn": "kNN"}).split("\n")
    assert table[1].endswith("50.0 [  0.0, 100.0]")
    assert table[1].index("50.0") == table[2].index("10.0")
    table = tables.class_table(["mug", "bowl"], [4, 0], {"knn": summary}, {"knn": "kNN"}).split("\n")
    assert [line.split()[-1] for line in table[1:]] == ["50.0", "–", "25.0"]
