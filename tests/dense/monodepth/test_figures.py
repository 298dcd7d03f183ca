import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from keras_simsiam.dense.monodepth import pictures

GRAY = round(float(pictures.MISSING) * 255)


def pixels(path):
    return cv2.imread(str(path))


def gray_share(image):
    return np.mean((image == GRAY).all(axis=-1))


@pytest.mark.parametrize("missing", [False, True])
def test_missing_depth_is_gray_and_nothing_else_is(tmp_path, missing):
    random = np.random.default_rng(0)
    truth = random.uniform(1, 3, (4, 16, 16))
    truth[:, :8] *= not missing
    rgb = random.uniform(0, 0.3, (4, 16, 16, 3))
    pictures.predictions(rgb, truth, {"probe": truth + 0.1, "switch": truth - 9}, tmp_path / "a.png")
    image = pixels(tmp_path / "a.png")
    assert image.shape[1] > image.shape[0] > 300
    if missing:  # half of one of the four rows of cells
        assert gray_share(image) > 0.05
    else:
        assert gray_share(image) < 0.002


def test_all_depths_share_the_scale_of_the_measured(tmp_path):
    truth = np.stack([np.full((16, 16), 1.0), np.full((16, 16), 3.0)])
    pictures.predictions(np.zeros((2, 16, 16, 3)), truth, {"same": truth}, tmp_path / "same.png")
    pictures.predictions(np.zeros((2, 16, 16, 3)), truth, {"same": truth[::-1]}, tmp_path / "other.png")
    pictures.predictions(np.zeros((2, 16, 16, 3)), truth, {"same": 9 * truth - 8}, tmp_path / "beyond.png")
    same, other, beyond = (pixels(tmp_path / f"{name}.png") for name in ("same", "other", "beyond"))
    assert np.array_equal(same, beyond)  # 19 m is as dark as 3 m
    assert (same != other).any(axis=-1).mean() > 0.1  # 1 m and 3 m are not


@pytest.mark.parametrize("validation", [False, True])
def test_curves(tmp_path, validation):
    random = np.random.default_rng(0)
    trials = [list(np.exp(-np.arange(20) / 5) + random.uniform(0, 0.3, 20)) for _ in range(3)]
    history = {"train": trials, "validation": trials if validation else [[]] * 3}
    pictures.curves({"contrastive probe": history, "random probe": history}, tmp_path / "curves.png")
    height, width, _ = pixels(tmp_path / "curves.png").shape
    assert (width > 2 * height) == validation  # a panel more


def test_the_band_goes_from_the_lowest_trial_to_the_highest():
    axes = Figure().subplots()
    pictures.band(axes, np.array([[2.0, 1.0], [4.0, 3.0], [9.0, 8.0]]), label="probe", color="blue")
    assert list(axes.lines[0].get_ydata()) == [4.0, 3.0]
    corners = axes.collections[0].get_paths()[0].vertices
    for epoch, ends in ((1, (2.0, 9.0)), (2, (1.0, 8.0))):
        losses = corners[corners[:, 0] == epoch, 1]
        assert (losses.min(), losses.max()) == ends
