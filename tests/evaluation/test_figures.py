import matplotlib.image
import numpy as np
import pytest

from keras_simsiam.evaluation.figures import confusion_matrix


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
