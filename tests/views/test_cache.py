"""Cached frames give the very views that undecoded records give; a cache of other settings is never taken for this one."""

import dataclasses
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core import fingerprint
from keras_simsiam.core.errors import UserError
from keras_simsiam.views import cache
from keras_simsiam.views.augmentation import Augmentation
from keras_simsiam.views.batches import view_batches
from keras_simsiam.views.preprocessing import Preprocessing, native_images

COUNT = 5


@pytest.fixture
def records(make_sample):
    """Samples of different sizes as serialized records, and the function that decodes them."""
    samples = [make_sample(index, 40 + 2 * index, 50 - 3 * index) for index in range(COUNT)]
    keys = {"rgb": tf.uint8, "depth": tf.float32, "intrinsics": tf.float32, "gravity": tf.float32, "label": tf.int64}
    serialized = {key: tf.stack([tf.io.serialize_tensor(sample[key]) for sample in samples]) for key in keys}

    def decode(record):
        sample = {key: tf.io.parse_tensor(record[key], kind) for key, kind in keys.items()}
        return sample | {
            "rgb": tf.ensure_shape(sample["rgb"], [None, None, 3]),
            "depth": tf.ensure_shape(sample["depth"], [None, None]),
            "intrinsics": tf.ensure_shape(sample["intrinsics"], [4]),
            "gravity": tf.ensure_shape(sample["gravity"], [3]),
            "label": tf.ensure_shape(sample["label"], []),
        }

    return tf.data.Dataset.from_tensor_slices(serialized), decode


def _batches(records, decode, preprocessing, first_epoch=0, epochs=2):
    batches = view_batches(
        records,
        decode,
        count=COUNT,
        preprocessing=preprocessing,
        augmentation=Augmentation(),
        batch_size=2,
        seed=3,
        first_epoch=first_epoch,
        shuffle_records=3,
    )
    return list(batches.take(2 * epochs).as_numpy_iterator())


def _in_memory(records, preprocessing, limit_gb=1.0):
    return cache.in_memory(*records, preprocessing=preprocessing, limit_gb=limit_gb)


def _on_disk(records, preprocessing, folder, identity="data", limit_gb=1.0):
    return cache.on_disk(
        *records,
        count=COUNT,
        preprocessing=preprocessing,
        limit_gb=limit_gb,
        folder=str(folder),
        identity=identity,
    )


@pytest.mark.slow
def test_the_same_frames_bit_for_bit(records, tmp_path):
    preprocessing = Preprocessing("rgbd", 16, "gupta", "mask")

    def images(records, decode):
        return list(records.map(lambda record: native_images(decode(record), preprocessing)))

    expected = images(*records)
    for cached in (_in_memory(records, preprocessing), _on_disk(records, preprocessing, tmp_path)):
        for one, other in zip(expected, images(*cached), strict=True):
            assert one.keys() == other.keys() == preprocessing.channels.keys()
            for name in one:
                np.testing.assert_array_equal(one[name], other[name])


def test_the_same_batches_from_any_epoch_on(records):
    preprocessing = Preprocessing("rgb", 16)
    expected = _batches(*records, preprocessing)
    cached = _in_memory(records, preprocessing)
    second = _batches(*cached, preprocessing, first_epoch=1, epochs=1)
    tf.nest.map_structure(np.testing.assert_array_equal, expected, _batches(*cached, preprocessing))
    tf.nest.map_structure(np.testing.assert_array_equal, expected[2:], second)


