"""Whitening: what is left of a covariance, what shrinkage interpolates, and that kNN sees what large directions hid."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf_shrinkage

from keras_simsiam.probes import knn, whitening

_RANDOM = np.random.default_rng(0)
_FEATURES = np.float32(_RANDOM.normal(size=(500, 6)) @ _RANDOM.normal(size=(6, 6)) * [1, 10, 1, 1, 5, 1] + 100)


def _covariance(features):
    return np.cov(features, rowvar=False, bias=True)


def test_whitened_features_have_mean_0_and_variance_1_in_every_direction():
    whitened = whitening.fit(_FEATURES, shrinkage=0)(_FEATURES)
    np.testing.assert_allclose(whitened.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(_covariance(whitened), np.eye(6), atol=1e-3)
    assert whitened.dtype == np.float32


def test_standardized_features_keep_their_correlations():
    standardized = whitening.fit(_FEATURES, "standardized")(_FEATURES)
    np.testing.assert_allclose(_covariance(standardized), np.corrcoef(_FEATURES, rowvar=False), atol=1e-3)


def test_none_changes_nothing():
    np.testing.assert_array_equal(whitening.fit(_FEATURES, "none")(_FEATURES), _FEATURES)


def test_shrinkage_is_that_of_ledoit_and_wolf():
    covariance = _covariance(np.float64(_FEATURES))
    shrunk = 0.7 * covariance + 0.3 * np.trace(covariance) / 6 * np.eye(6)
    matrix = whitening.fit(_FEATURES, shrinkage=0.3).matrix
    np.testing.assert_allclose(matrix @ shrunk @ matrix, np.eye(6), atol=1e-3)


def test_shrinkage_1_leaves_centred_features_up_to_a_factor():
    scaled = whitening.fit(_FEATURES, shrinkage=1)(_FEATURES)
    centred = _FEATURES - _FEATURES.mean(axis=0)
    factor = scaled[0, 0] / centred[0, 0]
    np.testing.assert_allclose(scaled, factor * centred, rtol=1e-3, atol=1e-4)


def test_the_shrinkage_is_estimated_unless_it_is_given():
    few, many = _FEATURES[:20], _FEATURES
    for features in (few, many):
        expected = ledoit_wolf_shrinkage(features)
        fitted = whitening.fit(features)
        assert fitted.shrinkage == (pytest.approx(expected),)
        np.testing.assert_allclose(fitted.matrix, whitening.fit(features, shrinkage=expected).matrix, rtol=1e-6)
    assert whitening.fit(few).shrinkage[0] > whitening.fit(many).shrinkage[0] > 0


def test_axes_without_variance_become_0():
    features = np.float32(np.concatenate([_FEATURES, _FEATURES[:, :1], np.full((500, 1), 3)], axis=1))
    for kind in ("whitened", "standardized"):
        scaled = whitening.fit(features, kind, shrinkage=0)(features)
        assert np.isfinite(scaled).all() and np.abs(scaled).max() < 10
        np.testing.assert_allclose(scaled[:, 7], 0, atol=1e-4)
    constant = np.ones((3, 2), np.float32)
    np.testing.assert_array_equal(whitening.fit(constant)(constant), 0)


@pytest.mark.parametrize("count", [5, 4096, 4097, 9000])
def test_features_are_read_in_chunks(count):
    features = np.float32(_RANDOM.normal(size=(count, 3)) * [1, 2, 3] + 1000)
    scaling = whitening.fit(features, "standardized")
    np.testing.assert_allclose(scaling.mean, features.mean(axis=0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(np.diag(scaling.matrix), 1 / features.std(axis=0, dtype=np.float64), rtol=1e-4)


def test_scaled_features_are_scaled_where_they_are_read():
    scaling = whitening.fit(_FEATURES)
    scaled = whitening.Scaled(_FEATURES, scaling)
    assert len(scaled) == 500 and scaled.shape == (500, 6)
    np.testing.assert_array_equal(scaled[10:20], scaling(_FEATURES)[10:20])
    labels = np.arange(500) % 3
    predicted = knn.classify(scaled, labels, scaled, k=1)
    np.testing.assert_array_equal(predicted, labels)


def test_knn_finds_a_class_that_a_direction_of_large_variance_hides():
    labels = np.arange(400) % 2
    noise = _RANDOM.normal(size=(400, 4)) * [30, 30, 30, 0.1]
    features = np.float32(noise + np.stack([0 * labels, 0 * labels, 0 * labels, labels], axis=1))
    bank, queries = features[:300], features[300:]
    scaling = whitening.fit(bank, shrinkage=1e-4)
    raw = np.mean(knn.classify(bank, labels[:300], queries) == labels[300:])
    whitened = np.mean(knn.classify(scaling(bank), labels[:300], scaling(queries)) == labels[300:])
    assert raw < 0.7 and whitened > 0.95


@pytest.mark.parametrize("kind", ["whitened", "standardized"])
def test_parts_are_scaled_apart_and_count_alike(kind):
    """Colour's and depth's features, say, of which one is a thousand times as large."""
    first, second = _FEATURES, 1000 * np.random.default_rng(1).normal(size=_FEATURES.shape)
    joined = whitening.fit(np.concatenate([first, second], axis=1), kind, parts=2)
    scaled = joined(np.concatenate([first, second], axis=1)).reshape(len(first), 2, -1)
    for part, features in enumerate((first, second)):
        expected = whitening.fit(features, kind)(features)
        np.testing.assert_allclose(
            scaled[:, part], expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-4
        )
    assert len(joined.shrinkage) == (2 if kind == "whitened" else 0)
    nothing = np.zeros((1, joined.mean.size), np.float32) + joined.mean
    np.testing.assert_array_equal(joined(nothing), 0)
