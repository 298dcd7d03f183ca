"""View grids: every pixel in its place, titles over the columns, and when they are drawn."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.training.monitors import Views, view_grid

TITLE = 18


def _views(size=4):
    return tuple(
        {"hha": tf.fill([3, size, size, 3], 0.2), "rgb": tf.fill([3, size, size, 3], 0.4 + index)}
        for index in (0.0, 0.4)
    )


@pytest.mark.parametrize("size, shown", [(4, 88), (88, 88), (60, 120), (224, 224)])
def test_a_row_a_sample_and_a_column_an_image(size, shown):
    grid = view_grid(_views(size), samples=2)
    assert grid.shape == (TITLE + 2 * shown, 4 * shown, 3)
    np.testing.assert_array_equal(grid[TITLE, ::shown, 0], [102, 51, 204, 51])  # RGB, HHA, RGB, HHA
    heads = np.split(grid[:TITLE], 4, axis=1)
    assert all(head.min() < 128 and head[:, :2].min() == 255 for head in heads)  # each has its own writing
    assert not np.array_equal(heads[0], heads[1]) and not np.array_equal(heads[0], heads[2])


def test_pixels_stay_where_they_are():
    images = np.random.default_rng(0).uniform(size=(2, 30, 30, 3)).astype(np.float32)
    grid = view_grid(({"rgb": tf.constant(images)}, {"rgb": tf.constant(images[::-1])}))
    for row in range(2):
        top = TITLE + 90 * row
        np.testing.assert_array_equal(grid[top + 1 : top + 90 : 3, 1:90:3], np.rint(images[row] * 255))
        np.testing.assert_array_equal(grid[top + 1 : top + 90 : 3, 91::3], np.rint(images[1 - row] * 255))


def test_small_crops_follow_at_the_same_scale_on_white():
    large, small = {"rgb": tf.fill([2, 30, 30, 3], 0.2)}, {"rgb": tf.fill([2, 10, 10, 3], 0.4)}
    grid = view_grid((large, large, small, small))
    assert grid.shape == (TITLE + 2 * 90, 4 * 90 - 2 * 2, 3)  # a title needs 88 pixels
    cell = grid[TITLE + 90 :, 180 : 180 + 88]
    np.testing.assert_array_equal(cell[:30, :30], np.full((30, 30, 3), 102))
    assert cell[30:].min() == cell[:, 30:].min() == 255
    heads = [grid[:TITLE, 180:268], grid[:TITLE, 268:]]
    assert not np.array_equal(*heads)


def test_a_depth_image_other_than_hha_is_not_titled_hha():
    hha, jet = view_grid(_views()), view_grid(_views(), depth_input="jet")
    np.testing.assert_array_equal(hha[TITLE:], jet[TITLE:])
    same = [
        np.array_equal(*heads) for heads in zip(*(np.split(grid[:TITLE], 4, 1) for grid in (hha, jet)), strict=True)
    ]
    assert same == [True, False, True, False]


def test_no_mask_is_shown():
    views = tuple({"hha": tf.concat([tf.fill([2, 88, 88, 3], 0.2), tf.ones([2, 88, 88, 1])], -1)} for _ in range(2))
    np.testing.assert_array_equal(view_grid(views)[TITLE:], np.full((176, 176, 3), 51))


def test_a_grid_every_few_epochs_of_that_epochs_views(tmp_path):
    drawn = []

    def draw(epoch):
        drawn.append(epoch)
        return tuple({"rgb": tf.fill([1, 88, 88, 3], epoch / 10)} for _ in range(2))

    writer = tf.summary.create_file_writer(str(tmp_path / "tensorboard"))
    views = Views(draw, 3, str(tmp_path / "views.png"), writer)
    for epoch in range(5):
        views.on_epoch_begin(epoch)
    assert drawn == [0, 3]
    assert cv2.imread(str(tmp_path / "views.png"))[-1, -1].tolist() == [76, 76, 76]  # 0.3 of 255, rounded to even
    (events,) = (tmp_path / "tensorboard").iterdir()
    records = list(tf.compat.v1.train.summary_iterator(str(events)))
    assert [(event.step, value.tag) for event in records for value in event.summary.value] == [
        (1, "views"),
        (4, "views"),
    ]
