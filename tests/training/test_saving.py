"""Runs that are killed, asked to stop, or diverge; on a tiny encoder, for the graph is most of these tests' time."""

import dataclasses
import os
import signal
import time

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.methods import build
from keras_simsiam.training import run, signals, untrained
from keras_simsiam.training.checkpoints import Position
from keras_simsiam.training.config import RunConfig
from keras_simsiam.training.saving import BestEncoder
from keras_simsiam.training.signals import Stopped
from keras_simsiam.views import augmentation
from tests import runs


class Killed(Exception):
    """What a test ends a run with, as kill -9 does: nothing is saved any more."""


class At(keras.callbacks.Callback):
    """Calls a function with the model before a step, or after it, the steps counted from 1 since this life began."""

    def __init__(self, step, before=None, after=None):
        super().__init__()
        self.step, self.before, self.after = step, before, after
        self.begun = self.ended = 0

    def on_train_batch_begin(self, batch, logs=None):
        self.begun += 1
        if self.begun == self.step and self.before:
            self.before(self.model)

    def on_train_batch_end(self, batch, logs=None):
        self.ended += 1
        if self.ended == self.step and self.after:
            self.after(self.model)


def _kill(_model):
    raise Killed


def _tiny(_modality, _backbone, size, **_settings):
    view = {"rgb": keras.Input([size, size, 3], name="rgb")}
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(view["rgb"]))
    return keras.Model(view, {"embedding": keras.layers.BatchNormalization()(pooled)})


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(augmentation, "color_transforms", lambda image, seed, **_: image)
    monkeypatch.setattr(untrained, "build_encoder", _tiny)
    monkeypatch.setattr(build, "PROJECTION", 8)


@pytest.fixture
def data(make_sample):
    return runs.of_nine_frames(make_sample)


@pytest.fixture
def config(tmp_path):
    """Four steps an epoch, a checkpoint after the third."""
    sizes = {"image_size": 8, "batch_size": 2, "epochs": 3, "checkpoint_steps": 3, "knn_every": 2, "knn_k": 2}
    return lambda name, **changes: RunConfig("data", str(tmp_path / name), modality="rgb", **sizes | changes)


def _checkpoints(config):
    return sorted(name for name in os.listdir(os.path.join(config.workdir, "checkpoints")) if name.endswith(".index"))


@pytest.mark.parametrize(
    "changes",
    [{"head_batch_norm": False, "head_dropout": 0.2}, pytest.param({"method": "supervised"}, marks=pytest.mark.slow)],
    ids=str,
)
def test_stopped_anywhere_it_ends_as_if_it_had_not_been(config, data, changes):
    whole, broken = config("whole", **changes), config("broken", **changes)
    run.fit(whole, data)
    with pytest.raises(Killed):
        run.fit(broken, data, [At(3, after=_kill)])
    assert _checkpoints(broken) == ["ckpt-3.index"]
    with pytest.raises(Killed):
        run.fit(broken, data, [At(3, before=_kill)])  # goes on with the fourth step, ends in the second epoch
    assert _checkpoints(broken) == ["ckpt-3.index", "ckpt-4.index"]
    with pytest.raises(Stopped) as stopped:
        run.fit(broken, data, [At(2, before=lambda _model: os.kill(os.getpid(), signal.SIGTERM))])
    assert stopped.value.status == 143 and str(stopped.value).endswith("checkpoints/ckpt-6")
    with pytest.raises(Stopped) as stopped:
        run.fit(broken, data, [At(2, before=lambda _model: os.kill(os.getpid(), signal.SIGINT))])
    assert stopped.value.status == 130 and str(stopped.value).endswith("checkpoints/ckpt-8")  # the end of the epoch
    run.fit(broken, data)
    assert len(runs.logged(whole.workdir)) == 3 and runs.logged(whole.workdir) == runs.logged(broken.workdir)
    runs.assert_same_encoders(whole.workdir, broken.workdir)


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with signals.noted() as received:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        while not received:
            time.sleep(0.01)
    assert received == [signal.SIGTERM] and signal.signal(signal.SIGINT, before) == signal.SIG_IGN


