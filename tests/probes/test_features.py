import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.probes.features import extract, extract_each


def tiny_encoder(seed=0):
    keras.utils.set_random_seed(seed)
    rgb = keras.Input((8, 8, 3), name="rgb")
    features = keras.layers.Conv2D(4, 3)(rgb)
    features = keras.layers.BatchNormalization()(features)
    features = keras.layers.Dropout(0.5)(features)
    return keras.Model({"rgb": rgb}, {"embedding": keras.layers.GlobalAveragePooling2D()(features), "map": features})


def batches(count, batch_size=4):
    images = np.random.default_rng(0).random((count, 8, 8, 3), np.float32)
    frames = [f"frame/{index}" for index in range(count)]
    facts = {"label": np.arange(count, dtype=np.int64), "instance": np.zeros(count, np.int64), "frame": frames}
    return tf.data.Dataset.from_tensor_slices(({"rgb": images}, facts)).batch(batch_size)


def test_one_row_a_sample_in_order_and_in_inference_mode():
    encoder = tiny_encoder()
    features = extract(encoder, batches(10))
    assert features.embeddings.shape == (10, 4) and features.embeddings.dtype == np.float32
    np.testing.assert_array_equal(features.labels, np.arange(10))
    assert list(features.frames) == [f"frame/{index}" for index in range(10)]
    # neither BatchNorm's batch statistics nor dropout: the batch size does not matter
    np.testing.assert_allclose(extract(encoder, batches(10, 3)).embeddings, features.embeddings, atol=1e-6)


def test_the_encoder_is_left_as_it_was():
    encoder = tiny_encoder()
    before = [variable.numpy() for variable in encoder.variables]
    extract(encoder, batches(10))
    for old, variable in zip(before, encoder.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def test_several_encoders_in_one_pass():
    encoders = [tiny_encoder(0), tiny_encoder(1)]
    for encoder, features in zip(encoders, extract_each(encoders, batches(6)), strict=True):
        np.testing.assert_allclose(features.embeddings, extract(encoder, batches(6)).embeddings, atol=1e-6)


def test_refuses_an_empty_dataset_and_a_diverged_encoder():
    encoder = tiny_encoder()
    with pytest.raises(UserError, match="no samples"):
        extract(encoder, batches(0))
    encoder.layers[1].bias.assign([np.nan] * 4)
    with pytest.raises(UserError, match="diverged"):
        extract(encoder, batches(2))
