"""Multi-crop: two views as without, and N small ones, of one HHA a frame, in the order and with the replay of all draws."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.views import batches as batches_module
from keras_simsiam.views import cache
from keras_simsiam.views.augmentation import Augmentation
from keras_simsiam.views.batches import view_batches
from keras_simsiam.views.preprocessing import Preprocessing

PREPROCESSING = Preprocessing("rgbd", 16, holes="mask")


@pytest.fixture(scope="module")
def stacked(make_sample):
    samples = [make_sample(index) for index in range(4)]
    return {key: tf.stack([sample[key] for sample in samples]) for key in samples[0]}


def _batches(stacked, *, partner=None, first_step=0, cached=False, **drawn):
    records, decode = tf.data.Dataset.range(4), lambda index: {key: value[index] for key, value in stacked.items()}
    if cached:
        records, decode = cache.in_memory(records, decode, preprocessing=PREPROCESSING, limit_gb=1.0)
    batches = view_batches(
        records,
        decode,
        count=4,
        preprocessing=PREPROCESSING,
        augmentation=Augmentation(augmentations="dino", **drawn),
        batch_size=2,
        seed=3,
        partner=partner,
        first_step=first_step,
    )
    return [tf.nest.map_structure(lambda x: x.numpy(), batch["views"]) for batch in batches.take(2)]


@pytest.fixture(scope="module")
def multi(stacked):
    return _batches(stacked, small_crops=3, min_crop=0.2)


def test_two_large_views_then_the_small_ones(multi):
    for views in multi:
        assert isinstance(views, tuple) and len(views) == 5
        for view, side in zip(views, (16, 16, 8, 8, 8), strict=True):
            assert view["rgb"].shape == (2, side, side, 3) and view["hha"].shape == (2, side, side, 4)
            assert view["rgb"].dtype == np.float32 and view["rgb"].min() >= 0 and view["rgb"].max() <= 1


def test_the_large_views_are_those_of_a_run_without(stacked, multi):
    without = _batches(stacked, min_crop=0.2)
    for many, two in zip(multi, without, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, many[:2], two)


def test_small_crops_differ_and_the_first_are_those_of_a_run_with_fewer(stacked, multi):
    fewer = _batches(stacked, min_crop=0.2, small_crops=2)
    for many, few in zip(multi, fewer, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, many[:4], few)
        assert not np.allclose(many[2]["rgb"], many[3]["rgb"]) and not np.allclose(many[3]["rgb"], many[4]["rgb"])


def test_replayed_from_the_middle_of_an_epoch_and_from_a_cache(stacked, multi):
    resumed = _batches(stacked, small_crops=3, min_crop=0.2, first_step=1)
    tf.nest.map_structure(np.testing.assert_array_equal, resumed[0], multi[1])
    cached = _batches(stacked, small_crops=3, min_crop=0.2, cached=True)
    for one, other in zip(cached, multi, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize(
    ("drawn", "encoded"), [({}, 1), ({"gravity_jitter": 20.0}, 2), ({"partner": True}, 2)], ids=str
)
def test_hha_is_computed_once_a_frame_however_many_crops(stacked, monkeypatch, drawn, encoded):
    """Once a view where it depends on the view, and of the next frame too: never once a crop."""
    calls = []

    def counted(sample, preprocessing):
        calls.append(sample)
        return native_images(sample, preprocessing)

    native_images = batches_module.native_images
    monkeypatch.setattr(batches_module, "native_images", counted)
    given = {"partner": lambda index: (index + 1) % 4} if drawn.get("partner") else drawn
    views = _batches(stacked, small_crops=5, **given)
    assert len(calls) == encoded and len(views[0]) == 7


def test_with_a_next_frame_the_small_crops_are_of_both_in_turn():
    levels = {"rgb": tf.stack([tf.fill([20, 20, 3], tf.cast(60 * index, tf.uint8)) for index in range(4)])}
    batches = view_batches(
        tf.data.Dataset.range(4),
        lambda index: {"rgb": levels["rgb"][index]},
        count=4,
        preprocessing=Preprocessing("rgb", 8),
        augmentation=Augmentation(augmentations="none", small_crops=4, small_size=4),
        batch_size=4,
        partner=lambda index: (index + 1) % 4,
    )
    batch = next(iter(batches))
    frames = [np.rint(view["rgb"][:, 0, 0, 0] * 255 / 60).astype(int) for view in batch["views"]]
    own = batch["index"].numpy()
    for place, frame in enumerate(frames):
        assert frame.tolist() == ((own + place % 2) % 4).tolist()
