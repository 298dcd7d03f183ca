"""Augmentations as settings: each alone, by name, and a view unlike another; the draws of the default are those of before."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.views import augmentation as augmentation_module
from keras_simsiam.views import published
from keras_simsiam.views.augmentation import (
    SMALL_VIEW,
    Augmentation,
    random_box,
    random_view,
    sample_seed,
    solarized,
    two_views,
)
from keras_simsiam.views.preprocessing import Preprocessing, clean_view

NOTHING = Augmentation(augmentations="none")


def _image(height=30, width=40):
    return tf.constant(np.random.default_rng(0).uniform(size=(height, width, 3)), tf.float32)


def _draws(augmentation, count, view=0, image=None):
    image = _image() if image is None else image
    draw = tf.function(
        lambda seed: random_view({"rgb": image}, seed, augmentation=augmentation, image_size=24, view=view)["rgb"]
    )
    return np.stack([draw(sample_seed(0, 0, index)) for index in range(count)])


def test_the_default_is_what_was_drawn_before_there_were_sets():
    """The constants of earlier versions."""
    default = Augmentation()
    assert (default.min_crop, default.max_crop, default.crop) == (0.2, 1.0, (1.0,))
    assert (default.flip, default.jitter, default.grayscale, default.blur) == ((0.5,), (0.8,), (0.2,), (0.0,))
    assert default.jitter_strength == (0.4, 0.4, 0.4, 0.1) and default.solarize == (0.0,)
    assert not default.small_crops and not default.before_hha


@pytest.mark.parametrize("name", published.SETS)
def test_a_set_decides_what_is_not_given(name):
    drawn = dataclasses.asdict(Augmentation(augmentations=name))
    assert {key: drawn[key] for key in published.drawn(name)} == published.drawn(name)
    own = Augmentation(augmentations=name, blur=0.3, jitter_strength=(0.1, 0.2, 0.3, 0.05))
    assert own.blur == (0.3,) and own.jitter_strength == (0.1, 0.2, 0.3, 0.05)
    assert own.solarize == published.drawn(name)["solarize"]
    again = Augmentation(**dataclasses.asdict(own))
    assert again == own


def test_byols_two_views_differ_and_its_third_is_like_the_second():
    byol, dino = Augmentation(augmentations="byol"), Augmentation(augmentations="dino")
    assert [byol.probability("blur", view) for view in (0, 1, SMALL_VIEW)] == [1.0, 0.1, 0.1]
    assert [dino.probability("blur", view) for view in (0, 1, SMALL_VIEW)] == [1.0, 0.1, 0.5]
    assert [dino.probability("solarize", view) for view in (0, 1, SMALL_VIEW)] == [0.0, 0.2, 0.0]
    assert Augmentation(blur=(0.5, 0.5, 0.5)) == Augmentation(blur=0.5) == Augmentation(blur=(0.5,))


def test_large_crops_are_larger_where_small_ones_come_with_them():
    areas = {
        name: [Augmentation(augmentations=name, small_crops=count).min_crop for count in (0, 6)]
        for name in published.SETS
    }
    assert areas["swav"] == [0.08, 0.14] and areas["dino"] == [0.14, 0.4] and areas["simclr"] == [0.08, 0.08]
    assert Augmentation(augmentations="dino", small_crops=1).area(SMALL_VIEW) == (0.05, 0.4)
    assert Augmentation(augmentations="swav", small_crops=1, min_crop=0.3).area(0) == (0.3, 1.0)


def test_of_nothing_a_view_is_the_clean_one():
    sample = {"rgb": tf.cast(_image() * 255, tf.uint8)}
    clean = clean_view(sample, Preprocessing("rgb", 24))["rgb"]
    first, second = two_views(
        {"rgb": tf.cast(sample["rgb"], tf.float32) / 255}, sample_seed(0, 0, 1), augmentation=NOTHING, image_size=24
    )
    np.testing.assert_array_equal(first["rgb"], clean)
    np.testing.assert_array_equal(second["rgb"], clean)


@pytest.mark.parametrize("name", ["crop", "flip", "jitter", "grayscale", "blur", "solarize"])
def test_each_alone_comes_at_its_rate_and_leaves_the_others(name):
    (clean,) = _draws(NOTHING, 1)
    drawn = _draws(dataclasses.replace(NOTHING, **{name: 0.5}), 100)
    changed = [not np.array_equal(view, clean) for view in drawn]
    assert 0.33 < np.mean(changed) < 0.67, name
    example = drawn[np.argmax(changed)]
    if name == "flip":
        np.testing.assert_array_equal(example, clean[:, ::-1])
    if name == "solarize":
        np.testing.assert_array_equal(example, np.where(clean < 0.5, clean, 1 - clean))
    if name == "grayscale":
        assert np.ptp(example, axis=-1).max() < 1e-6
    if name in ("jitter", "grayscale", "solarize"):  # what is done to a pixel: others do not reach it
        assert (
            np.array_equal(drawn[0], clean) or np.corrcoef(drawn[0].mean(-1).ravel(), clean.mean(-1).ravel())[0, 1] < 2
        )


def test_taking_one_away_leaves_the_draws_of_the_rest():
    """Each has its own seed: without jitter a view has the crop and the flip that it has with it."""
    image = tf.repeat(_image()[..., :1], 3, -1)
    default = Augmentation(jitter=0.0, grayscale=0.0)
    for name in ("jitter", "grayscale", "blur", "solarize"):
        other = dataclasses.replace(default, **{name: 0.5})
        plain, changed = _draws(default, 12, image=image), _draws(other, 12, image=image)
        same = [np.array_equal(*pair) for pair in zip(plain, changed, strict=True)]
        assert any(same), name  # where it does not happen, nothing else moves either


def test_solarisation_is_byols():
    np.testing.assert_allclose(solarized(tf.constant([0.0, 0.25, 0.5, 0.75, 1.0])), [0.0, 0.25, 0.5, 0.25, 0.0])


def test_views_are_solarised_and_blurred_by_their_place():
    byol = dataclasses.replace(NOTHING, solarize=(0.0, 1.0))
    first, second = two_views({"rgb": _image()}, sample_seed(0, 0, 0), augmentation=byol, image_size=24)
    np.testing.assert_array_equal(second["rgb"], solarized(first["rgb"]))


def test_solarisation_and_blur_are_of_colour_alone():
    images = {"rgb": _image(), "hha": _image()}
    everything = dataclasses.replace(NOTHING, solarize=1.0, blur=1.0, hha_color=True)
    view = random_view(images, sample_seed(0, 0, 0), augmentation=everything, image_size=24)
    clean = random_view(images, sample_seed(0, 0, 0), augmentation=NOTHING, image_size=24)
    np.testing.assert_array_equal(view["hha"], clean["hha"])
    assert not np.allclose(view["rgb"], clean["rgb"])


def test_crops_keep_to_their_largest_area():
    areas = [
        np.prod(random_box(tf.constant([300, 400]), sample_seed(0, 0, i), 0.05, 0.14)[2:]) / 12e4 for i in range(200)
    ]
    assert 0.045 < min(areas) < 0.06 and 0.13 < max(areas) < 0.145


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"augmentations": "moco"},
            "`augmentations=moco`: choose one of simsiam, mocov2, simclr, swav, byol, barlow, ",
        ),
        (
            {"blur": (0.1, 0.2, 0.3, 0.4)},
            "`blur=0.1,0.2,0.3,0.4`: give one number, or those of the first view, the second ",
        ),
        ({"flip": ()}, "`flip=`: give one number, or those of"),
        ({"solarize": (0.1, 1.2)}, "`solarize=0.1,1.2`: must be a probability, from 0 to 1"),
        (
            {"jitter_strength": (0.4,)},
            "`jitter_strength=0.4`: give brightness, contrast and saturation, each 0 to 1, and hue",
        ),
        ({"jitter_strength": (0.4, 0.4, 0.4, 0.6)}, "`jitter_strength=0.4,0.4,0.4,0.6`: give"),
        ({"jitter_strength": (float("nan"), 0, 0, 0)}, "`jitter_strength=nan,0,0,0`: give"),
        ({"max_crop": 0.1}, "`max_crop=0.1`: must be at least `min_crop=0.2`"),
        ({"small_crop": (0.3, 0.1)}, "`small_crop=0.3,0.1`: give the smallest area and the largest"),
        ({"small_crop": (0.3,)}, "`small_crop=0.3`: give the smallest area and the largest"),
        ({"small_crop": (0.0, 0.3)}, "`small_crop=0.0,0.3`: must be above 0 and at most 1"),
        ({"small_crops": -1}, "`small_crops=-1`: must be at least 0"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_a_line(given, message):
    with pytest.raises(UserError) as error:
        Augmentation(**given)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


@pytest.mark.parametrize(("image_size", "side"), [(224, 96), (64, 24), (32, 16), (96, 40), (8, 8), (4, 4)])
def test_a_small_crop_is_about_96_of_224(image_size, side):
    assert Augmentation().small_side(image_size) == side
    assert Augmentation(small_size=20).small_side(image_size) == 20


def test_a_draw_that_never_comes_takes_no_operation(monkeypatch):
    """So that a run without blur and solarisation has the graph that it had before there were any."""
    monkeypatch.setattr(augmentation_module, "solarized", None)
    monkeypatch.setattr(augmentation_module, "random_blur", None)
    random_view({"rgb": _image()}, sample_seed(0, 0, 0), augmentation=Augmentation(), image_size=24)
