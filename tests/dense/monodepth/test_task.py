import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.dense.monodepth import depth_training, frames, metrics, network
from keras_simsiam.evaluation.data import Data
from keras_simsiam.evaluation.encoders.compared import TRAINED, UNTRAINED, ComparedEncoders
from keras_simsiam.evaluation.encoders.source import EncoderSource
from keras_simsiam.evaluation.evaluate import evaluate
from keras_simsiam.evaluation.tasks import monodepth
from keras_simsiam.training import run
from keras_simsiam.training.config import RunConfig, open_workdir
from keras_simsiam.views.preprocessing import Preprocessing
from tfrecords import Dataset
from tfrecords.example import Frame
from tfrecords.writer import Writer

SETTINGS = monodepth.Settings(depth_trials=1, depth_epochs=2, depth_lr=0.01)
SPLITS = {"train": 8, "val": 4, "test": 12}


def write_dataset(path, depth=True, missing=(), splits=SPLITS):
    """Frames of random colours, unlabelled, whose brightness is their depth; none is measured in the splits `missing`."""
    random = np.random.default_rng(0)
    with Writer(str(path)) as writer:
        for split, count in splits.items():
            for index in range(count):
                levels = np.repeat(np.repeat(random.integers(50, 250, (4, 5)), 5, 0), 5, 1)
                png = tf.io.encode_png(np.repeat(levels[..., None], 3, -1).astype(np.uint8)).numpy()
                millimetres = np.where(random.uniform(size=levels.shape) < 0.2, 0, 10 * levels) * (split not in missing)
                encoded = tf.io.encode_png(millimetres[..., None].astype(np.uint16)).numpy() if depth else None
                writer.add(split, Frame(f"{split}_{index}", png, encoded, (30.0, 30.0, 12.0, 9.5), label=-1))
        writer.commit({"classes": [], "instances": []})
    return str(path)


def make_run(workdir, **flags):
    """A run directory as training leaves it; its encoder is one of another seed."""
    config = RunConfig(
        "data", str(workdir), **{"image_size": 16, "width": 2, "stem": "cifar", "modality": "rgb"} | flags
    )
    open_workdir(config)
    run.untrained_encoder(dataclasses.replace(config, seed=1)).save(Path(workdir) / "encoder.keras")
    return str(workdir)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("monodepth") / "data")


@pytest.fixture(scope="module")
def compared(tiny):
    untrained = keras.models.clone_model(tiny)
    return ComparedEncoders(
        EncoderSource("file", "tiny"),
        Preprocessing("rgb", 16),
        {TRAINED: "1", UNTRAINED: "2"},
        lambda: {TRAINED: tiny, UNTRAINED: untrained},
    )


def run_task(compared, data_dir, output, change=lambda split, samples: samples):
    class Changed(Dataset):
        def samples(self, split):
            return change(split, super().samples(split))

    # no features are asked for: nothing is kept of them
    data = Data(Changed(data_dir), "train", "test", store=None)
    output.mkdir(exist_ok=True)
    return monodepth.run(compared, data, output, SETTINGS)


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="module")
def results(compared, data_dir, output):
    return run_task(compared, data_dir, output)


def kept(output):
    return dict(np.load(output / "predictions_monodepth.npz"))


def test_results_are_json_and_files_are_there(output, results):
    assert json.loads(json.dumps(results)) == results
    assert sorted(path.name for path in output.iterdir()) == sorted(results["files"])
    assert list(results["configurations"]) == ["trained encoder probe", "random probe"]
    assert results["validation_frames"] == 4 and results["train_depth"]["count"] == 8
    assert "of the lowest error on split val" in results["protocol"] and "batch 8" in results["protocol"]
    assert list(results["configurations"]["trained encoder probe"]["against"]) == ["random", "no image"]
    assert list(results["configurations"]["random probe"]["against"]) == ["no image"]


def test_the_metrics_can_be_had_from_what_is_kept(output, results):
    arrays = kept(output)
    assert arrays["depth"].shape == (12, 16, 16)
    for name, found in results["configurations"].items():
        assert metrics.pooled(arrays[name][0], arrays["depth"])["rel"] == found["pooled"]["rel"][0]
    truth, mean = arrays["depth"], results["train_depth"]["mean"]
    expected = metrics.pooled(np.full_like(truth, mean), truth)["mse"]
    assert results["baselines"]["no image: mean depth"]["pooled"]["mse"] == pytest.approx([expected])


