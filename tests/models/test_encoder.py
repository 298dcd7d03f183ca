"""The encoder's contract: any modality, a dict in and a dict out, saved by Keras's own layers only."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.models.encoder import build_encoder


def _view(modality, batch=2, size=32):
    names = {"rgb": ["rgb"], "hha": ["hha"], "rgbd": ["rgb", "hha"]}[modality]
    return {name: tf.random.stateless_uniform([batch, size, size, 3], [1, len(name) + ord(name[0])]) for name in names}


@pytest.mark.parametrize("modality, features", [("rgb", 32), ("hha", 32), ("rgbd", 64)])
def test_features_and_save_and_reload(tmp_path, modality, features):
    encoder = build_encoder(modality, "resnet18", 32, width=4)
    outputs = encoder(_view(modality))
    assert set(outputs) == {"embedding", "map", "c2", "c3", "c4", "c5"}
    assert outputs["embedding"].shape == (2, features)
    np.testing.assert_allclose(outputs["embedding"], tf.reduce_mean(outputs["map"], [1, 2]), atol=1e-5)

    encoder.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras", compile=False)
    np.testing.assert_allclose(again(_view(modality))["embedding"], outputs["embedding"], atol=1e-6)


def test_towers_are_side_by_side_and_do_not_share():
    encoder = build_encoder("rgbd", "resnet18", 32, width=4)
    view = _view("rgbd")
    whole = encoder(view)["embedding"].numpy()
    alone = [encoder.get_layer(f"{name}_tower")(view[name])["embedding"] for name in ("rgb", "hha")]
    np.testing.assert_allclose(whole, np.concatenate(alone, axis=1), atol=1e-6)
    other_colour = encoder(view | {"rgb": view["rgb"][::-1]})["embedding"].numpy()
    np.testing.assert_allclose(other_colour[:, 32:], whole[:, 32:], atol=1e-6)
    assert not np.allclose(other_colour[:, :32], whole[:, :32])


def test_embedding_is_float32_in_every_precision():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    outputs = build_encoder("rgbd", "resnet18", 32, width=4)(_view("rgbd"))
    assert outputs["embedding"].dtype == tf.float32 and outputs["map"].dtype == tf.bfloat16


def test_a_dropped_hha_is_zero_to_its_tower():
    tower = build_encoder("hha", "resnet18", 32, width=4).get_layer("hha_tower")
    rescaling = next(layer for layer in tower.layers if isinstance(layer, keras.layers.Rescaling))
    np.testing.assert_allclose(rescaling(tf.fill([1, 2, 2, 3], 128 / 255)), 0, atol=1e-6)


@pytest.mark.parametrize("modality", ["hha", "rgbd"])
def test_a_mask_beside_hha(tmp_path, modality):
    encoder = build_encoder(modality, "resnet18", 32, hha_channels=4, width=4)
    view = _view(modality)
    measured = view | {"hha": tf.concat([view["hha"], tf.ones([2, 32, 32, 1])], -1)}
    missing = view | {"hha": tf.concat([view["hha"], tf.zeros([2, 32, 32, 1])], -1)}
    assert not np.allclose(encoder(measured)["embedding"], encoder(missing)["embedding"])
    encoder.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras", compile=False)
    np.testing.assert_allclose(again(measured)["embedding"], encoder(measured)["embedding"], atol=1e-6)


def test_a_dropped_hha_with_its_mask_is_zero_to_its_tower():
    tower = build_encoder("hha", "resnet18", 32, hha_channels=4, width=4).get_layer("hha_tower")
    rescaling = next(layer for layer in tower.layers if isinstance(layer, keras.layers.Rescaling))
    dropped = tf.concat([tf.fill([1, 2, 2, 3], 128 / 255), tf.zeros([1, 2, 2, 1])], -1)
    np.testing.assert_allclose(rescaling(dropped), 0, atol=1e-6)
    np.testing.assert_allclose(rescaling(tf.ones([1, 2, 2, 4]))[..., 3], 1)
