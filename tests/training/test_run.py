"""A run on a tiny encoder: resume, what the folder holds, and the encoder it leaves."""

import dataclasses
import functools
import os
import types

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.methods import build
from keras_simsiam.models import resnet
from keras_simsiam.probes import features
from keras_simsiam.probes import whitening as scaling
from keras_simsiam.training import monitors, run, whitening
from keras_simsiam.training.config import RunConfig
from keras_simsiam.training.data import Data
from keras_simsiam.views import augmentation, cache
from keras_simsiam.views.batches import clean_batches
from tests import runs
from tfrecords import example


class StopAfter(tf.keras.callbacks.Callback):
    """Ends training after an epoch, as an interruption between two epochs does."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch + 1 == self.epochs


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Half of ResNet-18's blocks, small heads, and views of a crop: building graphs is most of these tests' time."""
    monkeypatch.setattr(augmentation, "color_transforms", lambda image, seed, **_: image)
    monkeypatch.setitem(resnet.BACKBONES, "resnet18", ((1, 1, 1, 1), False))
    monkeypatch.setattr(build, "PROJECTION", 32)


@pytest.fixture
def data(make_sample):
    return runs.of_nine_frames(make_sample)


@pytest.fixture
def config(tmp_path):
    return lambda name, **changes: RunConfig(
        **{
            "data_dir": "data",
            "workdir": str(tmp_path / name),
            "modality": "rgb",
            "image_size": 16,
            "width": 2,
            "batch_size": 4,
            "epochs": 4,
            "knn_every": 2,
            "knn_k": 2,
            **changes,
        }
    )


LARGE_BATCH = {"optimizer": "lars", "decay": "weights", "warmup_epochs": 1.5, "cosine_per": "step"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"head_batch_norm": False, "head_dropout": 0.2, "predictor_lr": "fixed"},
        {"modality": "rgbd", "hha_jitter": True, "hha_dropout": 0.3},
        {"modality": "rgbd", "compare": "cross_modal"},
        {"modality": "rgbd", "compare": "intra_modal"},
        {"modality": "rgbd", "modality_dropout": 0.5, "holes": "mask"},
        {"modality": "rgbd", "rotation_weight": 1.0},
        {"modality": "rgbd", "depth_input": "voxels", "modality_dropout": 0.5},
        {"modality": "rgbd", "method": "simclr", "compare_rgb": 1.0, "compare_hha": 1.0, "compare_joint": 0.0},
        {"method": "simclr"},
        {"method": "mocov2", "queue_size": 6},
        {"method": "byol"},
        {"method": "swav", "image_size": 20, "blur": 0.5, **LARGE_BATCH},
        {"alternation": 3, "head_dropout": 0.2},
        {"method": "simsiam_average"},
    ],
    ids=str,
)
def test_two_and_two_epochs_equal_four(config, data, changes):
    whole, halves = config("whole", **changes), config("halves", **changes)
    run.fit(whole, data)
    run.fit(halves, data, [StopAfter(2)])
    assert not os.path.exists(os.path.join(halves.workdir, "encoder.keras"))
    with pytest.raises(UserError, match="has not reached its last epoch"):
        run.load_encoder(halves.workdir)
    run.fit(halves, data)
    assert runs.logged(whole.workdir) == runs.logged(halves.workdir)
    runs.assert_same_encoders(whole.workdir, halves.workdir)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_labels_from_a_cache_train_the_same(config, data, tmp_path, kind):
    plain, cached = (config(name, method="supervised", cache=name, epochs=1) for name in ("none", kind))

    def keep(records, decode):
        limits = {"preprocessing": cached.preprocessing, "limit_gb": 1.0}
        if kind == "memory":
            return cache.in_memory(records, decode, **limits)
        return cache.on_disk(records, decode, count=9, folder=tmp_path / "cache", identity="nine", **limits)

    run.fit(plain, data)
    run.fit(cached, dataclasses.replace(data, cache=keep))
    assert runs.logged(plain.workdir) == runs.logged(cached.workdir)
    runs.assert_same_encoders(plain.workdir, cached.workdir)