@pytest.mark.parametrize("modality", ["rgb", pytest.param("hha", marks=pytest.mark.slow)])
def test_views_by_measured_depth_are_those_without_a_cache(records, tmp_path, modality):
    preprocessing = Preprocessing(modality, 8, "paper")
    drawn = {"jitter": 0.0, "background": "removed", "background_probability": 1.0, "crop_3d": (0.2, 0.5)}

    def batch(records, decode):
        given = {"preprocessing": preprocessing, "augmentation": Augmentation(**drawn), "count": COUNT}
        return next(iter(view_batches(records, decode, batch_size=COUNT, **given)))

    limits = {"preprocessing": preprocessing, "limit_gb": 1.0, "depth": True}
    expected, cached = batch(*records), cache.in_memory(*records, **limits)
    tf.nest.map_structure(np.testing.assert_array_equal, expected, batch(*cached))
    if modality == "rgb":
        on_disk = cache.on_disk(*records, count=COUNT, folder=tmp_path, identity="data", **limits)
        _on_disk(records, preprocessing, tmp_path)
        assert len(list(tmp_path.glob("*.frames"))) == 2
        tf.nest.map_structure(np.testing.assert_array_equal, expected, batch(*on_disk))


def test_the_labels_are_kept_of_labelled_frames_and_of_others(records, tmp_path):
    dataset, decode = records

    def unlabelled(record):
        return {"rgb": decode(record)["rgb"]}

    for given, expected in ((decode, [0, 1, 0, 1, 0]), (unlabelled, [-1] * COUNT)):
        for cached in (
            _in_memory((dataset, given), Preprocessing("rgb", 16)),
            _on_disk((dataset, given), Preprocessing("rgb", 16), tmp_path, str(expected)),
            _on_disk((dataset, None), Preprocessing("rgb", 16), tmp_path, str(expected)),  # what the first has written
        ):
            numbers, read = cached
            labels = [read(number)["label"] for number in numbers]
            assert labels == expected and labels[0].dtype == tf.int64 and labels[0].shape == []


def test_eager_in_a_graph_and_in_tf_data(records, tmp_path):
    numbers, cached = _on_disk(records, Preprocessing("rgb", 16), tmp_path)
    in_a_graph = tf.function(cached)
    for index, mapped, record in zip(numbers, numbers.map(cached), records[0], strict=True):
        for frame in (cached(index), in_a_graph(index), mapped):
            np.testing.assert_array_equal(frame["rgb"], records[1](record)["rgb"])


def test_a_later_run_reads_no_record(records, tmp_path):
    def unread(_record):
        raise AssertionError("a record was read again")

    _, cached = _on_disk(records, Preprocessing("rgb", 16), tmp_path)
    numbers, again = _on_disk((records[0], unread), Preprocessing("rgb", 16), tmp_path)
    for index in numbers:
        np.testing.assert_array_equal(cached(index)["rgb"], again(index)["rgb"])


@pytest.fixture
def cheap(monkeypatch):
    """Encodes nothing, where a test is of files and not of what they hold."""

    def encoded_images(sample, preprocessing):
        size = tf.shape(sample["rgb"])[:2]
        images = {
            "rgb": sample["rgb"],
            "hha": tf.zeros(tf.concat([size, [preprocessing.channels.get("hha", 3)]], 0)),
        }
        return {name: images[name] for name in preprocessing.channels}

    monkeypatch.setattr(cache, "encoded_images", encoded_images)


def test_every_setting_before_the_crop_makes_another_file(records, tmp_path, cheap):
    settings = Preprocessing("rgbd", 16)
    changes = [{}, {"modality": "hha"}, {"hha_encoding": "gupta"}, {"holes": "mask"}, {"holes": "neutral"}]
    changes.append({"depth_input": "jet"})
    for change in changes:
        _on_disk(records, dataclasses.replace(settings, **change), tmp_path)
    _on_disk(records, settings, tmp_path, identity="other data")
    assert len(list(tmp_path.glob("*.frames"))) == len(changes) + 1
    _on_disk(records, dataclasses.replace(settings, image_size=32), tmp_path)  # applied after
    assert len(list(tmp_path.glob("*.frames"))) == len(changes) + 1


def test_other_code_makes_another_file(records, tmp_path, monkeypatch):
    _on_disk(records, Preprocessing("rgb", 16), tmp_path)
    monkeypatch.setattr(fingerprint, "of", lambda *modules: f"changed {modules}")
    _on_disk(records, Preprocessing("rgb", 16), tmp_path)
    assert len(list(tmp_path.glob("*.frames"))) == 2


