import os

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.commands import hha_images
from keras_simsiam.core.errors import UserError
from keras_simsiam.depth import hha

INTRINSICS = (57.0, 57.0, 15.5, 11.5)
DOWN = (0.0, 0.8, 0.6)


@pytest.mark.parametrize("encoding", hha.ENCODINGS)
@pytest.mark.parametrize("gravity", [None, DOWN])
def test_images_are_the_encoding_rounded(depth, encoding, gravity):
    encode = hha_images.make_encoder(encoding, gravity)
    for image in (depth[:20] / np.float32(1000), depth[:, 3:] / np.float32(1000)):
        expected = hha.encode(image, INTRINSICS, gravity, encoding=encoding).numpy()
        found = encode(image, INTRINSICS).numpy()
        assert found.dtype == np.uint8
        # Optimised graphs and eager operations differ in the last digits of float32.
        np.testing.assert_allclose(found, expected, atol=0.55)


def test_one_graph_serves_all_sizes(depth):
    encode = hha_images.make_encoder("gupta", None)
    for size in range(5, 20):
        encode(depth[:size, :size] / np.float32(1000), INTRINSICS)
    assert encode.experimental_get_tracing_count() == 1


def test_png_files_are_rgb(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, [5, 7, 3], np.uint8)
    path = tmp_path / "new" / "folder" / "a.png"
    hha_images.write_png(str(path), image)
    np.testing.assert_array_equal(tf.io.decode_png(path.read_bytes()), image)
    assert os.listdir(path.parent) == ["a.png"]


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path, monkeypatch):
    def fail(source, target):
        raise OSError(28, "No space left on device")

    (tmp_path / "a.png").write_text("old")
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UserError, match=r"a\.png cannot be written \(No space left on device\)"):
        hha_images.write_png(str(tmp_path / "a.png"), np.zeros([2, 2, 3], np.uint8))
    assert os.listdir(tmp_path) == ["a.png"] and (tmp_path / "a.png").read_text() == "old"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/a\.png cannot be written"):
        hha_images.write_png(str(tmp_path / "file" / "a.png"), np.zeros([2, 2, 3], np.uint8))
