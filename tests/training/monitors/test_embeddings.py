"""The files of the embedding projector, read as TensorBoard reads them."""

import types

import cv2
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorboard.plugins import projector
from tensorflow import keras

from keras_simsiam.training.monitors import Embeddings


@pytest.fixture
def queries():
    """Seven grey images, in batches of three, each of another brightness."""
    grey = np.linspace(0.1, 0.7, 7, dtype=np.float32)[:, None, None, None] * np.ones([1, 40, 40, 3], np.float32)
    facts = {"label": np.arange(7) % 2, "instance": np.arange(7), "frame": [f"frame {i}" for i in range(7)]}
    return tf.data.Dataset.from_tensor_slices(({"rgb": grey}, facts)).batch(3)


@pytest.fixture
def model():
    x = keras.Input((40, 40, 3), name="rgb")
    model = keras.Model({"rgb": x}, {"embedding": keras.layers.GlobalAveragePooling2D()(x)})
    return types.SimpleNamespace(encoder=model)


def test_the_files_belong_together(queries, model, tmp_path):
    embeddings = Embeddings(queries, ("apple", "bowl"), str(tmp_path), epochs=2)
    embeddings.set_model(model)
    embeddings.on_epoch_end(0, {})
    assert not list(tmp_path.iterdir())
    embeddings.on_epoch_end(1, {})

    config = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), projector.ProjectorConfig())
    (entry,) = config.embeddings
    rows = np.loadtxt(tmp_path / entry.tensor_path, delimiter="\t")
    np.testing.assert_allclose(rows, np.linspace(0.1, 0.7, 7)[:, None] * np.ones(3), rtol=1e-3)
    lines = (tmp_path / entry.metadata_path).read_text().splitlines()
    assert lines[0] == "label\tframe" and len(lines) == 8
    assert lines[1:4] == ["apple\tframe 0", "bowl\tframe 1", "apple\tframe 2"]
    picture = cv2.imread(str(tmp_path / entry.sprite.image_path))
    across = picture.shape[1] // entry.sprite.single_image_dim[0]
    seen = [picture[32 * (i // across) + 16, 32 * (i % across) + 16, 0] for i in range(7)]
    np.testing.assert_array_equal(seen, np.rint(np.linspace(0.1, 0.7, 7) * 255))
