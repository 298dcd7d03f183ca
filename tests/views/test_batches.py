"""From samples to batches: what a view holds, and an order that can be replayed from any epoch."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.modalities import NEUTRAL
from keras_simsiam.depth import camera, gravity, holes, voxels
from keras_simsiam.depth.depth_images import DEPTH_INPUTS
from keras_simsiam.views import augmentation as augmentation_module
from keras_simsiam.views import batches as batches_module
from keras_simsiam.views import cache
from keras_simsiam.views.augmentation import Augmentation, sample_seed
from keras_simsiam.views.batches import _views, clean_batches, perturbed, records_held, view_batches
from keras_simsiam.views.preprocessing import Preprocessing, clean_view, native_images


def _samples(make_sample, count=6):
    """Samples of different sizes, as a dataset."""
    samples = [make_sample(index, 40 + 2 * index, 50 - index) for index in range(count)]
    signature = {key: tf.TensorSpec([None] * value.shape.rank, value.dtype) for key, value in samples[0].items()}
    signature |= {
        "rgb": tf.TensorSpec([None, None, 3], tf.uint8),
        "intrinsics": tf.TensorSpec([4], tf.float32),
        "gravity": tf.TensorSpec([3], tf.float32),
    }
    return tf.data.Dataset.from_generator(lambda: samples, output_signature=signature)


@pytest.mark.parametrize(
    "modality, names, encoding",
    [
        ("rgb", {"rgb"}, "gupta"),
        pytest.param("hha", {"hha"}, "gupta", marks=pytest.mark.slow),
        ("rgbd", {"rgb", "hha"}, "gupta"),
        ("rgbd", {"rgb", "hha"}, "paper"),
    ],
)
def test_clean_view_eager_and_in_tf_data(make_sample, modality, names, encoding):
    preprocessing = Preprocessing(modality, 24, encoding)
    sample = make_sample()
    view = clean_view(sample, preprocessing)
    assert set(view) == names
    mapped = next(iter(tf.data.Dataset.from_tensors(sample).map(lambda s: clean_view(s, preprocessing))))
    for name, image in view.items():
        assert image.shape == (24, 24, 3) and image.dtype == tf.float32
        assert image.numpy().min() >= 0 and image.numpy().max() <= 1
        np.testing.assert_allclose(image, mapped[name], atol=1e-4)


def test_clean_view_is_the_centre_square(make_sample):
    sample = make_sample(height=60, width=40)
    view = clean_view(sample, Preprocessing("rgb", 40))
    np.testing.assert_allclose(view["rgb"], tf.cast(sample["rgb"][10:50], tf.float32) / 255, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [{"hha_encoding": "gupta"}, {"hha_encoding": "paper"}, {"holes": "mask"}, {"holes": "nearest"}]
    + [{"depth_input": name} for name in DEPTH_INPUTS[1:]],
    ids=str,
)
def test_a_frame_without_depth_has_a_neutral_depth_image(make_sample, options):
    """In clean views and in random ones, whatever moves the values of depth images."""
    sample, preprocessing = make_sample() | {"depth": tf.zeros([48, 40])}, Preprocessing("rgbd", 16, **options)
    augmentation = Augmentation(hha_jitter=True, hha_color=True, flip=1.0)
    for view in (clean_view(sample, preprocessing), *_views(sample, None, [0, 1], preprocessing, augmentation)):
        neutral = np.broadcast_to(NEUTRAL["hha"][: view["hha"].shape[-1]], view["hha"].shape)
        np.testing.assert_allclose(view["hha"], neutral, atol=1e-6)


def test_clean_batches_carry_what_is_known(make_sample):
    batches = list(clean_batches(_samples(make_sample), Preprocessing("rgbd", 16), batch_size=4))
    assert [len(targets["label"]) for _, targets in batches] == [4, 2]
    assert batches[1][1]["frame"].numpy().tolist() == [b"frame_4", b"frame_5"]
    assert batches[0][0]["hha"].shape == (4, 16, 16, 3)


def _epochs(make_sample, first_epoch, epochs, seed=0, global_seed=0, count=6, first_step=0, **drawn):
    tf.random.set_seed(global_seed)
    records = tf.data.Dataset.range(count)
    samples = [make_sample(index) for index in range(count)]
    stacked = {key: tf.stack([sample[key] for sample in samples]) for key in samples[0]}
    batches = view_batches(
        records,
        lambda index: {key: value[index] for key, value in stacked.items()},
        count=count,
        preprocessing=Preprocessing("rgbd", 8),
        augmentation=Augmentation(hha_jitter=True, hha_dropout=0.3, **drawn),
        batch_size=2,
        seed=seed,
        first_epoch=first_epoch,
        first_step=first_step,
    )
    return [
        np.concatenate([view["rgb"], view["hha"]], -1) for batch in batches.take(3 * epochs) for view in batch["views"]
    ]


@pytest.fixture(scope="module")
def whole(make_sample):
    """Three epochs of three batches of two views."""
    return _epochs(make_sample, 0, 3)


def test_a_run_is_replayed_from_any_epoch(make_sample, whole):
    np.testing.assert_array_equal(whole[2 * 3 * 1 :], _epochs(make_sample, 1, 2, global_seed=7))


@pytest.mark.slow
def test_what_is_drawn_before_hha_is_replayed_too_and_leaves_the_other_draws_alone(make_sample):
    drawn = {"sensor_noise": 0.5, "gravity_jitter": 20.0}
    whole = _epochs(make_sample, 0, 2, **drawn)
    np.testing.assert_array_equal(whole[2 * 3 :], _epochs(make_sample, 1, 1, global_seed=7, **drawn))
    without = np.array(_epochs(make_sample, 0, 2))
    np.testing.assert_array_equal(np.array(whole)[..., :3], without[..., :3])
    assert not np.allclose(np.array(whole)[..., 3:], without[..., 3:], atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("drawn", [{"sensor_noise": 1.0}, {"gravity_jitter": 20.0}], ids=str)
def test_each_view_has_its_own_depth_and_gravity(make_sample, monkeypatch, drawn):
    """With the geometry left out, the views' HHA differ by what is drawn before it; RGB does not."""
    monkeypatch.setattr(augmentation_module, "random_view", lambda images, seed, **_: images)
    batches = view_batches(
        tf.data.Dataset.range(1),
        lambda index: make_sample(),
        count=1,
        preprocessing=Preprocessing("rgbd", 8, "gupta"),
        augmentation=Augmentation(**drawn),
        batch_size=1,
        seed=0,
    )
    views = next(iter(batches))["views"]
    np.testing.assert_array_equal(views[0]["rgb"], views[1]["rgb"])
    clean = native_images(make_sample(), Preprocessing("rgbd", 8, "gupta"))["hha"]
    for one, other in [(views[0]["hha"][0], views[1]["hha"][0]), (views[0]["hha"][0], clean)]:
        assert np.mean(np.abs(one - other) > 1 / 255) > 0.2


