"""Views: geometry shared, colour per modality, every draw stateless; each function alone and inside tf.data."""

import colorsys

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.core.modalities import NEUTRAL
from keras_simsiam.depth import holes
from keras_simsiam.views.augmentation import (
    Augmentation,
    color_transforms,
    random_box,
    random_view,
    sample_seed,
    two_views,
    with_one_dropped,
)
from keras_simsiam.views.resample import resample

SPATIAL = Augmentation()


def _seed(index=0):
    return sample_seed(1, 2, index)


def _view(images, seed, augmentation, image_size=16):
    return random_view(images, seed, augmentation=augmentation, image_size=image_size)


def _image(seed=0, height=30, width=40):
    return tf.constant(np.random.default_rng(seed).uniform(size=(height, width, 3)), tf.float32)


def test_sample_seed_differs_by_run_epoch_and_sample():
    seeds = {tuple(sample_seed(*key).numpy()) for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1)]}
    assert len(seeds) == 5
    np.testing.assert_array_equal(sample_seed(3, 4, 5), sample_seed(3, 4, 5))


def test_rgb_and_hha_share_their_geometry():
    # without colour transforms on HHA, an HHA that is a copy of RGB shows RGB's geometry
    image = tf.repeat(_image()[..., :1], 3, -1)
    for index in range(8):
        view = _view({"rgb": image, "hha": image}, _seed(index), SPATIAL)
        gray = view["rgb"][..., 0].numpy().ravel(), view["hha"][..., 0].numpy().ravel()
        # colour jitter of a gray image is affine up to clipping: the pattern stays, in place
        assert np.corrcoef(*gray)[0, 1] > 0.97


def test_hha_color_applies_the_draws_of_rgb():
    image = _image()
    augmentation = Augmentation(hha_color=True)
    for index in range(5):
        view = _view({"rgb": image, "hha": image}, _seed(index), augmentation)
        np.testing.assert_array_equal(view["rgb"], view["hha"])


def test_spatial_only_hha_keeps_its_values():
    constant = tf.fill([30, 40, 3], 0.25)
    view = _view({"rgb": _image(), "hha": constant}, _seed(), SPATIAL)
    np.testing.assert_allclose(view["hha"], 0.25, atol=1e-6)


def test_hha_jitter_is_a_gain_and_an_offset_per_channel():
    augmentation = Augmentation(min_crop=0.99, hha_jitter=True)
    values = []
    for level in (0.45, 0.55):
        images = {"hha": tf.fill([32, 32, 3], level)}
        values.append([_view(images, _seed(index), augmentation)["hha"][8, 8] for index in range(200)])
    low, high = np.array(values)
    gain = (high - low) / 0.1
    assert gain.min() >= 0.5 - 1e-4 and gain.max() <= 1.5 + 1e-4
    assert gain.std() > 0.2  # uniform over 0.5..1.5 has 0.29
    offset = (low + high) / 2 - 128 / 255 - gain * (0.5 - 128 / 255)
    assert np.abs(offset).max() <= 60 / 255 + 1e-4
    assert np.abs(np.corrcoef(gain[:, 0], gain[:, 1])[0, 1]) < 0.3  # channels are drawn apart


def test_hha_dropout_sets_whole_views_to_the_middle_at_its_rate():
    augmentation = Augmentation(hha_dropout=0.3)
    views = [_view({"hha": _image()}, _seed(index), augmentation, 8)["hha"] for index in range(200)]
    dropped = [bool(tf.reduce_all(tf.abs(view - 128 / 255) < 1e-6)) for view in views]
    assert 0.2 < np.mean(dropped) < 0.4


def test_two_views_differ_and_repeat():
    images = {"rgb": _image()}
    first, second = two_views(images, _seed(), augmentation=SPATIAL, image_size=16)
    assert np.abs(first["rgb"] - second["rgb"]).max() > 0.05
    again, _ = two_views(images, _seed(), augmentation=SPATIAL, image_size=16)
    np.testing.assert_array_equal(first["rgb"], again["rgb"])


