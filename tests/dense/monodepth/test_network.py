import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.dense.monodepth import frames, network
from keras_simsiam.models.encoder import build_encoder

SCALE = frames.Scale(mean=2.0, std=0.5, count=4)


def encoder_of(modality, **options):
    return build_encoder(modality, "resnet18", 16, stem="cifar", width=4, **options)


def test_an_encoder_of_colour_is_taken_whole():
    encoder = encoder_of("rgb")
    assert network.colour_encoder(encoder) == (encoder, False)


def test_of_two_towers_that_of_colour_is_taken():
    encoder = encoder_of("rgbd")
    tower, is_tower = network.colour_encoder(encoder)
    assert is_tower
    images = tf.random.stateless_uniform((2, 16, 16, 3), [0, 1])
    both = encoder({"rgb": images, "hha": tf.random.stateless_uniform((2, 16, 16, 3), [0, 2])}, training=False)
    half = both["c3"].shape[-1] // 2  # the first half of the channels is of RGB
    np.testing.assert_allclose(tower(images, training=False)["c3"], both["c3"][..., :half], atol=1e-5)


@pytest.mark.parametrize(("modality", "fusion"), [("hha", "two_tower"), ("rgbd", "early"), ("rgbd", "shared")])
def test_an_encoder_that_cannot_but_see_depth_is_refused(modality, fusion):
    with pytest.raises(UserError, match="depth would leak the answer") as error:
        network.colour_encoder(encoder_of(modality, fusion=fusion))
    assert "\n" not in str(error.value)


def test_an_encoder_without_maps_is_refused():
    images = keras.Input((16, 16, 3), name="rgb")
    pooled = keras.layers.GlobalAveragePooling2D()(images)
    with pytest.raises(UserError, match="no feature maps"):
        network.colour_encoder(keras.Model({"rgb": images}, {"embedding": pooled}))


@pytest.mark.parametrize("modality", ["rgb", "rgbd"])
def test_the_network_has_a_copy_of_the_encoder(modality):
    encoder, _ = network.colour_encoder(encoder_of(modality))
    built = network.build(encoder, "blocks", 16, SCALE)
    for one, other in zip(encoder.get_weights(), built.encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    own = {id(weights) for weights in encoder.weights}
    assert own.isdisjoint(id(weights) for weights in built.model.weights)


def test_depth_is_in_metres(tiny):
    built = network.build(tiny, "blocks", 16, SCALE)
    images = tf.random.stateless_uniform((8, 16, 16, 3), [0, 1])
    depth = built.model(images, training=True)
    assert depth.shape == (8, 16, 16)
    # the last BatchNorm standardises, so what comes out has the mean of the training depth
    assert np.mean(depth) == pytest.approx(SCALE.mean, abs=1e-3)


def test_the_first_batch_norm_gives_the_encoder_colours_of_imagenet(tiny):
    first = network.build(tiny, "blocks", 16, SCALE).model.layers[1]
    dark = tf.random.stateless_uniform((64, 16, 16, 3), [0, 1]) * 0.1
    given = first(dark, training=True)
    np.testing.assert_allclose(np.mean(given, axis=(0, 1, 2)), (0.485, 0.456, 0.406), atol=1e-3)
    np.testing.assert_allclose(np.std(given, axis=(0, 1, 2)), (0.229, 0.224, 0.225), rtol=0.02)


def test_what_is_kept_is_read_again_and_nothing_else(tmp_path):
    built = network.build(encoder_of("rgb"), "skip", 16, SCALE)
    built.model.save(tmp_path / "depth_network_probe.keras")
    images = tf.random.stateless_uniform((2, 16, 16, 3), [0, 1])
    loaded = network.load(tmp_path / "depth_network_probe.keras")
    np.testing.assert_allclose(loaded(images), built.model(images), atol=1e-6)
    encoder_of("rgb").save(tmp_path / "encoder.keras")
    (tmp_path / "broken.keras").write_bytes(b"broken")
    for name in ("encoder.keras", "broken.keras", "none.keras"):
        with pytest.raises(UserError, match=f"{name} .*give a depth_network_") as error:
            network.load(tmp_path / name)
        assert "\n" not in str(error.value)
