"""Checkpoints on disk: damaged ones are passed over, those that cannot be written leave the last good one alone."""

import os
import resource
import signal

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.methods import build
from keras_simsiam.methods.base import Method
from keras_simsiam.models import resnet
from keras_simsiam.models.dropout import ResumableDropout
from keras_simsiam.optimization.optimizers import TorchSGD
from keras_simsiam.training import run
from keras_simsiam.training.checkpoints import Store
from keras_simsiam.training.config import RunConfig

DATA = ".data-00000-of-00001"


class Flat(Method):
    def loss(self, views):
        return tf.reduce_mean(self.encoder(views[0])["embedding"])


def _store(workdir):
    view = keras.Input([3])
    method = Flat(keras.Model(view, {"embedding": keras.layers.Dense(500)(view)}), ("embedding",))
    method.compile(TorchSGD(0.1))
    return Store(method, 10, str(workdir))


def _save(store, epoch, step):
    """Saves a state told by its weights."""
    store.position.epoch, store.position.step, store.position.best_knn = epoch, step, step / 10
    store.method.encoder.weights[0].assign(tf.fill([3, 500], 10.0 * epoch + step))
    store.save()


def _restored(workdir):
    store = _store(workdir)
    position = store.restore()
    values = np.unique(store.method.encoder.weights[0])
    assert len(values) == 1
    return position.epoch, position.step, position.best_knn, values[0]


@pytest.fixture
def workdir(tmp_path):
    """Checkpoints of steps 10 and 15; those of steps 3 and 6 are gone."""
    store = _store(tmp_path)
    for epoch, step in ((0, 3), (0, 6), (1, 0), (1, 5)):
        _save(store, epoch, step)
    return tmp_path


def _files(workdir):
    return sorted(os.listdir(workdir / "checkpoints"))


def test_the_newest_two_are_kept(workdir):
    assert _files(workdir) == [f"ckpt-{number}{suffix}" for number in (10, 15) for suffix in (DATA, ".index")]
    assert _restored(workdir) == (1, 5, 0.5, 15)


def test_a_worker_that_saves_elsewhere_reads_and_names_the_chiefs(workdir, tmp_path):
    before, store = _files(workdir), _store(workdir)
    store.restore()
    store.save_in(str(tmp_path / "own"))
    for step in (6, 7, 8):
        _save(store, 1, step)
    assert _files(workdir) == before and store.last_good == str(workdir / "checkpoints" / "ckpt-18")
    assert _restored(tmp_path / "own") == (1, 8, 0.8, 18) and len(_files(tmp_path / "own")) == 4