@pytest.mark.slow
@pytest.mark.parametrize("compared", ["cross_modal", "intra_modal"])
def test_modalities_of_a_frame_and_the_next(config, make_sample, compared):
    settings = config(compared, modality="rgbd", positives="next_frame", compare=compared, epochs=1)
    samples = [make_sample(index) | {"instance": tf.constant(0, tf.int64)} for index in range(9)]
    stacked = {key: tf.stack([sample[key] for sample in samples]) for key in samples[0]}

    def decode(record):
        return {key: values[tf.strings.to_number(record, tf.int64)] for key, values in stacked.items()}

    records = tf.data.Dataset.from_tensor_slices([str(index) for index in range(9)])
    assert np.isfinite(run.fit(settings, Data(records, decode, 9))["loss"])
    assert run.load_encoder(settings.workdir).output["embedding"].shape == (None, 32)


@pytest.mark.slow
def test_no_monitor_changes_what_is_trained(config, data, monkeypatch):
    changes = {"head_dropout": 0.2, "knn_every": 1, "epochs": 2}
    watched, alone = config("watched", **changes), config("alone", **changes)
    run.fit(watched, data)
    monkeypatch.setattr(monitors, "run_callbacks", lambda *_, **__: [])
    run.fit(alone, data)
    assert not os.listdir(os.path.join(alone.workdir, "figures"))
    runs.assert_same_encoders(watched.workdir, alone.workdir)


def test_knn_of_another_labelled_data_set(config, data):
    """The training records have no labels; bank and queries have more classes than they could."""
    settings = config("run", epochs=1)
    other = dataclasses.replace(data, num_classes=0, bank_classes=("apple", "bowl", "cup"))
    assert 0 <= run.fit(settings, other)["knn"] <= 1
    with open(os.path.join(settings.workdir, "tensorboard", "metadata.tsv")) as file:
        assert [line.split("\t")[0] for line in file] == ["label", "apple", "bowl", "apple"]  # frames 6, 7, 8


def test_the_folder_says_what_happened(config, data):
    settings = config("run", epochs=2)
    last = run.fit(settings, data)
    assert set(last) == {
        "loss", "first_loss", "gradient_norm", "std_projection", "std_prediction", "knn", "knn_whitened", "effective_rank",
        "effective_rank_projection", "first_knn", "first_knn_whitened", "first_effective_rank",
        "first_effective_rank_projection", "learning_rate", "images_per_second", "memory_mb",
    }  # fmt: skip
    assert sorted(os.listdir(settings.workdir)) == [
        "checkpoints", "encoder.keras", "encoder.whitening.npz", "figures", "flags.txt", "metrics.jsonl", "tensorboard",
    ]  # fmt: skip
    assert os.listdir(os.path.join(settings.workdir, "figures")) == ["views.png"]
    assert len(runs.logged(settings.workdir)) == 2
    path = os.path.join(settings.workdir, "encoder.keras")
    written = os.stat(path).st_mtime_ns
    assert run.fit(settings, data) == {}  # already complete
    assert os.stat(path).st_mtime_ns == written
    os.truncate(path, 1000)
    with pytest.raises(UserError, match=r"encoder\.keras is damaged"):
        run.load_encoder(settings.workdir)


