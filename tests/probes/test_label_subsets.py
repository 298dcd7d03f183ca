import types

import numpy as np
import pytest

from keras_simsiam.core.errors import UserError
from keras_simsiam.probes import label_subsets


def data(count, classes):
    dataset = types.SimpleNamespace(splits={"train": types.SimpleNamespace(count=count)}, classes=range(classes))
    return types.SimpleNamespace(dataset=dataset, train="train")


@pytest.mark.parametrize("seed", range(5))
def test_every_beginning_is_as_balanced_as_the_classes_allow(seed):
    sizes = np.array([1, 7, 3, 20])
    labels = np.random.default_rng(seed).permutation(np.repeat([0, 2, 3, 5], sizes))  # 1 and 4 have no frames
    order = label_subsets.order(labels, seed)
    assert sorted(order) == list(range(len(labels)))
    for count in range(1, len(labels) + 1):
        found = np.bincount(labels[order[:count]], minlength=6)[[0, 2, 3, 5]]
        level = next(level for level in range(21) if np.minimum(sizes, level).sum() >= count)
        # each class has what fills it up to that level, or one less
        assert np.all(found <= np.minimum(sizes, level)) and np.all(found >= np.minimum(sizes, level - 1))


def test_seeds_draw_different_frames_and_a_seed_the_same():
    labels = np.arange(60) % 3
    assert np.array_equal(label_subsets.order(labels, 1), label_subsets.order(labels, 1))
    first, second = (set(label_subsets.order(labels, seed)[:15]) for seed in (1, 2))
    assert first != second


def test_counts_by_hand():
    labels = np.repeat([0, 1, 2], [10, 10, 20])
    found = label_subsets.counts(labels, (1.0, 0.1), (5, 1))
    assert found == {"1 a class": 3, "10 %": 4, "5 a class": 15, "100 %": 40}
    assert list(found.values()) == sorted(found.values())
    assert label_subsets.counts(np.zeros(1, int), (1.0,), (1,)) == {"1 a class": 1, "100 %": 1}


def test_a_class_with_fewer_frames_than_asked_is_one_line():
    with pytest.raises(UserError, match=r"`labels_per_class=11`: a class has 10 training frames; give at most 10"):
        label_subsets.counts(np.repeat([0, 1], [10, 30]), (), (1, 11))


@pytest.mark.parametrize(
    ("fractions", "line"),
    [
        ((0.01,), "`x=0.01`: 7 of 685 labels are fewer than the 8 classes; give at least 0.012"),
        ((), "`x` is empty"),
    ],
)
def test_what_is_refused(fractions, line):
    with pytest.raises(UserError) as error:
        label_subsets.check(fractions, (), data(685, 8), "x")
    assert line in str(error.value) and "\n" not in str(error.value)


def test_the_fraction_that_the_line_names_is_enough():
    label_subsets.check((0.012,), (), data(685, 8), "x")


def test_mean_and_deviation_are_numpys():
    random = np.random.default_rng(0)
    labels, predictions = random.integers(0, 3, 40), list(random.integers(0, 3, (4, 40)))
    found = label_subsets.summarise(labels, predictions)
    expected = (np.array(predictions) == labels).mean(axis=1)
    np.testing.assert_allclose(found["top1"], expected)
    assert found["mean"] == pytest.approx(expected.mean()) and found["std"] == pytest.approx(expected.std(ddof=1))
    assert found["interval"][0] < found["mean"] < found["interval"][1]
    assert label_subsets.cell(found) == f"{100 * expected.mean():.1f} ± {100 * expected.std(ddof=1):.1f}"
    assert label_subsets.cell(label_subsets.summarise(labels, predictions[:1])) == f"{100 * expected[0]:.1f}"
