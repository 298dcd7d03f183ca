import mmap

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from keras_simsiam.core.errors import UserError
from keras_simsiam.probes import knn


@pytest.fixture
def features():
    random = np.random.default_rng(0)
    labels = random.integers(0, 7, 300)
    means = random.normal(size=(7, 16))
    bank = means[labels] + random.normal(size=(300, 16))
    queries = means[random.integers(0, 7, 600)] + random.normal(size=(600, 16))
    return bank.astype(np.float32), labels, queries.astype(np.float32)


def oracle(bank, labels, queries, k, temperature, num_classes):
    """The paper's sentence, one query and one neighbour at a time."""
    predictions = []
    for query in queries:
        cosines = [row @ query / np.linalg.norm(row) / np.linalg.norm(query) for row in bank]
        votes = np.zeros(num_classes)
        for row in sorted(range(len(bank)), key=lambda row: -cosines[row])[:k]:
            votes[labels[row]] += np.exp(cosines[row] / temperature)
        predictions.append(np.argmax(votes))
    return np.array(predictions)


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.1), (20, 0.1), (20, 0.5), (200, 0.07)])
def test_agrees_with_a_direct_computation(features, k, temperature):
    bank, labels, queries = (array.astype(np.float64) if array.dtype == np.float32 else array for array in features)
    expected = oracle(bank, labels, queries, k, temperature, 7)
    np.testing.assert_array_equal(knn.classify(*features, k, temperature, 7), expected)


def test_agrees_with_scikit_learn(features):
    bank, labels, queries = features
    reference = KNeighborsClassifier(20, metric="cosine", weights=lambda distances: np.exp((1 - distances) / 0.1))
    np.testing.assert_array_equal(knn.classify(*features, 20, 0.1, 7), reference.fit(bank, labels).predict(queries))


@pytest.mark.parametrize(("rows", "queries"), [(1, 7), (7, 1), (64, 600), (299, 50), (300, 1000)])
@pytest.mark.parametrize("k", [1, 20, 250])
def test_chunks_of_any_size_give_the_same_neighbours(features, monkeypatch, rows, queries, k):
    bank, asked = features[0], features[2][:60]
    monkeypatch.setattr(knn, "CHUNK", rows)
    monkeypatch.setattr(knn, "BLOCK", queries)
    similarities, found = knn.nearest(bank, asked, k)
    reference = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(bank.astype(np.float64))
    distances, expected = reference.kneighbors(asked.astype(np.float64))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(similarities, 1 - distances, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_of_equals_in_several_chunks_the_earlier_row_is_nearer(monkeypatch, rows):
    monkeypatch.setattr(knn, "CHUNK", rows)
    bank = np.eye(4)[[1, 0, 0, 2, 0, 3, 0, 0]]
    similarities, found = knn.nearest(bank, np.eye(4)[:2], 6)
    np.testing.assert_array_equal(found, [[1, 2, 4, 6, 7, 0], [0, 1, 2, 3, 4, 5]])
    np.testing.assert_array_equal(similarities, [[1, 1, 1, 1, 1, 0], [1, 0, 0, 0, 0, 0]])


def test_a_memory_map_is_read_and_left_as_it_is(features, tmp_path, monkeypatch):
    bank, labels, queries = features
    expected = knn.classify(bank, labels, queries, 20, 0.1, 7)
    np.save(tmp_path / "bank.npy", bank)
    monkeypatch.setattr(knn, "CHUNK", 64)
    for mode in ("r", "r+", "c"):
        mapped = np.load(tmp_path / "bank.npy", mmap_mode=mode)
        if mode == "c":
            mapped[0] += 1  # in memory alone: must not be given back
        np.testing.assert_array_equal(knn.classify(mapped[:], labels, queries, 20, 0.1, 7)[:5], expected[:5])
    np.testing.assert_array_equal(mapped[0], bank[0] + 1)
    np.testing.assert_array_equal(np.load(tmp_path / "bank.npy"), bank)


class Bank:
    """Rows that cannot be had all at once, as those of a file larger than memory."""

    def __init__(self, rows, most):
        self.shape, self._rows, self._most, self.read = rows.shape, rows, most, 0

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, part):
        found = self._rows[part]
        assert isinstance(part, slice) and len(found) <= self._most
        self.read += len(found)
        return found


