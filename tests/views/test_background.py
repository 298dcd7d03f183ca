"""Backgrounds by depth: what is cut, that the cut follows crop and flip, and what stands in its place."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.core.modalities import NEUTRAL
from keras_simsiam.views import background
from keras_simsiam.views.augmentation import Augmentation, random_view, sample_seed
from keras_simsiam.views.batches import view_batches
from keras_simsiam.views.crop_3d import metric_box
from keras_simsiam.views.preprocessing import Preprocessing

MIDDLE = 128 / 255
WHOLE = tf.constant([0.0, 0, 64, 64])


_foreground = tf.function(background.foreground)
_metric_box = tf.function(metric_box)


def _seed(index=0):
    return sample_seed(1, 2, index)


def _object_before_wall(object_depth=1.0, wall=5.0):
    """64×64 pixels: an object of 32×24 of them, left of the middle, before a wall."""
    depth = np.full((64, 64), wall, np.float32)
    depth[16:48, 8:32] = object_depth
    return depth


def test_a_wall_far_behind_is_cut_at_the_object_s_outline():
    depth = _object_before_wall()
    cuts = [_foreground(depth, WHOLE, _seed(index)).numpy() for index in range(40)]
    for cut in cuts:  # up to `far` nothing but the gap can be hit, and a slab of at most half a metre ends in it
        np.testing.assert_array_equal(cut, depth == 1)


def test_planes_are_uniform_in_metres_and_slabs_log_uniform_around_the_nearest():
    """On a ramp of 2 to 10 m the deepest point that stays says where the cut was; the nearest tenth always stays."""
    depth = np.repeat(np.linspace(2, 10, 64, dtype=np.float32)[:, None], 64, axis=1)
    near, far, least = np.percentile(depth, (2, 98, 10))
    deepest = []
    for index in range(400):
        stays = _foreground(depth, WHOLE, _seed(index)).numpy() > 0
        deepest.append(depth[stays].max())
    deepest = np.array(deepest)
    assert deepest.min() == pytest.approx(least, abs=0.15) and deepest.max() <= far + 1e-6
    planes = deepest[deepest > least + 0.1]  # the slabs, half of all, end before, as do some of the planes
    assert len(planes) / 400 == pytest.approx(0.5 * (far - least) / (far - near), abs=0.07)
    np.testing.assert_allclose(np.percentile(planes, (25, 50, 75)), least + (far - least) * np.r_[1:4] / 4, atol=0.6)


def test_a_slab_reaches_from_a_tenth_of_a_metre_to_half_a_metre():
    """Steps of 1 cm behind an object: a slab may end anywhere among them."""
    depth = np.full((64, 64), 1.0, np.float32)
    depth[16:] = 1.0 + 0.01 * np.arange(1, 48 * 64 + 1).reshape(48, 64) % 3.0
    ends = np.array([depth[_foreground(depth, WHOLE, _seed(i)).numpy() > 0].max() for i in range(300)])
    near, far = np.percentile(depth, (2, 98))
    # the share of the slabs, which are a half, that end before, by the logarithm; of the planes theirs
    for reach, slabs in ((0.09, 0), (0.05**0.5, 0.5), (0.51, 1)):
        expected = 0.5 * slabs + 0.5 * reach / (far - near)
        assert np.mean(ends <= near + reach) == pytest.approx(expected, abs=0.09)


def test_missing_depth_is_of_what_was_measured_nearest_to_it():
    depth = _object_before_wall()
    expected = depth == 1
    depth[20:30, 12:20] = 0  # within the object
    depth[50:60, 40:60] = np.nan  # within the wall
    np.testing.assert_array_equal(_foreground(depth, WHOLE, _seed()), expected)


@pytest.mark.parametrize("missing", [0.0, np.nan, np.inf, -1.0])
def test_a_crop_without_depth_stays_whole(missing):
    depth = np.full((20, 30), missing, np.float32)
    assert background.foreground(depth, tf.constant([0.0, 0, 20, 30]), _seed()).numpy().all()


def test_noise_of_single_points_moves_no_cut():
    depth = _object_before_wall()
    depth[0, :20] = 0.2  # half a per cent
    for index in range(20):
        cut = _foreground(depth, WHOLE, _seed(index)).numpy()
        assert cut[16:48, 8:32].all() and not cut[1:, 32:].any()


def _images(index=0):
    """RGB and HHA, whose fourth channel is the very foreground, of an object before a wall."""
    random, depth = np.random.default_rng(index), _object_before_wall()
    return {
        "rgb": tf.constant(random.uniform(0.6, 1, (64, 64, 3)), tf.float32),
        "hha": tf.constant(
            np.concatenate([random.uniform(0.6, 1, (64, 64, 3)), depth[..., None] == 1], -1), tf.float32
        ),
        "depth": tf.constant(depth),
        "intrinsics": tf.constant([60.0, 60.0, 31.5, 31.5]),
    }


def _view(augmentation, index=0, size=32, view=0):
    return random_view(_images(), _seed(index), augmentation=augmentation, image_size=size, view=view)


@pytest.mark.parametrize("size", [32, 64])
def test_the_mask_follows_crop_and_flip(size):
    """HHA's fourth channel is a picture of the object: after crop and flip the cut lies on it, in colour too."""
    plain = {"min_crop": 0.5, "jitter": 0.0, "grayscale": 0.0}
    removed = Augmentation(**plain, background="removed", background_probability=1.0)
    for index in range(12):
        shown, without = _view(removed, index, size), _view(Augmentation(**plain), index, size)
        there = without["hha"][..., 3].numpy()
        inside, outside = there > 0.999, there < 0.001
        for name in ("rgb", "hha"):
            image, original = (view[name][..., :3].numpy() for view in (shown, without))
            assert np.isclose(image[inside], original[inside], atol=1e-5).mean() > 0.9  # but for pixels at the outline
            assert np.isclose(image[outside], NEUTRAL[name][:3], atol=1e-5).mean() > 0.9
        assert (shown["hha"][..., 3].numpy()[outside] == 0).all()


