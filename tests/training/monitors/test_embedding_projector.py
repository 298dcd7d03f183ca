"""The sprite of the embedding projector; that the files belong together is tested with the monitor that writes them."""

import numpy as np
import pytest

from keras_simsiam.training.monitors.embedding_projector import sprite


@pytest.mark.parametrize("count, across", [(1, 1), (4, 2), (5, 3), (9, 3), (10, 4)])
def test_a_sprite_is_a_square_filled_row_by_row(count, across):
    thumbnails = [np.full((2, 2, 3), (i + 1) / 255, np.float32) for i in range(count)]
    picture = sprite(thumbnails)
    assert picture.shape == (2 * across, 2 * across, 3)
    found = picture[::2, ::2, 0].ravel()
    np.testing.assert_array_equal(found[:count], np.arange(1, count + 1))
    assert not found[count:].any()
