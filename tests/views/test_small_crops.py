"""Multi-crop: two views as without, and N small ones, of one HHA a frame, in the order and with the replay of all draws."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.views import batches as batches_module
from keras_simsiam.views import cache
from keras_simsiam.views.augmentation import Augmentation, sample_seed, small_views
from keras_simsiam.views.batches import view_batches
from keras_simsiam.views.preprocessing import Preprocessing

PREPROCESSING = Preprocessing("rgbd", 16, holes="mask")
PLAIN = {"augmentations": "dino", "jitter": 0.0, "blur": 0.0}  # less to trace


def _batches(stacked, *, first_step=0, cached=False, **drawn):
    records, decode = tf.data.Dataset.range(4), lambda index: {key: value[index] for key, value in stacked.items()}
    if cached:
        records, decode = cache.in_memory(records, decode, preprocessing=PREPROCESSING, limit_gb=1.0)
    batches = view_batches(
        records,
        decode,
        count=4,
        preprocessing=PREPROCESSING,
        augmentation=Augmentation(**PLAIN, min_crop=0.2, **drawn),
        batch_size=2,
        seed=3,
        first_step=first_step,
    )
    return [tf.nest.map_structure(lambda x: x.numpy(), batch["views"]) for batch in batches.take(2)]


@pytest.fixture(scope="module")
def stacked(make_sample):
    samples = [make_sample(index) for index in range(4)]
    return {key: tf.stack([sample[key] for sample in samples]) for key in samples[0]}


@pytest.fixture(scope="module")
def multi(stacked):
    return _batches(stacked, small_crops=2)


def test_two_large_views_then_the_small_ones(multi):
    for views in multi:
        assert isinstance(views, tuple) and len(views) == 4
        for view, side in zip(views, (16, 16, 8, 8), strict=True):
            assert view["rgb"].shape == (2, side, side, 3) and view["hha"].shape == (2, side, side, 4)
            assert view["rgb"].dtype == np.float32 and view["rgb"].min() >= 0 and view["rgb"].max() <= 1


def test_the_large_views_are_those_of_a_run_without(stacked, multi):
    for many, two in zip(multi, _batches(stacked), strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, many[:2], two)


def test_replayed_from_the_middle_of_an_epoch_and_from_a_cache(stacked, multi):
    resumed = _batches(stacked, small_crops=2, first_step=1, cached=True)
    tf.nest.map_structure(np.testing.assert_array_equal, resumed[0], multi[1])


def test_small_crops_differ_and_the_first_are_those_of_a_run_with_fewer():
    image, seed = {"rgb": tf.random.stateless_uniform([30, 40, 3], [0, 0])}, sample_seed(0, 0, 0)
    few, many = (
        small_views(image, seed, augmentation=Augmentation(**PLAIN, small_crops=count), image_size=16)
        for count in (1, 4)
    )
    assert len(many) == 4
    np.testing.assert_array_equal(few[0]["rgb"], many[0]["rgb"])
    pixels = np.stack([view["rgb"] for view in many]).reshape(4, -1)
    assert len(np.unique(pixels.round(3), axis=0)) == 4


@pytest.mark.parametrize(("drawn", "next_frame", "encoded"), [({}, 0, 1), ({"gravity_jitter": 20.0}, 0, 2), ({}, 1, 2)])
def test_hha_is_computed_once_a_frame_however_many_crops(make_sample, monkeypatch, drawn, next_frame, encoded):
    """Once a view where it depends on the view, and of the next frame too: never once a crop."""
    calls = []

    def counted(sample, _preprocessing):
        calls.append(sample)
        return {"hha": tf.zeros([20, 20, 4])}

    monkeypatch.setattr(batches_module, "native_images", counted)
    partner = make_sample(1) if next_frame else None
    augmentation = Augmentation(**PLAIN, small_crops=5, **drawn)
    views = batches_module._views(make_sample(0), partner, sample_seed(0, 0, 0), PREPROCESSING, augmentation)
    assert len(calls) == encoded and len(views) == 7


def test_with_a_next_frame_the_small_crops_are_of_both_in_turn():
    levels = {"rgb": tf.stack([tf.fill([20, 20, 3], tf.cast(60 * index, tf.uint8)) for index in range(4)])}
    batches = view_batches(
        tf.data.Dataset.range(4),
        lambda index: {"rgb": levels["rgb"][index]},
        count=4,
        preprocessing=Preprocessing("rgb", 8),
        augmentation=Augmentation(augmentations="none", small_crops=4, small_size=4),
        batch_size=4,
        partner=lambda index, _: (index + 1) % 4,
    )
    batch = next(iter(batches))
    frames = [np.rint(view["rgb"][:, 0, 0, 0] * 255 / 60).astype(int) for view in batch["views"]]
    own = batch["index"].numpy()
    for place, frame in enumerate(frames):
        assert frame.tolist() == ((own + place % 2) % 4).tolist()