def test_the_network_of_the_trained_encoder_is_kept(data_dir, output, results):
    assert results["networks"] == {"trained encoder probe": "depth_network_probe.keras"}
    samples = Dataset(data_dir).samples("test")
    test = frames.centre_crops(frames.prepared(samples, 16), 16)
    predicted = depth_training.predict(network.load(output / "depth_network_probe.keras"), test.rgb)
    np.testing.assert_allclose(predicted, kept(output)["trained encoder probe"][0], atol=1e-6)


def test_test_depth_reaches_nothing_but_scores(compared, data_dir, output, results, tmp_path):
    def permuted(split, samples):
        if split != "test":
            return samples
        depths = tf.data.Dataset.from_tensor_slices([sample["depth"] for sample in samples][::-1])
        return tf.data.Dataset.zip((samples, depths)).map(lambda sample, depth: sample | {"depth": depth})

    other = run_task(compared, data_dir, tmp_path, permuted)["configurations"]
    before, after = kept(output), kept(tmp_path)
    np.testing.assert_array_equal(after["depth"], before["depth"][::-1])
    for name, found in results["configurations"].items():
        np.testing.assert_array_equal(after[name], before[name])
        assert other[name]["histories"] == found["histories"] and other[name]["epochs"] == found["epochs"]
        assert other[name]["pooled"] != found["pooled"]


@pytest.mark.parametrize(
    ("split", "line"),
    [
        ("train", "nothing to learn depth from"),
        ("val", "split val of .* has no measured depth"),
        ("test", "no measured depth to judge"),
    ],
)
def test_a_split_without_measured_depth(compared, tmp_path, split, line):
    with pytest.raises(UserError, match=line):
        run_task(compared, write_dataset(tmp_path / "data", missing=(split,)), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.fixture(scope="module")
def settings(tmp_path_factory, data_dir):
    folder = tmp_path_factory.mktemp("command")
    rgbd = make_run(folder / "run", modality="rgbd", method="supervised")
    flags = {"depth_trials": 1, "depth_epochs": 2, "depth_lr": 0.01}
    common = {"task": "monodepth", "batch_size": 16, "output": str(folder / "out")}
    return {"encoder": rgbd, "dataset": Dataset(data_dir)} | common | flags


@pytest.mark.slow
def test_the_tower_of_an_rgbd_encoder_is_named_so_and_left_as_it_was(settings):
    found = evaluate(**settings)["monodepth"]
    assert list(found["configurations"]) == ["classification (RGB tower) probe", "random (RGB tower) probe"]
    assert "random" in found["configurations"]["classification (RGB tower) probe"]["against"]
    fresh = run.untrained_encoder(dataclasses.replace(run.load_config(settings["encoder"]), seed=1))
    for one, other in zip(run.load_encoder(settings["encoder"]).get_weights(), fresh.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"depth_strategy": ("probe", "scratch")}, "`depth_strategy=probe,scratch`: choose of probe, finetune, switch"),
        ({"depth_strategy": ()}, "`depth_strategy=`: choose"),
        ({"depth_decoder": "unet"}, "`depth_decoder=unet`: choose one of blocks, skip"),
        ({"depth_trials": 0}, "`depth_trials=0`: must be at least 1"),
        ({"depth_epochs": 0}, "`depth_epochs=0`: must be at least 1"),
        ({"depth_batch_size": 0}, "`depth_batch_size=0`: must be at least 1"),
        ({"depth_epochs": 1, "depth_strategy": ("switch",)}, "`depth_epochs=1`: `depth_strategy=switch` needs two"),
        ({"depth_lr": 0.0}, "`depth_lr=0.0`: must be positive"),
        ({"depth_lr": float("inf")}, "`depth_lr=inf`: must be positive and finite"),
    ],
)
def test_mistakes_in_the_flags(settings, tmp_path, change, line):
    (tmp_path / "results.json").write_text("of an earlier task")
    with pytest.raises(UserError, match=line) as error:
        evaluate(**settings | {"output": str(tmp_path)} | change)
    assert "\n" not in str(error.value)
    assert (tmp_path / "results.json").read_text() == "of an earlier task"


def test_encoders_and_data_that_do_not_go_together(settings, tmp_path):
    def refused(line, **change):
        with pytest.raises(UserError, match=line) as error:
            evaluate(**settings | {"output": str(tmp_path / "out")} | change)
        assert "\n" not in str(error.value)

    rgb = make_run(tmp_path / "rgb")
    data = Dataset(write_dataset(tmp_path / "data", depth=False))
    refused("has no depth: `task=monodepth` needs RGB-D", encoder=rgb, dataset=data)
    refused("depth would leak the answer", encoder=make_run(tmp_path / "early", modality="rgbd", fusion="early"))
    assert not (tmp_path / "out").exists()
