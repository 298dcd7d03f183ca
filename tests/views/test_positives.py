"""Pairs of frames: by hand, on real turntable videos, and as views."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.views import augmentation, positives
from keras_simsiam.views.augmentation import Augmentation
from keras_simsiam.views.batches import view_batches
from keras_simsiam.views.preprocessing import Preprocessing
from tfrecords import example
from tfrecords.sources import washington as washington_source


def _partners(instances, names):
    """The only partner of each frame, the next one."""
    return [names[place] for place in _next(instances, names)]


def _next(instances, names):
    found = positives.Partners("next_frame", instances, names)
    assert set(found.counts.tolist()) <= {0, 1}
    return np.array([found.of(place)[0] for place in range(len(names))])


def test_the_next_frame_in_natural_order_and_before_the_last_one():
    names = ["a_1_1_10", "a_1_1_2", "a_1_2_3", "a_1_1_1", "a_1_2_11"]
    assert _partners([0] * 5, names) == ["a_1_1_2", "a_1_1_10", "a_1_2_11", "a_1_1_2", "a_1_2_3"]


def test_recordings_are_of_one_instance():
    assert _next([0, 1, 0, 1], ["v_1", "v_2", "v_3", "v_4"]).tolist() == [2, 3, 0, 1]


def test_the_number_may_be_a_time_or_have_one():
    times = ["desk/1305031453.359684", "desk/1305031454.027", "desk/1305031453.4"]
    assert _partners([0] * 3, times) == [times[2], times[2], times[1]]
    redwood = ["s/0000002-000000033369", "s/0000001-000000000000", "s/0000003-000000066738"]
    assert _partners([0] * 3, redwood) == [redwood[2], redwood[0], redwood[0]]
    assert _partners([0] * 4, ["s-1-1", "s-2-1", "s-1-2", "s-2-2"]) == ["s-1-2", "s-2-2", "s-1-1", "s-2-1"]


def test_the_only_frame_of_a_recording_or_one_of_an_unknown_instance_is_its_own_partner():
    assert _next([0, 0, 0, -1, -1], ["v_1", "v_2", "w_1", "u_1", "u_2"]).tolist() == [1, 0, 2, 3, 4]


NAMES = ["a_1_3", "a_1_1", "a_2_9", "a_1_2", "b_1_1", "a_1_4", "a_2_1", "c"]
INSTANCES = [0, 0, 0, 0, 1, 0, 0, 0]


def _choices(pairs, instances=INSTANCES, names=NAMES, **kwargs):
    """The names that each frame may be paired with."""
    found = positives.Partners(pairs, instances, names, **kwargs)
    choices = {name: {names[other] for other in found.of(place)} for place, name in enumerate(names)}
    assert found.counts.tolist() == [len(choices[name] - {name}) for name in names]
    return choices


def test_any_other_frame_of_the_recording():
    of_a = {"a_1_1", "a_1_2", "a_1_3", "a_1_4"}
    expected = {name: of_a - {name} for name in of_a} | {"a_2_1": {"a_2_9"}, "a_2_9": {"a_2_1"}}
    assert _choices("recording") == expected | {"b_1_1": {"b_1_1"}, "c": {"c"}}
    assert _choices("recording", window=3) == _choices("recording")


def test_frames_of_the_recording_within_a_window_of_places():
    found = _choices("recording", window=1)
    assert found["a_1_1"] == {"a_1_2"} and found["a_1_2"] == {"a_1_1", "a_1_3"} and found["a_1_4"] == {"a_1_3"}
    assert found["a_2_9"] == {"a_2_1"}  # the next that there is, whatever its number
    assert _choices("recording", window=2)["a_1_1"] == {"a_1_2", "a_1_3"}


def test_frames_of_the_instances_other_recordings():
    found, first, second = _choices("viewpoint"), {"a_1_1", "a_1_2", "a_1_3", "a_1_4"}, {"a_2_1", "a_2_9"}
    assert all(found[name] == second | {"c"} for name in first)  # a name without a number is a recording
    assert all(found[name] == first | {"c"} for name in second)
    assert found["c"] == first | second and found["b_1_1"] == {"b_1_1"}


@pytest.mark.parametrize("pairs", positives.PAIRED)
def test_partners_of_many_frames_are_those_of_the_definition(pairs):
    random = np.random.default_rng(0)
    drawn = [(random.integers(-1, 4), random.integers(3), number) for number in random.permutation(60)]
    instances, names = [int(one) for one, *_ in drawn], [f"r{recording}_{number}" for _, recording, number in drawn]
    found = positives.Partners(pairs, instances, names, window=2)
    for place, (instance, recording, _) in enumerate(drawn):
        of_recording = sorted((n, i) for i, (one, r, n) in enumerate(drawn) if (one, r) == (instance, recording))
        ordered = [i for _, i in of_recording]
        at = ordered.index(place)
        expected = {
            "next_frame": ordered[at + 1 : at + 2] or ordered[-2:-1],
            "recording": ordered[max(0, at - 2) : at] + ordered[at + 1 : at + 3],
            "viewpoint": [i for i, (one, r, _) in enumerate(drawn) if one == instance and r != recording],
        }[pairs]
        assert sorted(found.of(place)) == (sorted(expected) or [place] if instance >= 0 else [place])


@pytest.mark.parametrize("pairs", positives.PAIRED)
def test_draws_are_of_the_partners_evenly_and_repeat(pairs):
    found = positives.Partners(pairs, INSTANCES, NAMES)
    times = tf.data.Dataset.range(200)
    for place in range(0, len(NAMES), 2):
        given = tf.constant(place, tf.int64)
        drawn = times.map(lambda time, given=given: found.draw(given, augmentation.sample_seed(1, 2, time)))
        drawn = np.array(list(drawn.as_numpy_iterator()))
        counts = {int(other): np.mean(drawn == other) for other in np.unique(drawn)}
        assert set(counts) == set(found.of(place))
        assert max(counts.values()) - min(counts.values()) < 0.2
        assert int(found.draw(given, augmentation.sample_seed(1, 2, 7))) == drawn[7]


@pytest.mark.parametrize("pairs", positives.PAIRED)
def test_data_without_pairs_is_refused_in_one_line(pairs):
    with pytest.raises(UserError, match=f"^`positives={pairs}`: .* does not say which frames show the same") as error:
        positives.Partners(pairs, [-1, -1], ["v_1", "v_2"])
    assert "\n" not in str(error.value)
    names = ["a_1_1", "b_2_2", "c"]
    single = "instance has a single recording" if pairs == "viewpoint" else "recording has a single frame"
    with pytest.raises(UserError, match=rf"^`positives={pairs}`: every {single} \(.*, such as a_1_1,") as error:
        positives.Partners(pairs, [0, 1, 2], names)
    assert "\n" not in str(error.value)


def test_recordings_of_single_frames_have_other_viewpoints():
    assert _choices("viewpoint", [0, 0], ["a_1_1", "a_2_1"]) == {"a_1_1": {"a_2_1"}, "a_2_1": {"a_1_1"}}


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


def _in_memory(records, pairs="next_frame", limit_gb=1.0, **kwargs):
    return positives.in_memory(records, example.decode, positives=pairs, limit_gb=limit_gb, **kwargs)


def test_real_turntable_frames_by_hand(washington):
    records, decode, partner = _in_memory(washington)
    pairs = {}
    for place in records:
        pairs[decode(place)["frame"].numpy().decode()] = decode(partner(place, [0, 0]))["frame"].numpy().decode()
    assert len(pairs) == 12
    for video in ("apple_1_1", "apple_1_4", "apple_3_1", "apple_3_4"):
        following = [pairs[f"{video}_{frame}"] for frame in (101, 106, 111)]
        assert following == [f"{video}_106", f"{video}_111", f"{video}_106"]


def test_the_places_give_the_records_in_their_order(washington):
    records, decode, _ = _in_memory(washington)
    for one, other in zip(washington.map(example.decode), records.map(decode), strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def test_real_frames_of_another_camera_height(washington, capfd):
    records, decode, partner = _in_memory(washington, "viewpoint")
    assert "holding 12 frames to pair with a frame of another recording of the instance, 0" in capfd.readouterr().err
    for place in records:
        name = decode(place)["frame"].numpy().decode()
        others = {decode(partner(place, seed))["frame"].numpy().decode() for seed in ([0, 0], [0, 1], [0, 2], [0, 3])}
        apple, video, _ = name.removeprefix("apple_").split("_")
        assert len(others) > 1 and {other[:10] for other in others} == {f"apple_{apple}_{5 - int(video)}_"}


def test_more_than_the_limit_is_refused_with_both_numbers(washington):
    with pytest.raises(UserError, match=r"^`cache_gb=1e-05`: .*positives=viewpoint` holds .* 0\.\d+ GB: allow more"):
        _in_memory(washington, "viewpoint", limit_gb=1e-5)


def test_names_are_read_without_decoding_an_image():
    frames = [example.Frame(f"v_{n}", b"no image", b"none either", (1, 1, 0, 0), instance=0) for n in (1, 2)]
    records = tf.data.Dataset.from_tensor_slices([example.encode(frame) for frame in frames])
    _, _, partner = _in_memory(records)
    assert [int(partner(tf.constant(place, tf.int64), [0, 0])) for place in (0, 1)] == [1, 0]


def _batches(given, batches, modality="rgb", first_epoch=0, augmentation=None, pairs="next_frame", first_step=0):
    """Batches of four pairs of views, three an epoch."""
    records, decode, partner = _in_memory(given, pairs)
    dataset = view_batches(
        records,
        decode,
        count=12,
        preprocessing=Preprocessing(modality, 16),
        augmentation=augmentation or Augmentation(),
        batch_size=4,
        seed=5,
        first_epoch=first_epoch,
        first_step=first_step,
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
    following = _next([int(frames[name]["instance"]) for name in names], names)
    for batch in _batches(washington, 3):
        first, second = batch["views"]
        places = [np.abs(means - mean).sum(1).argmin() for mean in first]
        np.testing.assert_allclose(first, means[places], atol=1e-5)
        np.testing.assert_allclose(second, means[following[places]], atol=1e-5)
        assert batch["index"].tolist() == places
        assert batch["label"].tolist() == [int(frames[names[place]]["label"]) for place in places]


def test_the_partner_is_drawn_by_epoch_and_place_whatever_came_before(washington, monkeypatch):
    monkeypatch.setattr(augmentation, "random_view", lambda images, *_, **__: tf.reduce_mean(images["rgb"], (0, 1)))
    whole = _batches(washington, 9, pairs="viewpoint")
    resumed = _batches(washington, 5, first_epoch=1, first_step=1, pairs="viewpoint")
    tf.nest.map_structure(np.testing.assert_array_equal, whole[4:], resumed)
    partners = {}
    for batch in whole:
        for index, second in zip(batch["index"], batch["views"][1], strict=True):
            partners.setdefault(int(index), set()).add(tuple(second))
    assert max(map(len, partners.values())) > 1  # over three epochs


@pytest.mark.slow
def test_an_epoch_starts_afresh_as_it_follows(washington):
    augmentation = Augmentation(sensor_noise=0.5, gravity_jitter=10.0)
    whole, resumed = _batches(washington, 6, "rgbd", 0, augmentation), _batches(washington, 3, "rgbd", 1, augmentation)
    tf.nest.map_structure(np.testing.assert_array_equal, whole[3:], resumed)
    assert not np.array_equal(whole[0]["views"][0]["hha"], resumed[0]["views"][0]["hha"])