@pytest.mark.parametrize("size", [(30, 40), (1, 1), (3, 200), (200, 3)])
def test_random_box_is_inside_and_as_large_as_asked(size):
    for index in range(50):
        top, left, height, width = random_box(tf.constant(size), _seed(index), 0.2).numpy()
        assert top >= 0 and left >= 0 and top + height <= size[0] + 1e-4 and left + width <= size[1] + 1e-4
        assert height > 0 and width > 0
    if size == (30, 40):
        areas = [np.prod(random_box(tf.constant(size), _seed(i), 0.2).numpy()[2:]) / 1200 for i in range(300)]
        assert 0.18 < min(areas) < 0.3 and max(areas) > 0.7  # it really crops


def test_resample_of_the_whole_image_at_its_size_is_the_image():
    image = _image(height=20, width=20)
    np.testing.assert_allclose(resample(image, tf.constant([0.0, 0, 20, 20]), 20), image, atol=1e-6)


def test_resample_cuts_the_box():
    image = _image(height=20, width=30)
    cut = resample(image, tf.constant([4.0, 7, 10, 10]), 10)
    np.testing.assert_allclose(cut, image[4:14, 7:17], atol=1e-6)


def test_resample_is_antialiased():
    stripes = tf.tile(tf.constant([0.0, 1.0])[None, :, None], [64, 32, 3])
    small = resample(stripes, tf.constant([0.0, 0, 64, 64]), 16)
    np.testing.assert_allclose(small[4:-4, 4:-4], 0.5, atol=0.02)


def test_color_transforms_of_a_pixel_follow_torchvisions_formulas():
    """One operation at a time, by setting the strengths of the others to zero; hue against colorsys."""
    image = _image(height=4, width=4)

    def jittered(image, *strength):
        return color_transforms(
            image, _seed(), augmentation=Augmentation(jitter=1.0, grayscale=0.0, jitter_strength=strength)
        )

    np.testing.assert_allclose(jittered(image, 0, 0, 0, 0), image, atol=1e-5)

    ratio = jittered(image * 0.5, 0.4, 0, 0, 0) / (image * 0.5)
    assert np.ptp(ratio) < 1e-4 and 0.6 <= ratio[0, 0, 0] <= 1.4
    halved = jittered(image * 0.5, 0.2, 0, 0, 0) / (image * 0.5)
    np.testing.assert_allclose(halved - 1, (ratio - 1) / 2, atol=1e-5)

    middling = 0.3 + 0.4 * image
    luma = np.tensordot(middling, [0.299, 0.587, 0.114], 1)[..., None]
    factor = (jittered(middling, 0, 0, 0.4, 0) - luma) / (middling - luma)
    assert np.ptp(factor) < 1e-2

    hues = [
        [colorsys.rgb_to_hsv(*pixel)[0] for pixel in np.reshape(array, (-1, 3))]
        for array in (image, jittered(image, 0, 0, 0, 0.1))
    ]
    shift = (np.diff(hues, axis=0) + 0.5) % 1 - 0.5
    assert np.ptp(shift) < 1e-3 and np.abs(shift).max() <= 0.1 + 1e-4


def test_jitter_and_grayscale_come_at_their_rates():
    image = _image(height=4, width=4)
    results = [color_transforms(image, _seed(index), augmentation=SPATIAL).numpy() for index in range(300)]
    gray = np.mean([np.ptp(result, axis=-1).max() < 1e-6 for result in results])
    untouched = np.mean([np.array_equal(result, image) for result in results])
    assert 0.13 < gray < 0.27
    assert 0.1 < untouched < 0.22  # (1 − 0.8)(1 − 0.2) = 0.16


def test_the_same_eager_in_a_function_and_in_tf_data():
    images = {"rgb": _image(), "hha": _image(1)}
    augmentation = Augmentation(hha_color=True, hha_jitter=True, hha_dropout=0.3)
    in_graph = tf.function(lambda seed: _view(images, seed, augmentation))
    seeds = tf.stack([_seed(index) for index in range(4)])
    in_tf_data = tf.data.Dataset.from_tensor_slices(seeds).map(lambda seed: _view(images, seed, augmentation))
    for seed, mapped in zip(seeds, in_tf_data, strict=True):
        eager, graph = _view(images, seed, augmentation), in_graph(seed)
        for name, view in eager.items():
            np.testing.assert_allclose(view, graph[name], atol=1e-5)
            np.testing.assert_allclose(view, mapped[name], atol=1e-5)
            assert view.shape == (16, 16, 3) and view.numpy().min() >= 0 and view.numpy().max() <= 1


