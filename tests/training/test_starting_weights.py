"""Runs that start from other weights than drawn ones: what they may start from, what they say, and what they need to go on."""

import dataclasses
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core import files, keras_compat
from keras_simsiam.core.errors import UserError
from keras_simsiam.methods import build
from keras_simsiam.models import imagenet, resnet
from keras_simsiam.training import config as configuration
from keras_simsiam.training import run, starting_weights
from keras_simsiam.training.config import RunConfig, open_workdir
from keras_simsiam.views import augmentation
from tests import runs
from tests.golden.encoders import view
from tests.models import imagenet_file

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


class StopAfter(keras.callbacks.Callback):
    """Ends training after an epoch, as an interruption between two epochs does."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


@pytest.fixture
def small(monkeypatch):
    """Building graphs is most of these tests' time."""
    monkeypatch.setattr(augmentation, "color_transforms", lambda image, seed, **_: image)
    monkeypatch.setitem(resnet.BACKBONES, "resnet18", ((1, 1, 1, 1), False))
    monkeypatch.setattr(build, "PROJECTION", 32)


def config(workdir, **changes):
    given = {"modality": "rgb", "image_size": 16, "width": 2, "batch_size": 4, "epochs": 2, "knn_k": 2, **changes}
    return RunConfig("data", str(workdir), **given)


def source(folder, **changes):
    """A run directory as training leaves it, with the weights of another seed."""
    made = config(folder, seed=1, **changes)
    open_workdir(made)
    run.untrained_encoder(made).save(folder / "encoder.keras")
    return str(folder)


def assert_same(weights, others):
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_a_run_starts_there_says_so_and_goes_on_without_it(small, tmp_path, make_sample, capfd):
    init = source(tmp_path / "source")
    started = config(tmp_path / "run", init=init, base_lr=0.0, weight_decay=0.0)
    expected = run.load_encoder(init).trainable_variables
    data = runs.of_nine_frames(make_sample)
    run.fit(started, data, [StopAfter()])
    said, sha256 = capfd.readouterr().err, files.sha256(f"{init}/encoder.keras")
    assert f"starting weights: {init} ({init}/encoder.keras, sha256 {sha256[:12]}…)" in said
    assert "  rgb_tower: all 24 layers of its rgb_tower\n  heads: fresh\n" in said
    assert configuration.load_config(started.workdir).init_sha256 == sha256
    shutil.rmtree(init)
    run.fit(started, data)
    assert "starting weights" not in capfd.readouterr().err
    assert_same(run.load_encoder(started.workdir).trainable_variables, expected)
    with pytest.raises(UserError, match=r"`init=.*source` there,  now"):
        run.fit(dataclasses.replace(started, init=""), data)


def test_heads_are_drawn_as_without(small, tmp_path):
    drawn = run.build_method(config(tmp_path / "run"), 2)
    weights = [weight + 1 for weight in drawn.encoder.get_weights()]
    method = run.build_method(config(tmp_path / "run"), 2, starting=weights)
    assert_same(method.encoder.get_weights(), weights)
    for head in ("projector", "predictor"):
        assert_same(getattr(method, head).get_weights(), getattr(drawn, head).get_weights())


def test_a_moving_copy_and_all_replicas_start_alike(small, tmp_path):
    chosen = config(tmp_path / "run", method="byol")
    weights = [weight + 1 for weight in run.untrained_encoder(chosen).get_weights()]
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        method = run.build_method(chosen, 2, starting=weights)
    for replica in range(2):
        variables = map(keras_compat.tf_variable, method.encoder.weights)
        assert_same([strategy.experimental_local_results(each)[replica] for each in variables], weights)
    assert_same(method.target_encoder.get_weights(), weights)


def test_a_fresh_tower_is_drawn_as_in_the_run(small, tmp_path):
    chosen = config(tmp_path / "run", modality="rgbd", init=source(tmp_path / "source"), init_towers="rgb")
    encoder, lines = starting_weights.starting_encoder(chosen)
    drawn = run.untrained_encoder(chosen)
    assert_same(encoder.get_layer("hha_tower").get_weights(), drawn.get_layer("hha_tower").get_weights())
    assert_same(encoder.get_layer("rgb_tower").get_weights(), run.load_encoder(chosen.init).get_weights())
    assert "hha_tower: fresh" in lines


@pytest.mark.parametrize("saved", ["keras2", "keras3"])
def test_an_encoder_of_either_stack(saved, tmp_path):
    there = configuration.load_config(str(GOLDEN / saved))
    for init in (GOLDEN / saved, GOLDEN / saved / "encoder.keras"):
        encoder, _ = starting_weights.starting_encoder(dataclasses.replace(there, init=str(init), seed=3))
        expected = np.load(GOLDEN / "embedding.npy")
        np.testing.assert_allclose(encoder(view())["embedding"], expected, atol=1e-5 * np.abs(expected).max(), rtol=0)