@pytest.mark.parametrize("chunk", [1, 64, 100, 4096])
def test_no_more_of_the_bank_than_a_chunk_is_read_at_a_time_and_all_of_it_once(features, monkeypatch, chunk):
    monkeypatch.setattr(knn, "CHUNK", chunk)
    monkeypatch.setattr(knn, "BLOCK", 70)  # several blocks of queries must not read the bank again
    bank = Bank(features[0], chunk)
    for found, expected in zip(knn.nearest(bank, features[2], 20), knn.nearest(*features[::2], 20), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert bank.read == 300


def test_the_pages_of_each_chunk_of_a_mapped_bank_are_given_back(features, tmp_path, monkeypatch):
    told = []

    class Mapped(mmap.mmap):
        def madvise(self, *advice):
            told.append(advice)
            return super().madvise(*advice)

    bank, _, queries = features
    np.save(tmp_path / "bank.npy", bank)
    monkeypatch.setattr(knn, "CHUNK", 64)
    monkeypatch.setattr(mmap, "mmap", Mapped)
    _, found = knn.nearest(np.load(tmp_path / "bank.npy", mmap_mode="r"), queries, 20)
    assert told == [(mmap.MADV_DONTNEED,)] * 5  # 300 rows
    np.testing.assert_array_equal(found, knn.nearest(bank, queries, 20)[1])


def test_a_bank_of_one_row(features):
    bank, _, queries = features
    similarities, rows = knn.nearest(bank[:1], queries, 20)
    assert rows.shape == similarities.shape == (600, 1) and not rows.any()
    cosines = queries @ bank[0] / np.linalg.norm(queries, axis=1) / np.linalg.norm(bank[0])
    np.testing.assert_allclose(similarities[:, 0], cosines, atol=1e-6)
    np.testing.assert_array_equal(knn.classify(bank[:1], [3], queries, 20, 0.1, 7), np.full(600, 3))


def test_scale_of_the_features_does_not_matter(features):
    bank, labels, queries = features
    scaled = knn.classify(bank * np.linspace(0.01, 100, 300)[:, None], labels, queries * 1e-3, 20, 0.1, 7)
    np.testing.assert_array_equal(scaled, knn.classify(*features, 20, 0.1, 7))


def test_k_is_capped_at_the_bank(features):
    np.testing.assert_array_equal(knn.classify(*features, 10_000, 0.1, 7), knn.classify(*features, 300, 0.1, 7))


def test_one_class_and_no_queries(features):
    bank, _, queries = features
    assert np.all(knn.classify(bank, np.zeros(300, int), queries, 20, 0.1, 1) == 0)
    assert knn.classify(bank, np.zeros(300, int), queries[:0], 20, 0.1, 1).shape == (0,)


def test_ties_go_to_the_earlier_row_and_the_lower_class():
    same = np.ones((4, 3))
    assert knn.classify(same, [2, 1, 0, 0], np.ones((1, 3)), 1, 0.1, 3) == [2]  # only row 0 votes
    assert knn.classify(same, [2, 1, 0, 0], np.ones((1, 3)), 2, 0.1, 3) == [1]  # one vote each for 2 and 1


def test_a_small_temperature_does_not_overflow(features):
    np.testing.assert_array_equal(knn.classify(*features, 20, 1e-5, 7), knn.classify(*features, 1, 0.1, 7))


def test_zero_features_are_equally_far_from_all():
    assert knn.classify(np.eye(3), [1, 1, 0], np.zeros((1, 3)), 3, 0.1, 2) == [1]


def test_refuses_unlabelled_rows_and_senseless_settings(features):
    bank, labels, queries = features
    with pytest.raises(UserError, match="1 of 300"):
        knn.classify(bank, np.where(np.arange(300) == 5, -1, labels), queries, 20, 0.1, 7)
    with pytest.raises(ValueError, match="outside"):
        knn.classify(bank, labels, queries, 20, 0.1, 6)
    for k, temperature in [(0, 0.1), (20, 0), (20, float("nan"))]:
        with pytest.raises(ValueError, match="at least 1"):
            knn.classify(bank, labels, queries, k, temperature, 7)


@pytest.mark.parametrize("k", [1, 5, 100])
def test_nearest_by_cosine_as_numpy_sorts_it(k):
    random = np.random.default_rng(0)
    bank, queries = random.normal(size=(37, 6)), random.normal(size=(9, 6)) * 50
    cosines = (queries / np.linalg.norm(queries, axis=1)[:, None]) @ (bank / np.linalg.norm(bank, axis=1)[:, None]).T
    found, rows = knn.nearest(bank, queries, k)
    assert rows.shape == (9, min(k, 37))
    np.testing.assert_array_equal(rows, np.argsort(-cosines, axis=1)[:, :k])
    np.testing.assert_allclose(found, np.take_along_axis(cosines, rows, 1), atol=1e-6)
