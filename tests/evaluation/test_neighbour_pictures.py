import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.evaluation import neighbour_pictures


def test_depth_is_black_where_it_is_missing_and_yellow_where_it_is_near():
    depth = np.linspace(0.5, 2, 400, dtype=np.float32).reshape(20, 20)
    depth[3] = 0
    found = neighbour_pictures.depth_colours(depth)
    assert found.dtype == np.uint8 and not found[3].any() and found[4:].any(axis=-1).all()
    assert found[0, 0, 0] > 200 and found[-1, -1, 0] < 100  # viridis: red rises towards yellow
    assert not neighbour_pictures.depth_colours(np.zeros([4, 5], np.float32)).any()
    assert (
        neighbour_pictures.depth_colours(np.ones([4, 5], np.float32))
        == neighbour_pictures.depth_colours(np.ones([4, 5]))[0, 0]
    ).all()


def samples(depth=True):
    rgb = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones([5, 20, 30, 3], np.uint8) * 40
    facts = {"rgb": rgb} | ({"depth": np.ones([5, 20, 30], np.float32)} if depth else {})
    return tf.data.Dataset.from_tensor_slices(facts)


@pytest.mark.parametrize("depth", [True, False])
def test_pictures_are_of_the_frames_asked_for(depth):
    found = neighbour_pictures.pictures(samples(depth), np.array([3, 1, 3]))
    assert sorted(found) == [1, 3]
    for place, images in found.items():
        assert [image.shape for image in images] == [(96, 96, 3)] * (1 + depth)
        assert np.all(images[0] == 40 * place)


def test_the_figure_frames_right_and_wrong_apart(tmp_path):
    image = np.full([96, 96, 3], 255, np.uint8)
    colours = (neighbour_pictures.QUERY, neighbour_pictures.RIGHT, neighbour_pictures.WRONG)
    rows = [[([image, image], "cup", colour) for colour in colours]] * 2
    neighbour_pictures.draw(rows, "title", tmp_path / "x.png")
    picture = cv2.imread(str(tmp_path / "x.png"))[..., ::-1]
    for hexadecimal in (neighbour_pictures.RIGHT, neighbour_pictures.WRONG):
        wanted = [int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(picture.astype(int) - wanted).max(axis=-1) < 3).sum() > 500