def test_a_checkpoint_of_pytorch():
    with np.load(GOLDEN / "torch_resnets.npz") as recorded:
        images, expected = np.float32(recorded["images"]) / 255, recorded["cifar_embedding"]
    init = str(GOLDEN / "torch_cifar.safetensors")
    chosen = config("run", image_size=40, stem="cifar", init=init)
    encoder, lines = starting_weights.starting_encoder(chosen)
    np.testing.assert_allclose(encoder({"rgb": images})["embedding"], expected, rtol=1e-5, atol=1e-4)
    assert "not taken: its fc" in lines


def test_a_checkpoint_of_another_network_is_refused():
    chosen = config("run", stem="cifar", init=str(GOLDEN / "torch_simsiam.pth"))
    with pytest.raises(
        UserError, match=r"^`init=.*torch_simsiam\.pth` has backbone resnet50, this run `backbone=resnet18`"
    ):
        starting_weights.starting_encoder(chosen)


def test_what_cannot_be_read_is_refused_before_a_folder_is_made(small, tmp_path, make_sample, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    open_workdir(config(tmp_path / "unfinished"))
    (tmp_path / "broken.pth").write_bytes(b"x" * 100)
    (tmp_path / "broken.keras").write_bytes(b"x" * 100)
    (tmp_path / "empty").mkdir()
    keras.Sequential([keras.layers.Dense(2, input_shape=(3,))]).save(tmp_path / "dense.keras")
    masked = source(tmp_path / "masked", modality="hha", holes="mask")
    wide = source(tmp_path / "wide", width=3)
    data = runs.of_nine_frames(make_sample)
    for init, line in (
        ("missing.pth", r"missing\.pth`: not there; give a run directory, a \.keras file"),
        ("empty", r"empty`: not a run directory, flags\.txt is missing; give a run directory"),
        ("unfinished", r"unfinished`: its training has not reached the last epoch"),
        ("broken.pth", r"broken\.pth`: damaged, or no checkpoint of PyTorch"),
        ("broken.keras", r"broken\.keras`: .* is damaged"),
        ("dense.keras", r"dense\.keras`: holds no encoder of this package"),
        (masked, "the first kernel of its hha_tower takes 4 channels, this run's rgb_tower 3"),
        (wide, "has width 3, this run `width=2`"),
        ("imagenet", r"`init=imagenet`: .*notop\.h5 is not there"),
    ):
        given = init if init == "imagenet" else str(tmp_path / init)
        with pytest.raises(UserError, match=line) as refused:
            run.fit(config(tmp_path / "run", init=given), data)
        assert refused.value.args[0].startswith(f"`init={given}`") and "\n" not in str(refused.value)
        assert not (tmp_path / "run").exists()


def test_another_file_than_the_run_wrote_down_is_refused(small, tmp_path):
    init = source(tmp_path / "source")
    _, sha256 = starting_weights.check_source(config("run", init=init))
    copied = config("run", init=init, init_sha256=sha256)
    assert starting_weights.check_source(copied) == (f"{init}/encoder.keras", sha256)
    run.untrained_encoder(config("run", seed=2)).save(f"{init}/encoder.keras")
    with pytest.raises(UserError, match=rf"^`init={init}` has changed: `init_sha256={sha256[:12]}…`"):
        starting_weights.check_source(copied)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"init_towers": "rgb"}, "`init_towers=rgb` has no meaning without `init`"),
        ({"init_sha256": "00"}, "`init_sha256=00` has no meaning without `init`"),
        ({"init": "a", "init_towers": "hha"}, "`init_towers=hha`: the encoder of `modality=rgb`"),
        ({"init": "a", "init_towers": "hha", "modality": "rgbd", "fusion": "early"}, "`fusion=early` is one network"),
    ],
)
def test_flags_that_do_not_go_together(changes, line):
    with pytest.raises(UserError, match=line):
        config("run", **changes)


@pytest.mark.slow
def test_imagenet_in_this_packages_resnet50(tmp_path, monkeypatch):
    """The same `c2`, but for rounding and, where the normalisation is this package's, for padding at the border."""
    monkeypatch.setenv("HOME", str(tmp_path))
    network = imagenet_file.write(tmp_path)
    image = np.float32(np.random.default_rng(0).uniform(0, 255, (1, 128, 128, 3)))
    stage = keras.Model(network.input, network.get_layer("conv2_block3_out").output)
    expected = stage(keras.applications.resnet.preprocess_input(image.copy())).numpy()
    scale = np.abs(expected).max()
    exact = imagenet.resnet50(imagenet.weights_file("init"), 128)
    np.testing.assert_allclose(exact({"rgb": image / 255})["c2"], expected, atol=1e-4 * scale)
    chosen = config("run", backbone="resnet50", width=64, image_size=128, init="imagenet")
    encoder, lines = starting_weights.starting_encoder(chosen)
    assert lines[1] == "rgb_tower: all 106 layers of its rgb_tower"
    found = encoder({"rgb": image / 255})["c2"]
    np.testing.assert_allclose(found[:, 8:-8, 8:-8], expected[:, 8:-8, 8:-8], atol=1e-3 * scale)
    network = encoder.get_layer("rgb_tower").get_layer("resnet50")
    last = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)][-1]
    assert last.kernel.shape[-1] == 2048