def test_nothing_there_is_the_beginning(tmp_path):
    position = _store(tmp_path).restore()
    assert (position.epoch, position.step, position.best_knn) == (0, 0, 0.0)


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("suffix", [DATA, ".index"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: os.truncate(path, 0),
        lambda path: os.truncate(path, path.stat().st_size // 2),
        lambda path: path.write_bytes(bytes(path.stat().st_size)),
        _flip,
    ],
    ids=["empty", "cut", "zeros", "bit"],
)
def test_a_damaged_one_falls_back_to_the_one_before(workdir, capsys, suffix, damage):
    folder = workdir / "checkpoints"
    damage(folder / f"ckpt-15{suffix}")
    assert _restored(workdir) == (1, 0, 0.0, 10)
    (warning,) = capsys.readouterr().err.strip().splitlines()
    assert warning.startswith(f"WARNING: unreadable: {folder}/ckpt-15 (")
    assert warning.endswith(f"going on from {folder}/ckpt-10")


def test_missing_data_falls_back_and_a_pointer_is_not_asked(workdir, capsys):
    (workdir / "checkpoints" / "checkpoint").write_bytes(b"\0garbage")
    assert _restored(workdir) == (1, 5, 0.5, 15)
    assert not capsys.readouterr().err
    (workdir / "checkpoints" / f"ckpt-15{DATA}").unlink()
    assert _restored(workdir) == (1, 0, 0.0, 10)


def test_what_a_fallback_passed_over_goes_with_the_next_save(workdir):
    os.truncate(workdir / "checkpoints" / "ckpt-15.index", 0)
    store = _store(workdir)
    store.restore()
    _save(store, 1, 3)
    assert _files(workdir) == [f"ckpt-{number}{suffix}" for number in (10, 13) for suffix in (DATA, ".index")]


def test_all_damaged_is_one_line(workdir):
    for number in (10, 15):
        os.truncate(workdir / "checkpoints" / f"ckpt-{number}.index", 0)
    with pytest.raises(
        UserError, match=r"no checkpoint is readable, .*ckpt-15 .*ckpt-10 .*delete that folder"
    ) as error:
        _store(workdir).restore()
    assert str(workdir / "checkpoints") in str(error.value) and "\n" not in str(error.value)


def test_another_programs_checkpoint_is_not_half_taken(workdir):
    """One without the position, as earlier versions wrote them."""
    store = _store(workdir)
    for number in (10, 15):
        tf.train.Checkpoint(method=store.method).write(str(workdir / "checkpoints" / f"ckpt-{number}"))
    with pytest.raises(UserError, match="no checkpoint is readable"):
        _store(workdir).restore()


def test_what_a_kill_leaves_is_no_checkpoint(workdir):
    """Killed while writing, or between moving the data and the index."""
    folder = workdir / "checkpoints"
    (folder / "partial").mkdir()
    for path in (
        folder / "partial" / "ckpt-17.index",
        folder / "partial" / f"ckpt-17{DATA}",
        folder / f"ckpt-18{DATA}",
    ):
        path.write_bytes(b"half")
    assert _restored(workdir) == (1, 5, 0.5, 15)
    store = _store(workdir)
    store.restore()
    _save(store, 1, 7)
    assert _files(workdir) == [f"ckpt-{number}{suffix}" for number in (15, 17) for suffix in (DATA, ".index")]


@pytest.fixture
def no_room():
    """No file may grow beyond 4 kB: the weights take 6. Without SIGXFSZ the writer gets an error, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)


def test_no_room_is_one_line_and_leaves_the_last_good_one(workdir, no_room):
    before, store = _files(workdir), _store(workdir)
    store.restore()
    with pytest.raises(UserError, match=r"cannot be written \(.*make room.*last good checkpoint, .*ckpt-15$") as error:
        _save(store, 1, 6)
    assert "\n" not in str(error.value)
    assert _files(workdir) == before
    assert _restored(workdir) == (1, 5, 0.5, 15)


@pytest.mark.parametrize("optimizer", ["sgd", pytest.param("lamb", marks=pytest.mark.slow)])
@pytest.mark.parametrize("method", ["simsiam", "mocov2", "swav", "byol", "dino", "simsiam_average"])
def test_all_that_a_run_holds_comes_back(method, optimizer, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "PROJECTION", 8)
    monkeypatch.setitem(resnet.BACKBONES, "resnet18", ((1, 1, 1, 1), False))
    sizes = {"modality": "rgb", "stem": "cifar", "image_size": 8, "width": 2, "batch_size": 4}
    own = {"mocov2": {"queue_size": 64}, "simsiam": {"head_dropout": 0.1}, "dino": {"projector_width": 8}}.get(
        method, {}
    )
    config = RunConfig("data", "run", method=method, optimizer=optimizer, **sizes, **own)

    def built():
        made = run.build_method(config, 2, samples=8)
        return made, Store(made, 2, str(tmp_path))

    (method, store), random = built(), np.random.default_rng(0)
    for variable in _state(method):
        variable.assign(tf.cast(random.uniform(1, 99, variable.shape), variable.dtype))
    store.save()
    again, store = built()
    store.restore()
    states = [[variable.numpy() for variable in _state(one)] for one in (method, again)]
    assert len(states[0]) > len(method.trained_variables)
    for one, other in zip(*states, strict=True):
        np.testing.assert_array_equal(one, other)


def _state(method):
    """Every variable that a step changes."""
    addon = getattr(method.optimizer, "addon", None)  # LAMB's moments on the classic stack
    generators = [layer.generator.state for layer in method.projector.layers if isinstance(layer, ResumableDropout)]
    means = [variable for metric in method.metrics for variable in metric.variables]
    moments = addon.weights if addon else []
    return [*method.variables, *method.optimizer.variables, *means, *generators, *moments]
