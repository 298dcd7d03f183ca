"""Mean colour of a frame's middle, against NumPy, and how it is read off features."""

import numpy as np
import tensorflow as tf

from keras_simsiam.probes import mean_colour


def _sample(seed, height=20, width=30, **more):
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return {"rgb": tf.constant(rgb)} | more


def test_is_the_mean_of_the_middle():
    sample = _sample(0)
    np.testing.assert_allclose(
        mean_colour.of_sample(sample), sample["rgb"].numpy()[5:15, 10:20].mean((0, 1)) / 255, atol=1e-5
    )


def test_leaves_out_what_was_not_measured_unless_nothing_was():
    depth = np.zeros([20, 30], np.float32)
    nothing = _sample(0, depth=tf.constant(depth))
    np.testing.assert_allclose(mean_colour.of_sample(nothing), mean_colour.of_sample(_sample(0)), atol=1e-6)
    depth[6, 12] = depth[7, 13] = 1.5
    few = _sample(0, depth=tf.constant(depth))
    pixels = few["rgb"].numpy()
    np.testing.assert_allclose(mean_colour.of_sample(few), (pixels[6, 12] / 255 + pixels[7, 13] / 255) / 2, atol=1e-5)


def test_a_tiny_frame_has_a_colour():
    sample = _sample(0, height=1, width=1)
    np.testing.assert_allclose(mean_colour.of_sample(sample), sample["rgb"].numpy()[0, 0] / 255, atol=1e-6)


def test_samples_come_in_their_order():
    samples = tf.data.Dataset.range(5).map(lambda index: {"rgb": tf.fill([4, 4, 3], tf.cast(index * 51, tf.uint8))})
    np.testing.assert_allclose(mean_colour.of_samples(samples), np.arange(5)[:, None] * np.full(3, 0.2), atol=1e-6)


def test_features_that_hold_the_colour_score_one_and_noise_none():
    random = np.random.default_rng(0)
    colours = random.uniform(size=(120, 3))
    holding = colours @ random.normal(size=(3, 8)) + 1
    noise = random.normal(size=(120, 8))
    train, test = slice(0, 80), slice(80, 120)
    assert mean_colour.score(holding[train], colours[train], holding[test], colours[test]) > 0.99
    assert -0.3 < mean_colour.score(noise[train], colours[train], noise[test], colours[test]) < 0.1
