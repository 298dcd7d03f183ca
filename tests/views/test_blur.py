"""Gaussian blur against OpenCV's, and its draws."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.views import blur
from keras_simsiam.views.augmentation import Augmentation, random_view, sample_seed


def _image(side=48, seed=0):
    return np.random.default_rng(seed).uniform(size=(side, side, 3)).astype(np.float32)


def _opencv(image, sigma):
    size = 2 * (len(image) // 10 // 2) + 1
    return cv2.GaussianBlur(image, (size, size), float(sigma), borderType=cv2.BORDER_REFLECT_101)


@pytest.mark.parametrize("sigma", [0.1, 0.7, 2.0])
@pytest.mark.parametrize("side", [20, 47, 224])
def test_is_opencvs(side, sigma):
    image = _image(side)
    np.testing.assert_allclose(
        blur.gaussian_blur(tf.constant(image), tf.constant(sigma)), _opencv(image, sigma), atol=2e-6
    )


def test_the_same_eager_in_a_function_and_in_tf_data():
    image, sigma = tf.constant(_image()), tf.constant(1.3)
    eager = blur.gaussian_blur(image, sigma)
    mapped = tf.data.Dataset.from_tensors((image, sigma)).map(blur.gaussian_blur)
    np.testing.assert_allclose(eager, tf.function(blur.gaussian_blur)(image, sigma), atol=1e-6)
    np.testing.assert_allclose(eager, next(iter(mapped)), atol=1e-6)


def test_comes_at_its_rate_with_sigmas_of_their_range():
    """A point's blurred height gives σ away; undrawn images are the same bit for bit."""
    image = np.zeros([224, 224, 3], np.float32)
    image[112, 112] = 1
    draw = tf.function(lambda seed: blur.random_blur(tf.constant(image), seed, 0.4))
    heights = np.array([draw(sample_seed(0, 0, index)).numpy().max() for index in range(300)])
    assert 0.32 < np.mean(heights < 1) < 0.48
    assert heights.min() > _opencv(image, 2.0).max() - 1e-6
    assert heights.min() < _opencv(image, 1.8).max()  # and nearly reaches it
    np.testing.assert_array_equal(draw(sample_seed(0, 0, 5)), draw(sample_seed(0, 0, 5)))


def test_a_view_is_blurred_after_its_colours_and_in_rgb_alone():
    """With --blur=1 the RGB of a view is a blur of the same view's RGB without; HHA and all other draws stay."""
    images = {"rgb": tf.constant(_image()), "hha": tf.constant(_image(seed=1))}
    plain, blurred = (Augmentation(hha_color=True, hha_jitter=True, blur=blur) for blur in (0.0, 1.0))
    sharpness = []
    for index in range(6):
        seed = sample_seed(0, 0, index)
        before, after = (random_view(images, seed, augmentation=one, image_size=32) for one in (plain, blurred))
        np.testing.assert_array_equal(before["hha"], after["hha"])
        fits = [
            np.abs(_opencv(before["rgb"].numpy(), sigma) - after["rgb"]).max() for sigma in np.arange(0.1, 2.01, 0.02)
        ]
        assert min(fits) < 0.02
        sharpness.append(float(tf.image.total_variation(after["rgb"]) / tf.image.total_variation(before["rgb"])))
    assert max(sharpness) <= 1 + 1e-5 and min(sharpness) < 0.9