def test_probabilities_by_view_and_their_rate():
    augmentation = Augmentation(
        augmentations="none", background="removed", background_probability=(0.3, 0.0, 1.0), small_crops=1
    )
    rates = []
    for view in range(3):
        views = [_view(augmentation, index, 8, view) for index in range(60)]
        rates.append(np.mean([abs(view["rgb"][0, -1, 0] - NEUTRAL["rgb"][0]) < 1e-5 for view in views]))
    assert 0.15 < rates[0] < 0.45 and rates[1:] == [0, 1]


@pytest.mark.parametrize("kind", background.CHOICES[1:])
def test_the_other_draws_stay_as_they_are(kind):
    """With a probability of nearly 0 every view is that of a run without, bit for bit."""
    drawn = {"augmentations": "byol", "hha_jitter": True, "hha_dropout": 0.3}
    for view in range(2):
        without = _view(Augmentation(**drawn), view=view)
        shown = _view(Augmentation(**drawn, background=kind, background_probability=1e-9), view=view)
        for name, image in without.items():
            np.testing.assert_array_equal(image, shown[name])


def test_a_blurred_background_keeps_its_mean_and_nothing_of_the_object():
    mask = tf.cast(_object_before_wall() == 1, tf.float32)[..., tf.newaxis]
    texture = np.random.default_rng(0).uniform(0.2, 0.4, (64, 64, 3)).astype(np.float32)
    image = tf.where(mask > 0, 1.0, texture)
    shown = background.change({"rgb": image}, mask, tf.constant(True), kind="blurred")["rgb"].numpy()
    inside = mask[..., 0].numpy() > 0
    np.testing.assert_array_equal(shown[inside], 1)
    assert abs(shown[~inside].mean() - 0.3) < 0.01 and shown[~inside].std() < 0.02 and shown[~inside].max() < 0.36


def _batch(levels, mask, happens):
    return {
        "rgb": tf.ones([len(levels), 16, 16, 3]) * tf.reshape(tf.constant(levels), [-1, 1, 1, 1]),
        "foreground": tf.tile(mask[tf.newaxis], [len(levels), 1, 1, 1]),
        "happens": tf.constant(happens),
    }


def _left_half():
    return tf.cast(tf.range(16) < 8, tf.float32)[tf.newaxis, :, tf.newaxis] * tf.ones([16, 1, 1])


def test_replaced_by_the_place_of_another_frame_and_of_two_others_for_the_two_views():
    levels, ramp = [0.1, 0.2, 0.3, 0.4], tf.linspace(0.0, 0.05, 16)[:, tf.newaxis, tf.newaxis]
    views = []
    for _ in range(2):
        view = _batch(levels, _left_half(), [True, True, True, False])
        view["rgb"] += ramp + tf.cast(_left_half(), tf.float32) * 0.5  # the object is brighter
        views.append(view)
    first, second = background.replace(tuple(views))
    assert set(first) == {"rgb"}
    for shown, shift in ((first, 1), (second, 2)):
        level = shown["rgb"][:, 0, -1, 0].numpy()
        np.testing.assert_allclose(level, [*np.roll(levels, shift)[:3], 0.4], atol=1e-5)
        np.testing.assert_allclose(shown["rgb"][:, 0, 0, 0], np.array(levels) + 0.5, atol=1e-5)


def test_the_object_of_the_other_frame_is_not_shown():
    """A dark place with a white object, behind a frame whose own object lies elsewhere."""
    mask = tf.stack([_left_half(), 1 - _left_half()])
    images = tf.where(mask > 0, 1.0, 0.25) * tf.ones([2, 16, 16, 3]) + tf.linspace(0.0, 0.1, 16)[:, None, None]
    (shown,) = background.replace(({"rgb": images, "foreground": mask, "happens": tf.constant([True, True])},))
    assert shown["rgb"].numpy()[0, :, 8:].max() < 0.4 and shown["rgb"].numpy()[0, :, :8].min() >= 1


def test_a_dropped_image_stays_dropped():
    batch = _batch([MIDDLE, 0.2], _left_half(), [True, True])
    batch["rgb"] += tf.constant([0.0, 0.1])[:, None, None, None] * tf.random.stateless_uniform([2, 16, 16, 3], [0, 1])
    (shown,) = background.replace((batch,))
    assert (shown["rgb"][0].numpy() == np.float32(MIDDLE)).all()


