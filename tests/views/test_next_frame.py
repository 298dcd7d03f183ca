"""Pairs of a frame and the next: by hand, on real turntable videos, and as views."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.views import augmentation, next_frame
from keras_simsiam.views.augmentation import Augmentation
from keras_simsiam.views.batches import view_batches
from keras_simsiam.views.preprocessing import Preprocessing
from tfrecords import example
from tfrecords.sources import washington as washington_source


def _partners(instances, names):
    return [names[place] for place in next_frame.partners(instances, names)]


def test_the_next_frame_in_natural_order_and_before_the_last_one():
    names = ["a_1_1_10", "a_1_1_2", "a_1_2_3", "a_1_1_1", "a_1_2_11"]
    assert _partners([0] * 5, names) == ["a_1_1_2", "a_1_1_10", "a_1_2_11", "a_1_1_2", "a_1_2_3"]


def test_recordings_are_of_one_instance():
    assert next_frame.partners([0, 1, 0, 1], ["v_1", "v_2", "v_3", "v_4"]).tolist() == [2, 3, 0, 1]


def test_the_number_may_be_a_time_or_have_one():
    times = ["desk/1305031453.359684", "desk/1305031454.027", "desk/1305031453.4"]
    assert _partners([0] * 3, times) == [times[2], times[2], times[1]]
    redwood = ["s/0000002-000000033369", "s/0000001-000000000000", "s/0000003-000000066738"]
    assert _partners([0] * 3, redwood) == [redwood[2], redwood[0], redwood[0]]
    assert _partners([0] * 4, ["s-1-1", "s-2-1", "s-1-2", "s-2-2"]) == ["s-1-2", "s-2-2", "s-1-1", "s-2-1"]


def test_the_only_frame_of_a_recording_or_one_of_an_unknown_instance_is_its_own_partner():
    assert next_frame.partners([0, 0, 0, -1, -1], ["v_1", "v_2", "w_1", "u_1", "u_2"]).tolist() == [1, 0, 2, 3, 4]


def test_data_without_recordings_is_refused_in_one_line():
    with pytest.raises(UserError, match="does not say which frames show the same instance") as error:
        next_frame.partners([-1, -1], ["v_1", "v_2"])
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"a single frame \(their names, such as a_1_1,") as error:
        next_frame.partners([0, 0, 1], ["a_1_1", "a_2_2", "b"])
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def washington(unpack):
    """Records of three frames each of videos 1 and 4 of two apples, shuffled."""
    wanted = [f"apple_{apple}_{video}_{frame}" for apple in (1, 3) for video in (1, 2, 4) for frame in (101, 106, 111)]
    parts = [f"{name}_{ending}" for name in wanted for ending in ("crop.png", "depthcrop", "maskcrop", "loc.txt")]
    folder = unpack("uw-rgbd-mini.tar.xz", parts)
    plan = washington_source.plan(str(folder / "rgbd-dataset"), split="instance", every=1, gravity="nominal")
    records = [example.encode(plan.load(reference)) for reference in plan.splits["train"]]
    assert len(records) == 12
    return tf.data.Dataset.from_tensor_slices([records[place] for place in np.random.default_rng(0).permutation(12)])


def test_real_turntable_frames_by_hand(washington):
    records, decode, partner = next_frame.in_memory(washington, example.decode, limit_gb=1.0)
    pairs = {}
    for place in records:
        pairs[decode(place)["frame"].numpy().decode()] = decode(partner(place))["frame"].numpy().decode()
    assert len(pairs) == 12
    for video in ("apple_1_1", "apple_1_4", "apple_3_1", "apple_3_4"):
        following = [pairs[f"{video}_{frame}"] for frame in (101, 106, 111)]
        assert following == [f"{video}_106", f"{video}_111", f"{video}_106"]


def test_the_places_give_the_records_in_their_order(washington):
    records, decode, _ = next_frame.in_memory(washington, example.decode, limit_gb=1.0)
    for one, other in zip(washington.map(example.decode), records.map(decode), strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def test_more_than_the_limit_is_refused_with_both_numbers(washington):
    with pytest.raises(UserError, match=r"^`cache_gb=1e-05`: .*positives=next_frame` holds .* 0\.\d+ GB: allow more"):
        next_frame.in_memory(washington, example.decode, limit_gb=1e-5)


def test_names_are_read_without_decoding_an_image():
    frames = [example.Frame(f"v_{n}", b"no image", b"none either", (1, 1, 0, 0), instance=0) for n in (1, 2)]
    records = tf.data.Dataset.from_tensor_slices([example.encode(frame) for frame in frames])
    _, _, partner = next_frame.in_memory(records, example.decode, limit_gb=1.0)
    assert [int(partner(place)) for place in (0, 1)] == [1, 0]


def _batches(given, batches, modality="rgb", first_epoch=0, augmentation=None):
    """Batches of four pairs of views, three an epoch."""
    records, decode, partner = next_frame.in_memory(given, example.decode, limit_gb=1.0)
    dataset = view_batches(
        records,
        decode,
        count=12,
        preprocessing=Preprocessing(modality, 16),
        augmentation=augmentation or Augmentation(),
        batch_size=4,
        seed=5,
        first_epoch=first_epoch,
        partner=partner,
    )
    return list(dataset.take(batches).as_numpy_iterator())


def test_the_second_view_is_of_the_next_frame_and_the_label_of_the_first(washington, monkeypatch):
    """Each view is told by the mean colour of the frame that it is of; frames differ in size."""
    monkeypatch.setattr(augmentation, "random_view", lambda images, *_, **__: tf.reduce_mean(images["rgb"], (0, 1)))
    frames = {sample["frame"].numpy().decode(): sample for sample in washington.map(example.decode)}
    assert len({tuple(sample["rgb"].shape) for sample in frames.values()}) > 1
    names = list(frames)
    means = np.array([np.mean(frames[name]["rgb"] / 255, axis=(0, 1)) for name in names])
    following = next_frame.partners([int(frames[name]["instance"]) for name in names], names)
    for batch in _batches(washington, 3):
        first, second = batch["views"]
        places = [np.abs(means - mean).sum(1).argmin() for mean in first]
        np.testing.assert_allclose(first, means[places], atol=1e-5)
        np.testing.assert_allclose(second, means[following[places]], atol=1e-5)
        assert batch["index"].tolist() == places
        assert batch["label"].tolist() == [int(frames[names[place]]["label"]) for place in places]


@pytest.mark.slow
def test_an_epoch_starts_afresh_as_it_follows(washington):
    augmentation = Augmentation(sensor_noise=0.5, gravity_jitter=10.0)
    whole, resumed = _batches(washington, 6, "rgbd", 0, augmentation), _batches(washington, 3, "rgbd", 1, augmentation)
    tf.nest.map_structure(np.testing.assert_array_equal, whole[3:], resumed)
    assert not np.array_equal(whole[0]["views"][0]["hha"], resumed[0]["views"][0]["hha"])