def test_sensor_noise_comes_with_its_probability(make_sample):
    sample, augmentation = make_sample(), Augmentation(sensor_noise=0.3)
    seeds = tf.data.Dataset.range(300).map(lambda index: sample_seed(0, 0, index))
    depths = seeds.map(lambda seed: perturbed(sample, seed, augmentation)["depth"])
    noisy = [not np.array_equal(depth, sample["depth"]) for depth in depths]
    assert 0.22 < np.mean(noisy) < 0.38


def test_unknown_gravity_is_estimated_before_it_is_turned(make_sample, monkeypatch):
    """From the depth as it was recorded: what the views see is within the jitter of what the clean frame gives."""
    sample = make_sample() | {"gravity": tf.zeros(3)}
    estimated = gravity.from_depth(sample["depth"], sample["intrinsics"])[0]
    seen = []
    monkeypatch.setattr(batches_module, "native_images", lambda sample, _: seen.append(sample["gravity"]) or {})
    monkeypatch.setattr(batches_module, "two_views", lambda *_, **__: None)
    for index in range(3):
        seed = sample_seed(0, 0, index)
        _views(sample, None, seed, Preprocessing(), Augmentation(sensor_noise=1.0, gravity_jitter=5.0))
    degrees = np.degrees(np.arccos(np.clip(np.array(seen) @ estimated.numpy(), -1, 1)))
    assert len(seen) == 6 and degrees.min() > 0.01 and degrees.max() < 5.1


@pytest.mark.parametrize("first_step", [1, 2])
def test_a_run_is_replayed_from_the_middle_of_an_epoch(make_sample, whole, first_step):
    """Three batches an epoch: the rest of the second, and all of the third."""
    rest = whole[2 * (3 + first_step) :]
    resumed = _epochs(make_sample, 1, 2, global_seed=7, first_step=first_step)
    np.testing.assert_array_equal(rest, resumed[: len(rest)])


def test_epochs_and_seeds_differ(make_sample, whole):
    assert not np.allclose(whole[:6], whole[6:12])
    assert not np.allclose(whole[:6], _epochs(make_sample, 0, 1, seed=1))