@pytest.fixture(scope="module")
def stacked(make_sample):
    samples = [make_sample(index) for index in range(4)]
    return {key: tf.stack([sample[key] for sample in samples]) for key in samples[0]}


def _batches(stacked, modality, first_step=0, **drawn):
    return view_batches(
        tf.data.Dataset.range(4),
        lambda index: {key: value[index] for key, value in stacked.items()},
        count=4,
        preprocessing=Preprocessing(modality, 16, "paper", "mask"),
        augmentation=Augmentation(jitter=0.0, **drawn),
        batch_size=2,
        seed=3,
        first_step=first_step,
    )


@pytest.mark.parametrize(
    ("modality", "kind", "drawn"),
    [
        ("rgb", "replaced", {"small_crops": 1}),
        pytest.param("hha", "removed", {}, marks=pytest.mark.slow),
        ("rgbd", "blurred", {"crop_3d": (0.2, 0.5)}),
    ],
)
def test_in_tf_data_views_hold_images_alone(stacked, modality, kind, drawn):
    drawn |= {"background": kind, "background_probability": 1.0}
    first = next(iter(_batches(stacked, modality, **drawn)))
    names = {"rgb": {"rgb"}, "hha": {"hha"}, "rgbd": {"rgb", "hha"}}[modality]
    assert len(first["views"]) == (3 if "small_crops" in drawn else 2)
    for view in first["views"]:
        assert set(view) == names
        for name, image in view.items():
            assert image.shape[0] == 2 and image.shape[3] == (4 if name == "hha" else 3)
            assert image.numpy().min() >= 0 and image.numpy().max() <= 1 + 1e-5


def test_other_backgrounds_are_replayed_from_the_middle_of_an_epoch(stacked):
    drawn = {"background": "replaced", "crop_3d": (0.2, 0.5), "grayscale": 0.0}
    *_, second = _batches(stacked, "rgb", **drawn).take(2)
    (again,) = _batches(stacked, "rgb", first_step=1, **drawn).take(1)
    tf.nest.map_structure(np.testing.assert_array_equal, second, again)


def test_samples_without_depth_are_refused(stacked):
    colour, preprocessing = tf.data.Dataset.from_tensor_slices({"rgb": stacked["rgb"]}), Preprocessing("rgb", 16)
    with pytest.raises(UserError, match=r"^`background` needs samples with depth and intrinsics: leave it out$"):
        augmentation = Augmentation(background="removed")
        view_batches(colour, preprocessing=preprocessing, batch_size=2, augmentation=augmentation)


def test_a_metric_crop_is_as_large_as_its_depth_says_and_around_measured_depth():
    depth = np.zeros((60, 80), np.float32)
    depth[:, 40:] = 2.0
    intrinsics = tf.constant([100.0, 80.0, 40.0, 30.0])
    sides, rows = [], []
    for index in range(200):
        box, found = _metric_box(depth, intrinsics, _seed(index), (0.3, 0.9))
        top, left, height, width = box.numpy()
        assert found and top >= 0 and left >= 0 and top + height <= 60 + 1e-4 and left + width <= 80 + 1e-4
        assert left + width / 2 >= 40  # the right half has depth; a box of 45 pixels at most ends at the border
        assert height == pytest.approx(width * 0.8, rel=1e-5)
        sides.append(width * 2.0 / 100)
        rows.append(top + height / 2)
    assert 0.3 - 1e-5 <= min(sides) < 0.32 and 0.85 < max(sides) <= 0.9 + 1e-5
    assert np.median(sides) == pytest.approx(np.sqrt(0.3 * 0.9), abs=0.05)  # log-uniform
    assert np.std(rows) > 8


def test_a_metric_crop_larger_than_the_image_is_shrunk_and_a_tiny_one_has_eight_pixels():
    intrinsics = tf.constant([100.0, 100.0, 40.0, 30.0])
    large, _ = metric_box(tf.fill([60, 80], 0.5), intrinsics, _seed(), (5.0, 5.0))
    np.testing.assert_allclose(large[2:], [60, 60], atol=1e-3)
    small, _ = metric_box(tf.fill([60, 80], 9.0), intrinsics, _seed(), (0.1, 0.1))
    np.testing.assert_allclose(small[2:], [8, 8], atol=1e-3)


def test_without_depth_a_metric_crop_is_the_crop_by_area():
    images = _images() | {"depth": tf.zeros([64, 64])}
    by_area, metric = (
        random_view(images, _seed(), augmentation=Augmentation(crop_3d=sides), image_size=16)
        for sides in ((), (0.5, 1.0))
    )
    np.testing.assert_array_equal(by_area["rgb"], metric["rgb"])


@pytest.mark.parametrize("sides", [(0.5,), (1.0, 0.5), (0.1, 0.2, 0.3)])
def test_two_sides_of_a_metric_crop(sides):
    with pytest.raises(UserError, match=r"^`crop_3d=.*`: give the smallest side and the largest, in metres$"):
        Augmentation(crop_3d=sides)
