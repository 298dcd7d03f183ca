import dataclasses

import numpy as np
import pytest

from keras_simsiam.evaluation import tables
from keras_simsiam.probes import classifiers
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