def _pixels():
    return sum((40 + 2 * index) * (50 - 3 * index) for index in range(COUNT))


def test_over_the_bound_is_refused_with_the_size_needed(records, tmp_path, cheap):
    needed = _pixels() * 15  # 3 bytes of colour and 12 of HHA a pixel
    gigabytes = f"{-(-needed // 10**4) / 10**5:.5g} GB"
    just_enough, too_little = needed / 1e9, (needed - 1) / 1e9
    _in_memory(records, Preprocessing("rgbd", 16), just_enough)
    with pytest.raises(UserError, match=rf"`cache_gb=.*needs {gigabytes}: allow more") as error:
        _in_memory(records, Preprocessing("rgbd", 16), too_little)
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"`cache_gb=.* needs .* GB: allow more"):
        _on_disk(records, Preprocessing("rgbd", 16), tmp_path, limit_gb=just_enough)  # sizes and labels come on top
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]


def test_the_bound_is_that_of_all_caches_together(records, tmp_path, cheap):
    limit = 1.5 * 15 * _pixels() / 1e9
    _on_disk(records, Preprocessing("rgbd", 16), tmp_path, limit_gb=limit)
    with pytest.raises(UserError, match=r"beside .* GB of other caches in .*: allow more or delete some of those"):
        _on_disk(records, Preprocessing("rgbd", 16, "gupta"), tmp_path, limit_gb=limit)
    _on_disk(records, Preprocessing("rgbd", 16), tmp_path, limit_gb=limit)  # one that is there is no matter of room


def test_a_full_disk_is_one_line(records, tmp_path, monkeypatch):
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda folder: cache.shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(UserError, match=r"the cache needs .* GB, 1e-05 GB are free"):
        _on_disk(records, Preprocessing("rgbd", 16), tmp_path)


def test_a_folder_that_cannot_be_made(records, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/.* cannot be written or read .*XDG_CACHE_HOME"):
        _on_disk(records, Preprocessing("rgb", 16), tmp_path / "file")


def test_an_error_midway_leaves_no_file(records, tmp_path, cheap):
    dataset, decode = records
    broken = dataset.enumerate().map(
        lambda index, record: {key: tf.where(index == 3, b"", value) for key, value in record.items()}
    )
    with pytest.raises(tf.errors.InvalidArgumentError):
        _on_disk((broken, decode), Preprocessing("rgbd", 16), tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def _build_slowly(folder, results):
    """In a process of its own: builds the cache of three frames, waiting at each; says whether it built it."""
    frames = np.arange(3 * 4 * 5 * 3, dtype=np.uint8).reshape(3, 4, 5, 3)
    built = []

    def read(index):
        time.sleep(0.3)
        built.append(int(index))
        return frames[index]

    def decode(index):
        return {"rgb": tf.ensure_shape(tf.numpy_function(read, [index], tf.uint8), [None, None, 3])}

    _, cached = cache.on_disk(
        tf.data.Dataset.range(3),
        decode,
        count=3,
        preprocessing=Preprocessing("rgb", 4),
        limit_gb=1.0,
        folder=folder,
        identity="slow",
    )
    equal = all(np.array_equal(cached(tf.constant(index, tf.int64))["rgb"], frames[index]) for index in range(3))
    results.put((equal, len(built)))


@pytest.mark.slow
def test_two_processes_at_once_and_one_that_is_killed(tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()

    def start():
        process = context.Process(target=_build_slowly, args=(str(tmp_path), results))
        process.start()
        return process

    killed = start()
    while not list(tmp_path.glob("*.partial")):
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    assert list(tmp_path.glob("*.partial")) and not list(tmp_path.glob("*.frames"))

    both = [start(), start()]
    found = [results.get(timeout=120) for _ in both]
    for process in both:
        process.join()
    assert all(equal for equal, _ in found)
    assert sorted(built for _, built in found) == [0, 6]  # one built it, reading each frame twice; the other waited
    assert not list(tmp_path.glob("*.partial")) and len(list(tmp_path.glob("*.frames"))) == 1
