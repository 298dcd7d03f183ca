"""Depth predicted for a data set of colour alone, by a network of a known function."""

import json

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.commands import depth_networks
from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from tfrecords import Dataset, builder, show
from tfrecords.example import Frame
from tfrecords.sources import Plan, predicted
from tfrecords.unfinished import Unfinished

CAMERA = (20.0, 21.0, 5.5, 3.5)


class InProcess:
    """In place of the pool of workers."""

    def run(self, function, tasks, progress=lambda amount: None):
        for task in tasks:
            yield function(task, progress)


def _frame(number):
    """Of colour alone; every second one without a camera."""
    rgb = np.random.default_rng(number).integers(0, 256, (8, 12, 3), np.uint8)
    encoded = cv2.imencode(".png", rgb)[1].tobytes()
    camera = CAMERA if number % 2 else (0.0,) * 4
    return Frame(f"frame_{number}", encoded, None, camera, gravity=(0.0, 1.0, 0.0), label=number % 3)


def _build(output, plan, source="colours", seed=0):
    with Unfinished(str(output)) as unfinished:
        return builder.build(
            plan, {"name": source, "arguments": {}}, seed=seed, unfinished=unfinished, pool=InProcess()
        )


@pytest.fixture
def colours(tmp_path):
    """A data set of colour alone."""
    splits = {"train": list(range(12)), "test": [12, 13]}
    _build(tmp_path / "colours", Plan(splits, _frame, ["a", "b", "c"], [], {"mode": "known"}))
    return Dataset(str(tmp_path / "colours"))


@pytest.fixture
def network(tmp_path):
    """Metres: 1 and the red of a colour."""

    class Red(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 8, 12, 3], tf.float32, "image")])
        def __call__(self, image):
            return {"depth": 1 + image[..., 0]}

    model = Red()
    tf.saved_model.save(model, str(tmp_path / "network"), {"serving_default": model.__call__})
    use = depth_networks.Use(input_values="0..1", unit="metres")
    return depth_networks.open_network(str(tmp_path / "network"), use)


def _predicted(folder, colours, network, **options):
    plan = predicted.plan(colours, network, prediction=network.description(), **options)
    return _build(folder, plan, "pseudo_depth", seed=None)


def test_all_but_depth_stays_and_depth_is_what_the_network_predicts(tmp_path, colours, network):
    _predicted(tmp_path / "depth", colours, network, fov=60.0)
    found = Dataset(str(tmp_path / "depth"))
    assert found.has_depth and found.classes == colours.classes and list(found.splits) == list(colours.splits)
    for split in colours.splits:
        pairs = list(zip(colours.samples(split), found.samples(split), strict=True))
        assert len(pairs) == colours.splits[split].count
        for before, after in pairs:  # in the same order
            for name in ("rgb", "gravity", "label", "instance", "frame"):
                np.testing.assert_array_equal(after[name], before[name])
            np.testing.assert_allclose(after["depth"], 1 + before["rgb"][..., 0] / 255, atol=0.5 / 4096 + 1e-6)
            known = np.any(before["intrinsics"])
            focal = 6 / np.tan(np.radians(30))  # of 12 pixels, 60 degrees
            np.testing.assert_allclose(after["intrinsics"], CAMERA if known else [focal, focal, 5.5, 3.5], rtol=1e-6)


def test_the_data_set_says_that_its_depth_is_predicted(tmp_path, colours, network):
    _predicted(tmp_path / "depth", colours, network, fov=60.0)
    content = json.loads((tmp_path / "depth" / "dataset.json").read_text())
    said = content["predicted_depth"]
    assert said["by"] == "network" and said["sha256"] == files.sha256(tmp_path / "network")
    assert (said["unit"], said["input_values"], said["fov"], said["frames_without_camera"]) == (
        "metres",
        "0..1",
        60.0,
        7,
    )
    assert content["colour"]["sha256"] == colours.checksum
    origin = Dataset(str(tmp_path / "depth")).depth_origin
    assert origin.startswith("predicted by network (SHA-256 ")
    assert f"yes, {origin}" in show.describe(str(tmp_path / "depth"), content)
    assert colours.depth_origin == ""


def test_what_cannot_be_is_refused(tmp_path, colours, network):
    with pytest.raises(UserError, match=r"^7 of 14 frames of .* have no camera, .*: give `fov`"):
        _predicted(tmp_path / "depth", colours, network)
    _predicted(tmp_path / "depth", colours, network, fov=60.0)
    with pytest.raises(UserError, match=r"^`data_dir=.*depth` has depth that was predicted already"):
        predicted.colour_only(str(tmp_path / "depth"))


def test_a_network_that_predicts_nothing_or_nonsense_leaves_the_frame_out(tmp_path, colours):
    def predict(rgb):
        return np.full(rgb.shape[:2], np.float32(0 if rgb[0, 0, 0] % 2 else 5000))

    plan = predicted.plan(colours, predict, prediction={"by": "f", "sha256": ""}, fov=60.0)
    with pytest.raises(UserError, match=r"predicts no depth|median of its predicted depth is 5000 m: check `unit`"):
        _build(tmp_path / "depth", plan, seed=None)