def test_the_kept_whitening_is_that_of_the_training_frames(config, data):
    settings = config("run", epochs=1)
    run.fit(settings, data)
    path = os.path.join(settings.workdir, "encoder.keras")
    batches = clean_batches(data.records.map(data.decode), settings.preprocessing, batch_size=3)
    embeddings = features.extract(run.load_encoder(settings.workdir), batches).embeddings
    kept, fitted = whitening.load(path), scaling.fit(embeddings)
    np.testing.assert_allclose(kept.mean, fitted.mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(kept(embeddings), fitted(embeddings), rtol=1e-3, atol=1e-3)

    np.savez(whitening.file_of(path), mean=kept.mean, matrix=kept.matrix, shrinkage=0.5)  # of an earlier version
    assert whitening.load(path).parts == 1 and whitening.load(path).shrinkage == (0.5,)

    os.truncate(whitening.file_of(path), 100)
    with pytest.raises(UserError, match=r"encoder\.whitening\.npz is damaged: delete it"):
        whitening.load(path)
    os.remove(whitening.file_of(path))
    assert whitening.load(path) is None


def test_the_untrained_encoder_is_where_the_run_started(config, data):
    settings = config("run", epochs=1, base_lr=0.0, weight_decay=0.0)
    run.fit(settings, data)
    trained = run.load_encoder(settings.workdir).trainable_variables
    for one, other in zip(trained, run.untrained_encoder(settings).trainable_variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_mixed_bfloat16_leaves_a_float32_encoder(config, data):
    settings = config("run", epochs=1, precision="mixed_bfloat16")
    run.fit(settings, data)
    encoder = run.load_encoder(settings.workdir)
    assert encoder.output["map"].dtype == tf.float32
    assert tf.keras.mixed_precision.global_policy().name == "float32"


def test_a_batch_larger_than_the_data_is_refused(config, data):
    with pytest.raises(UserError, match="`batch_size=64`: the training split has 9 frames, give at most that"):
        run.fit(config("run", batch_size=64), data)
    assert not os.path.exists(config("run").workdir)


@pytest.mark.parametrize("positives", ["next_frame", "recording", "viewpoint"])
def test_pairs_of_frames_without_instances_are_refused_before_anything_is_made(config, positives):
    frames = [example.encode(example.Frame(f"v_{number}", b"", None, (1, 1, 0, 0))) for number in range(4)]
    decode = functools.partial(example.decode, has_depth=False)
    with pytest.raises(UserError, match="does not say which frames show the same instance"):
        run.fit(config("run", positives=positives), Data(tf.data.Dataset.from_tensor_slices(frames), decode, 4))
    assert not os.path.exists(config("run").workdir)


@pytest.mark.parametrize("optimizer", [{}, {"optimizer": "lars", "decay": "weights"}], ids=["sgd", "lars"])
@pytest.mark.parametrize(
    ("predictor_lr", "warmup_epochs", "encoder", "predictor"),
    [
        ("cosine", 0.0, [1, 1, 0.75], [1, 1, 0.75]),
        ("10", 0.0, [1, 1, 0.75], [10, 10, 7.5]),
        ("10", 2.0, [0, 0.25, 0.5], [0, 2.5, 5]),
        ("fixed", 2.0, [0, 0.25, 0.5], [1, 1, 1]),
    ],
)
def test_predictor_rates(optimizer, predictor_lr, warmup_epochs, encoder, predictor):
    """How far a bias, which has neither L2 nor LARS's factor, moves in three steps of a run of three epochs of two steps."""
    config = RunConfig(
        "data", "run", predictor_lr=predictor_lr, warmup_epochs=warmup_epochs, epochs=3, weight_decay=0.0, **optimizer
    )
    biases = tf.Variable(0.0), tf.Variable(0.0)
    method = types.SimpleNamespace(predictor_variables=biases[1:])
    built = run._optimizer(config, method, steps_per_epoch=2)
    built.momentum = 0.0
    moves = []
    for _ in range(3):
        before = np.array([float(bias) for bias in biases])
        built.apply_gradients([(tf.constant(1.0), bias) for bias in biases])
        moves.append((before - [float(bias) for bias in biases]) / 0.0125)
    np.testing.assert_allclose(np.transpose(moves), [encoder, predictor], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("choice", ["mask", "nearest", "guided"])
def test_a_run_with_a_choice_of_holes(config, data, choice):
    """From samples with holes to an encoder that takes what the configuration's preprocessing gives."""
    chosen = config(choice, modality="rgbd", holes=choice, epochs=1, hha_dropout=0.3)
    run.fit(chosen, data)
    batches = clean_batches(data.queries, chosen.preprocessing, batch_size=3)
    view, _ = next(iter(batches))
    assert view["hha"].shape[-1] == (4 if choice == "mask" else 3)
    for encoder in (run.load_encoder(chosen.workdir), run.untrained_encoder(chosen)):
        assert np.isfinite(encoder(view)["embedding"]).all()
