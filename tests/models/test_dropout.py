"""Dropout whose draws a checkpoint continues."""

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.models.dropout import ResumableDropout


def test_keeps_the_mean_and_drops_at_its_rate():
    x = tf.ones([100, 100])
    y = ResumableDropout(0.3)(x, training=True).numpy()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}
    assert abs(np.mean(y == 0) - 0.3) < 0.03
    np.testing.assert_array_equal(ResumableDropout(0.3)(x), x)


def test_a_checkpoint_continues_its_draws(tmp_path):
    x = tf.ones([4, 8])
    layer = ResumableDropout(0.5)
    layer(x, training=True)
    path = tf.train.Checkpoint(layer=layer).save(str(tmp_path / "checkpoint"))
    expected = layer(x, training=True)
    other = ResumableDropout(0.5)
    tf.train.Checkpoint(layer=other).restore(path).assert_existing_objects_matched()
    np.testing.assert_array_equal(other(x, training=True), expected)


def test_save_and_reload(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, ResumableDropout(0.25)(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.layers[-1].rate == 0.25
    assert np.mean(again(tf.ones([64, 4]), training=True) == 0) > 0.1
