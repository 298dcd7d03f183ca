import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn import metrics

from keras_simsiam.evaluation.figures import confusion_matrix, percentages


@pytest.mark.parametrize("num_classes", [1, 2, 15, 51])
def test_a_picture_is_written(tmp_path, num_classes):
    random = np.random.default_rng(0)
    labels = random.integers(0, num_classes, 100)
    predictions = random.integers(0, num_classes, 100)
    path = tmp_path / "confusion.png"
    confusion_matrix(labels, predictions, [f"class {index}" for index in range(num_classes)], "kNN", path)
    picture = matplotlib.image.imread(path)
    assert picture.shape[0] > 150 and picture.shape[1] > 150
    assert picture[..., :3].std() > 0.01  # something is drawn


def test_a_class_without_samples(tmp_path):
    confusion_matrix(np.array([0, 0]), np.array([0, 1]), ["mug", "bowl"], "kNN", tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").stat().st_size > 1000


@pytest.mark.parametrize("seed", range(3))
def test_percentages_are_scikit_learns(seed):
    random = np.random.default_rng(seed)
    labels, predictions = random.choice([0, 1, 3, 4], 60), random.integers(0, 5, 60)  # class 2 has no sample
    found = percentages(labels, predictions, 5)
    expected = metrics.confusion_matrix(labels, predictions, labels=range(5), normalize="true")
    np.testing.assert_allclose(found.filled(0), 100 * expected)
    np.testing.assert_array_equal(np.ma.getmaskarray(found), np.arange(5)[:, None] == np.full(5, 2))


def test_the_picture_is_of_the_percentages(tmp_path, monkeypatch):
    """Of eight mugs, six taken for bowls: rows are true classes, in the cells and beside them."""
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    labels, predictions = np.array([0] * 8 + [1] * 2), np.array([0, 0] + [1] * 8)
    confusion_matrix(labels, predictions, ["mug", "bowl"], "kNN", tmp_path / "confusion.png")
    axes = drawn[0].axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), [[25, 75], [0, 100]])
    assert {(text.get_position(), text.get_text()) for text in axes.texts} == {
        ((0, 0), "25"),
        ((1, 0), "75"),
        ((1, 1), "100"),
    }
    assert [label.get_text() for label in axes.get_yticklabels()] == ["mug (8)", "bowl (2)"]
