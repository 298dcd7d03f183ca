import colorsys

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.evaluation import corruptions

SEED = tf.constant([3, 4])


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((2, 9, 7, 3), np.float32)


def everywhere(function, *arguments):
    """What a graph function gives eagerly, checked to be the same in a tf.function and in a dataset's map."""
    eager = function(*arguments).numpy()
    np.testing.assert_allclose(tf.function(function)(*arguments), eager, atol=1e-6)
    mapped = tf.data.Dataset.from_tensors(arguments).map(function).get_single_element()
    np.testing.assert_allclose(mapped, eager, atol=1e-6)
    return eager


@pytest.mark.parametrize(("hue", "saturation"), [(0.25, 1.0), (0.5, 1.0), (-0.1, 0.4), (0.0, 0.0), (0.0, 1.7)])
def test_colours_shift_as_in_hsv(images, hue, saturation):
    def shifted(pixel):
        h, s, v = colorsys.rgb_to_hsv(*pixel)
        return colorsys.hsv_to_rgb((h + hue) % 1, min(1, s * saturation), v)

    expected = np.array([shifted(pixel) for pixel in images.reshape(-1, 3)]).reshape(images.shape)
    found = everywhere(lambda image: corruptions.shift_colors(image, hue, saturation), images)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def srgb_to_linear(value):
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(value):
    return np.where(value <= 0.0031308, 12.92 * value, 1.055 * np.maximum(value, 0.0031308) ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("gain", [1.0, 0.25, 1 / 64])
def test_darkness_is_less_light_and_8_bits(images, gain, monkeypatch):
    monkeypatch.setattr(corruptions, "READ_NOISE", 0.0)
    expected = np.round(linear_to_srgb(srgb_to_linear(images.astype(np.float64)) * gain) * 255)
    found = everywhere(lambda image, seed: corruptions.darken(image, gain, seed), images, SEED)
    levels = found * 255
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
    assert np.abs(levels - expected).max() < 1.5 and np.mean(np.abs(levels - expected) > 0.5) < 0.01


def test_noise_is_that_of_the_sensor_whatever_the_light():
    grey = tf.fill([200, 200, 3], 0.5)
    for gain in (1.0, 1 / 16):
        light = srgb_to_linear(
            everywhere(lambda image, seed, gain=gain: corruptions.darken(image, gain, seed), grey, SEED)
        )
        assert light.std() == pytest.approx(corruptions.READ_NOISE, rel=0.1)
        assert light.mean() == pytest.approx(gain * srgb_to_linear(0.5), rel=0.02)
    assert not np.array_equal(corruptions.darken(grey, 0.5, [0, 1]), corruptions.darken(grey, 0.5, [0, 2]))


def test_black_stays_black_and_white_white():
    black = corruptions.darken(tf.zeros([50, 50, 3]), 0.5, SEED).numpy()
    assert black.min() == 0 and black.max() < 0.2
    white = corruptions.darken(tf.ones([50, 50, 3]), 1.0, SEED).numpy()
    assert white.max() == 1 and white.min() > 0.98


@pytest.mark.parametrize(("height", "width"), [(30, 41), (5, 3), (240, 320)])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_a_share_of_depth_goes_and_the_rest_stays(height, width, share):
    depth = np.random.default_rng(0).uniform(0.5, 2, (height, width)).astype(np.float32)
    found = everywhere(lambda depth, seed: corruptions.drop_depth(depth, share, seed), depth, SEED)
    assert np.sum(found == 0) == np.round(share * depth.size)
    np.testing.assert_array_equal(found[found > 0], depth[found > 0])


def test_missing_depth_comes_in_patches():
    missing = corruptions.drop_depth(tf.ones([64, 64]), 0.5, SEED).numpy() == 0
    changes = np.mean(missing[1:] != missing[:-1])
    assert 0 < changes < 0.15  # pixels drawn one by one would give a half


def samples(count=3):
    random = np.random.default_rng(0)
    rgb = random.integers(0, 256, (count, 16, 12, 3)).astype(np.uint8)
    depth = random.uniform(0.5, 2, (count, 16, 12)).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices({"rgb": rgb, "depth": depth, "label": np.arange(count)})


@pytest.mark.parametrize("condition", corruptions.CONDITIONS)
def test_conditions_leave_the_other_modality_and_the_facts_alone(condition):
    before, after = list(samples()), list(corruptions.under(condition, samples()))
    again = list(corruptions.under(condition, samples()))
    for clean, changed, same in zip(before, after, again, strict=True):
        assert changed["label"] == clean["label"] and changed["rgb"].dtype == tf.uint8
        for name in ("rgb", "depth"):
            np.testing.assert_array_equal(changed[name], same[name])
            touched = condition != "clean" and (condition in corruptions.OF_DEPTH) == (name == "depth")
            assert np.array_equal(changed[name], clean[name]) != touched


def test_each_sample_and_seed_draws_for_itself():
    black = tf.data.Dataset.from_tensor_slices({"rgb": np.full((2, 16, 16, 3), 99, np.uint8)})
    first, second = (sample["rgb"].numpy() for sample in corruptions.under("dark 1/16", black))
    other = next(iter(corruptions.under("dark 1/16", black, seed=1)))["rgb"].numpy()
    assert not np.array_equal(first, second) and not np.array_equal(first, other)


def test_colours_need_no_depth():
    colour = samples().map(lambda sample: {"rgb": sample["rgb"]})
    names = [name for name in corruptions.CONDITIONS if name not in corruptions.OF_DEPTH]
    assert all(len(list(corruptions.under(name, colour))) == 3 for name in names)