def test_an_epoch_holds_each_sample_once_in_a_new_order(monkeypatch):
    # so that its gray level names a sample
    monkeypatch.setattr(augmentation_module, "color_transforms", lambda image, seed, **_: image)
    batches = view_batches(
        tf.data.Dataset.range(7),
        lambda index: {"rgb": tf.fill([4, 4, 3], tf.cast(index * 30, tf.uint8))},
        count=7,
        preprocessing=Preprocessing("rgb", 4),
        augmentation=Augmentation(min_crop=1.0),
        batch_size=2,
        seed=0,
    )
    firsts = [batch["views"][0]["rgb"] for batch in batches.take(12)]
    levels = [np.round(first[:, 0, 0, 0] * 255 / 30).astype(int) for first in firsts]
    epochs = np.reshape(levels, (4, 6)).tolist()  # 7 // 2 = 3 batches an epoch: one sample is left out
    assert all(len(set(epoch)) == 6 and set(epoch) <= set(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


@pytest.mark.parametrize("encoding", ["gupta", pytest.param("paper", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "choice", ["mask", "guided", *(pytest.param(c, marks=pytest.mark.slow) for c in ("neutral", "nearest", "inpaint"))]
)
def test_holes_are_dealt_with_at_native_resolution(make_sample, choice, encoding):
    sample = make_sample()
    preprocessing = Preprocessing("rgbd", 24, encoding, choice)
    native = native_images(sample, preprocessing)["hha"]
    camera, rgb = (sample["intrinsics"], sample["gravity"]), sample["rgb"]
    encoded = holes.encode(sample["depth"], *camera, encoding=encoding, holes=choice, rgb=rgb)
    np.testing.assert_allclose(native, encoded / 255, atol=1e-4)
    view = clean_view(sample, preprocessing)
    mapped = next(iter(tf.data.Dataset.from_tensors(sample).map(lambda s: clean_view(s, preprocessing))))
    assert {name: image.shape[-1] for name, image in mapped.items()} == preprocessing.channels
    for name in view:
        np.testing.assert_allclose(view[name], mapped[name], atol=1e-3)


@pytest.mark.parametrize("depth_input", DEPTH_INPUTS[1:])
def test_another_depth_image_stands_in_the_place_of_hha(make_sample, depth_input):
    sample = make_sample()
    preprocessing = Preprocessing("rgbd", 24, depth_input=depth_input, holes="mask")
    camera = sample["intrinsics"], sample["gravity"]
    encoded = holes.encode(sample["depth"], *camera, depth_input=depth_input, holes="mask")
    np.testing.assert_allclose(native_images(sample, preprocessing)["hha"], encoded / 255, atol=1e-5)
    view = clean_view(sample, preprocessing)
    mapped = next(iter(tf.data.Dataset.from_tensors(sample).map(lambda s: clean_view(s, preprocessing))))
    np.testing.assert_allclose(view["hha"], mapped["hha"], atol=1e-4)
    assert not np.allclose(view["hha"], clean_view(sample, Preprocessing("rgbd", 24, holes="mask"))["hha"], atol=0.05)


def test_a_flipped_view_has_the_normals_of_the_mirrored_scene(make_sample):
    sample = make_sample()
    width = sample["depth"].shape[1]
    mirrored = sample | {
        "depth": tf.reverse(sample["depth"], [1]),
        "rgb": tf.reverse(sample["rgb"], [1]),
        "intrinsics": sample["intrinsics"] * [1, 1, 0, 1] + [0, 0, width - 1 - sample["intrinsics"][2], 0],
    }
    preprocessing = Preprocessing("rgbd", 24, depth_input="normals", holes="mask")
    flipped = next(
        iter(
            view_batches(
                tf.data.Dataset.from_tensors(sample),
                preprocessing=preprocessing,
                augmentation=Augmentation(augmentations="none", flip=1.0),
                batch_size=1,
            )
        )
    )["views"]
    expected = clean_view(mirrored, preprocessing)
    assert np.mean(np.abs(expected["hha"][..., 0] - 0.5)) > 0.03  # the plane is tilted sideways
    for view in flipped:
        np.testing.assert_allclose(view["hha"][0], expected["hha"], atol=2e-3)
        np.testing.assert_allclose(view["rgb"][0], expected["rgb"], atol=1e-5)


def test_sensor_noise_estimates_no_gravity_for_images_that_show_none(make_sample, monkeypatch):
    monkeypatch.setattr(gravity, "known_or_estimated", lambda *_: pytest.fail("estimated"))
    sample = make_sample()
    del sample["gravity"]
    preprocessing, noise = Preprocessing("hha", 16, depth_input="disparity"), Augmentation(sensor_noise=1.0)
    views = _views(sample, None, sample_seed(0, 0, 0), preprocessing, noise)
    assert not np.allclose(views[0]["hha"], views[1]["hha"])


def test_the_mask_is_cut_and_resized_with_the_image(make_sample):
    sample = make_sample(height=60, width=40)
    mask = clean_view(sample, Preprocessing("hha", 40, holes="mask"))["hha"][..., 3]
    np.testing.assert_allclose(mask, (sample["depth"][10:50] > 0).numpy(), atol=1e-6)


def test_views_to_train_on_have_the_mask_too(make_sample):
    samples = [make_sample(index) for index in range(2)]
    stacked = {key: tf.stack([sample[key] for sample in samples]) for key in samples[0]}
    batches = view_batches(
        tf.data.Dataset.range(2),
        lambda index: {key: value[index] for key, value in stacked.items()},
        count=2,
        preprocessing=Preprocessing("rgbd", 8, holes="mask"),
        augmentation=Augmentation(hha_jitter=True),
        batch_size=2,
        seed=0,
    )
    for view in next(iter(batches))["views"]:
        assert view["rgb"].shape == (2, 8, 8, 3) and view["hha"].shape == (2, 8, 8, 4)


def _gray_levels(count, shuffle_records):
    """The record that each sample of an epoch came from, told by its gray level, in order."""
    batches = view_batches(
        tf.data.Dataset.range(count),
        lambda index: {"rgb": tf.fill([4, 4, 3], tf.cast(index * 4, tf.uint8))},
        count=count,
        preprocessing=Preprocessing("rgb", 4),
        augmentation=Augmentation(min_crop=1.0),
        batch_size=count,
        seed=0,
        shuffle_records=shuffle_records,
    )
    first, _second = next(iter(batches))["views"]
    return np.round(first["rgb"][:, 0, 0, 0] * 255 / 4).astype(int).tolist()


def test_the_shuffle_holds_so_many_records_and_no_more(monkeypatch):
    monkeypatch.setattr(augmentation_module, "color_transforms", lambda image, seed, **_: image)
    orders = [_gray_levels(40, held) for held in (1, 5, None)]
    assert orders[0] == list(range(40))
    # what comes out k-th was among the first k + held; with all held at once something from far behind comes early
    assert all(record < place + 5 for place, record in enumerate(orders[1])) and orders[1] != orders[0]
    assert any(record >= place + 5 for place, record in enumerate(orders[2]))
    assert all(sorted(order) == orders[0] for order in orders)


def test_two_workers_draw_differently(monkeypatch):
    monkeypatch.setattr(augmentation_module, "color_transforms", lambda image, seed, **_: image)

    def first_view(first_index):
        batches = view_batches(
            tf.data.Dataset.range(4),
            lambda index: {"rgb": tf.reshape(tf.cast(tf.range(16 * 16 * 3) % 251, tf.uint8), [16, 16, 3])},
            count=4,
            preprocessing=Preprocessing("rgb", 8),
            augmentation=Augmentation(),
            batch_size=4,
            seed=0,
            first_index=first_index,
        )
        return next(iter(batches))["views"][0]["rgb"].numpy()

    assert not np.allclose(first_view(0), first_view(4))


@pytest.mark.parametrize("cached", [False, True])
def test_each_sample_comes_with_its_place_in_the_data_set(monkeypatch, cached):
    # so that its gray level names a sample
    monkeypatch.setattr(augmentation_module, "color_transforms", lambda image, seed, **_: image)
    records, decode = tf.data.Dataset.range(7), lambda index: {"rgb": tf.fill([4, 4, 3], tf.cast(index * 30, tf.uint8))}
    if cached:
        records, decode = cache.in_memory(records, decode, preprocessing=Preprocessing("rgb", 4), limit_gb=1.0)
    batches = view_batches(
        records,
        decode,
        count=7,
        preprocessing=Preprocessing("rgb", 4),
        augmentation=Augmentation(min_crop=1.0),
        batch_size=2,
        seed=0,
        first_index=100,
    )
    for batch in batches.take(6):
        for view in batch["views"]:
            levels = np.round(view["rgb"][:, 0, 0, 0] * 255 / 30).astype(int)
            assert batch["index"].dtype == tf.int64 and (100 + levels).tolist() == batch["index"].numpy().tolist()


def _whole(samples, modality):
    """The one batch of a data set of stacked samples, a person's own arrays."""
    batches = view_batches(
        tf.data.Dataset.from_tensor_slices(samples),
        lambda sample: sample,
        count=4,
        preprocessing=Preprocessing(modality, 8),
        augmentation=Augmentation(),
        batch_size=4,
        seed=0,
    )
    return next(iter(batches))


@pytest.mark.parametrize("kind", [tf.int64, tf.uint8])
def test_labels_come_with_the_views(make_sample, kind):
    samples = {key: tf.stack([make_sample(index)[key] for index in range(4)]) for key in make_sample()}
    batch = _whole(samples | {"label": tf.cast(samples["label"], kind)}, "rgb")
    assert set(batch) == {"views", "label", "index"} and len(batch["views"]) == 2
    assert batch["label"].dtype == tf.int64
    np.testing.assert_array_equal(batch["label"], batch["index"].numpy() % 2)


def test_what_samples_may_leave_out(make_sample):
    """Labels are then unknown, gravity estimated."""
    samples = {key: np.stack([make_sample(index)[key] for index in range(4)]) for key in make_sample()}
    few = {key: samples[key] for key in ("rgb", "depth", "intrinsics")}
    batch = _whole(few, "rgbd")
    assert batch["label"].dtype == tf.int64 and batch["label"].numpy().tolist() == [-1] * 4
    expected = _whole(samples | {"gravity": np.zeros([4, 3], np.float32)}, "rgbd")["views"]
    tf.nest.map_structure(np.testing.assert_array_equal, batch["views"], expected)
    clean = clean_batches(tf.data.Dataset.from_tensor_slices(few), Preprocessing("rgbd", 8), batch_size=4)
    _, targets = next(iter(clean))
    assert targets["label"].numpy().tolist() == targets["instance"].numpy().tolist() == [-1] * 4
    assert targets["frame"].numpy().tolist() == [b""] * 4


def test_records_in_the_shuffles_memory():
    assert records_held(1, 1024) == 512
    assert records_held(128, 600_000) == 223
    assert records_held(1, 2**21) == 1


def _points(sample, **augmentation):
    """The points of the clean view of a sample, or of its two views: an array [N,3] in metres of each."""
    preprocessing = Preprocessing("rgbd", 24, depth_input="voxels")
    views = [clean_view(sample, preprocessing)]
    if augmentation:
        given = {
            "augmentation": Augmentation(**{"augmentations": "none"} | augmentation),
            "preprocessing": preprocessing,
        }
        batch = next(iter(view_batches(tf.data.Dataset.from_tensors(sample), batch_size=1, **given)))
        views = [{name: image[0] for name, image in view.items()} for view in batch["views"]]
    return [points[valid].numpy() for points, valid in (voxels.points_of(255 * view["hha"]) for view in views)]


def _farthest_from(points, others):
    return np.abs(points[:, None] - others[None]).max(axis=2).min(axis=1).max()


def _two_surfaces(make_sample):
    """A sample with a near surface before a far one, and holes."""
    depth = np.where(np.random.default_rng(0).random((48, 40)) < 0.2, 0, 2.0).astype(np.float32)
    depth[10:30, 10:25] = 0.8
    return make_sample() | {"depth": tf.constant(depth)}


@pytest.mark.parametrize(
    "drawn",
    [
        {},
        {"min_crop": 0.1, "crop": 1.0},
        {"crop": 1.0, "crop_3d": (0.3, 0.9)},
        {"background": "removed", "background_probability": 1.0},
        {"augmentations": "simsiam"},
    ],
)
def test_no_point_of_a_view_lies_where_none_was_measured(make_sample, drawn):
    """Not between two surfaces, nor between one and the camera."""
    sample = _two_surfaces(make_sample)
    every = camera.back_project(sample["depth"], sample["intrinsics"])
    every = tf.transpose(every, [1, 2, 0])[sample["depth"] > 0].numpy()
    for points in _points(sample, **drawn | ({"flip": 0.0} if drawn else {})):
        assert len(points) > 20 and _farthest_from(points, every) < 1e-4


def test_a_flipped_view_has_the_points_of_the_mirrored_scene(make_sample):
    sample = _two_surfaces(make_sample)
    (clean,) = _points(sample)
    for points in _points(sample, flip=1.0):
        assert len(points) == len(clean) and _farthest_from(points * [-1, 1, 1], clean) < 1e-4


def test_a_dropped_depth_has_no_points(make_sample):
    preprocessing = Preprocessing("hha", 24, depth_input="voxels")
    dropped, kept = (
        _views(
            make_sample(), None, sample_seed(0, 0, 0), preprocessing, Augmentation(augmentations="none", hha_dropout=p)
        )
        for p in (1 - 1e-6, 0.0)
    )
    assert not voxels.points_of(255 * dropped[0]["hha"])[1].numpy().any()
    assert voxels.points_of(255 * kept[0]["hha"])[1].numpy().any()