def test_a_second_signal_is_not_waited_on(config, data):
    def interrupt_twice(_model):
        noting = signal.getsignal(signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        while signal.getsignal(signal.SIGINT) is noting:  # another thread may get it: two at once would count as one
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        run.fit(config("run"), data, [At(2, before=interrupt_twice)])
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def _spoil_weights(model):
    model.encoder.trainable_variables[0].assign_add(tf.fill(model.encoder.trainable_variables[0].shape, np.inf))


def _spoil_projector(model):
    model.projector.trainable_variables[0].assign_add(tf.fill(model.projector.trainable_variables[0].shape, np.inf))


def _spoil_velocities(model):
    model.optimizer.velocities[0].assign_add(tf.fill(model.optimizer.velocities[0].shape, np.nan))


def test_a_loss_that_is_not_finite_ends_the_run_at_that_step(config, data):
    settings = config("run")
    with pytest.raises(
        UserError, match=r"the loss is (nan|inf) after step 6 \(epoch 2\); .*checkpoints/ckpt-4\. Likely"
    ):
        run.fit(settings, data, [At(6, before=_spoil_weights)])
    assert _checkpoints(settings) == ["ckpt-3.index", "ckpt-4.index"]


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        pytest.param(_spoil_weights, "the loss is (nan|inf)", marks=pytest.mark.slow),
        pytest.param(_spoil_projector, "the loss is (nan|inf)", marks=pytest.mark.slow),
        (_spoil_velocities, "a weight is not finite"),
    ],
)
def test_so_does_one_of_an_epochs_last_step_before_knn_is_measured(config, data, spoil, what):
    with pytest.raises(UserError, match=rf"{what} after step 8 \(epoch 2\); .*checkpoints/ckpt-7\. Likely"):
        run.fit(config("run"), data, [At(8, before=spoil)])


def test_weights_that_are_not_finite_are_never_saved(config, data):
    """The loss of the step that spoils them is finite still: it was computed before."""
    settings = config("run")
    with pytest.raises(
        UserError, match=r"a weight is not finite after step 3 \(epoch 1\); last good checkpoint: none yet"
    ):
        run.fit(settings, data, [At(3, before=_spoil_velocities)])
    assert not os.path.exists(os.path.join(settings.workdir, "checkpoints"))


@pytest.mark.parametrize("choose_best", [False, True])
def test_the_best_encoder_is_chosen_by_validation_labels_alone(config, data, choose_best):
    settings = config("run", epochs=2)
    run.fit(settings, dataclasses.replace(data, choose_best=choose_best))
    path = os.path.join(settings.workdir, "encoder_best.keras")
    assert os.path.exists(path) == choose_best
    if choose_best:  # measured in the last epoch alone, whose encoder it is
        runs.assert_same_encoders(path, settings.workdir)
    else:
        with pytest.raises(UserError, match="is kept where the data set has a validation split"):
            run.load_encoder(path)


def test_an_encoder_is_a_folder_or_a_file_in_it():
    assert run.encoder_file("runs/a") == ("runs/a", "runs/a/encoder.keras")
    assert run.encoder_file("runs/a/encoder_best.keras") == ("runs/a", "runs/a/encoder_best.keras")
    assert run.encoder_file("encoder_best.keras") == (".", "encoder_best.keras")


def test_the_best_is_the_first_of_those_as_good():
    saved, position = [], Position()
    best = BestEncoder(position, saved.append)
    for epoch, knn in enumerate([0.0, 0.5, None, 0.7, 0.7, 0.6]):
        best.set_model(type("Model", (), {"encoder": epoch}))
        best.on_epoch_end(epoch, {} if knn is None else {"knn_whitened": knn})
    assert saved == [1, 3] and position.best_knn_whitened == 0.7
    resumed = Position()
    resumed.deserialize(position.serialize())
    assert resumed.best_knn_whitened == 0.7