def _masked_image():
    return tf.concat([_image(), tf.cast(_image(1)[..., :1] > 0.5, tf.float32)], -1)


def test_colour_and_jitter_leave_the_mask_alone():
    images, plain = {"rgb": _image(), "hha": _masked_image()}, Augmentation()
    jittered = Augmentation(hha_color=True, hha_jitter=True)
    for index in range(5):
        view, reference = (_view(images, _seed(index), choice)["hha"] for choice in (jittered, plain))
        np.testing.assert_array_equal(view[..., 3], reference[..., 3])
        assert not np.allclose(view[..., :3], reference[..., :3])


def test_a_mask_changes_nothing_of_the_rest():
    augmentation = Augmentation(hha_color=True, hha_jitter=True, hha_dropout=0.3)
    for index in range(5):
        views = [
            _view({"rgb": _image(), "hha": hha}, _seed(index), augmentation)
            for hha in (_masked_image(), _masked_image()[..., :3])
        ]
        np.testing.assert_array_equal(views[0]["rgb"], views[1]["rgb"])
        np.testing.assert_array_equal(views[0]["hha"][..., :3], views[1]["hha"])


def test_a_dropped_hha_has_nothing_measured():
    augmentation = Augmentation(hha_dropout=0.5)
    views = [_view({"hha": _masked_image()}, _seed(index), augmentation, 8)["hha"] for index in range(20)]
    dropped = [view for view in views if np.allclose(view[..., :3], 128 / 255)]
    assert 0 < len(dropped) < 20
    assert all(np.all(view[..., 3] == 0) for view in dropped)


def _dropped(view):
    """Which images of a view are their neutral value: a set of names."""
    return {name for name, image in view.items() if np.allclose(image, NEUTRAL[name][: image.shape[-1]], atol=1e-6)}


@pytest.mark.parametrize("masked", [False, True])
def test_modality_dropout_drops_colour_or_depth_and_never_both(masked):
    images = {"rgb": _image(2), "hha": _masked_image() if masked else _image(1)}
    found = [_dropped(with_one_dropped(images, _seed(index), 0.6)) for index in range(300)]
    assert all(len(names) < 2 for names in found)
    for name in images:
        assert 0.2 < np.mean([name in names for names in found]) < 0.4
    always = [_dropped(_view(images, _seed(index), Augmentation(modality_dropout=1.0), 8)) for index in range(10)]
    assert all(len(names) == 1 for names in always) and len(set(map(tuple, always))) == 2


def test_modality_dropout_changes_no_other_draw_and_needs_two_modalities():
    images, changes = {"rgb": _image(), "hha": _masked_image()}, {"hha_jitter": True, "hha_color": True}
    for index in range(8):
        view, plain = (
            _view(images, _seed(index), Augmentation(modality_dropout=rate, **changes), 8) for rate in (0.9, 0.0)
        )
        for name in set(images) - _dropped(view):
            np.testing.assert_array_equal(view[name], plain[name])
    for name, image in images.items():
        view, plain = (_view({name: image}, _seed(), Augmentation(modality_dropout=rate), 8) for rate in (1.0, 0.0))
        np.testing.assert_array_equal(view[name], plain[name])


def test_both_dropouts_at_once_are_refused():
    with pytest.raises(
        UserError, match=r"^`hha_dropout=0.2` with `modality_dropout=0.5` could leave nothing of a view"
    ):
        Augmentation(hha_dropout=0.2, modality_dropout=0.5)


def test_a_neutral_hole_is_what_dropout_makes_of_a_view():
    hole = holes.encode(tf.zeros([8, 8]), tf.constant([8.0, 8, 4, 4]), tf.constant([0.0, 1, 0]), holes="neutral") / 255
    view = _view({"hha": tf.ones([8, 8, 3])}, _seed(1), Augmentation(hha_dropout=0.999999), 8)["hha"]
    np.testing.assert_allclose(view, hole, atol=1e-6)
