"""Each method as the train command makes it: it learns, keeps its outputs apart, and goes through a run of its own."""

import types

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.methods import build
from keras_simsiam.models import resnet
from keras_simsiam.training import monitors, run
from keras_simsiam.training.config import RunConfig
from keras_simsiam.training.data import Data
from tests.methods.small import batch_of


def _config(**changes):
    small = {"modality": "rgb", "stem": "cifar", "image_size": 16, "width": 4, "batch_size": 16, "epochs": 8}
    return RunConfig("data", "run", **(small | {"base_lr": 0.5, "queue_size": 65536} | changes))


def _narrow(method, width):
    """Heads small enough for a test, of methods that take no size from `build.PROJECTION`."""
    if method not in ("dino", "mocov3", "barlow", "vicreg"):
        return {}
    return {"projector_width": width} | ({"prototypes": width} if method == "dino" else {})


def _batches():
    """Four colours, seen twice with noise."""
    random = np.random.default_rng(0)
    labels = np.arange(32) % 4
    colours = np.float32([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])[labels][:, None, None] * np.ones([16, 16, 1])
    views = tuple({"rgb": np.clip(colours + random.normal(0, 0.2, colours.shape), 0, 1)} for _ in range(2))
    return tf.data.Dataset.from_tensor_slices(batch_of(views, label=labels)).batch(16)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [*({"method": name} for name in build.METHODS), {"alternation": 3}], ids=str)
def test_learns_and_does_not_collapse(changes, monkeypatch):
    monkeypatch.setattr(build, "PROJECTION", 64)
    config = _config(**_narrow(changes.get("method"), 64), **changes)
    built = run.build_method(config, steps_per_epoch=2, num_classes=4, samples=32)
    history = built.fit(_batches(), epochs=8, verbose=0).history
    spread = next(values for name, values in history.items() if name.startswith("std_"))
    assert history["loss"][-1] < history["loss"][0] - 0.02
    # a projector that ends in BatchNorm collapses to one sample opposite to the 15 others, a spread of 2√15/16 = 0.48;
    # MoCo's, which does not, may lie close together
    assert spread[-1] > (2 * monitors.COLLAPSED if config.method == "mocov2" else 0.55)


@pytest.mark.parametrize("method", build.METHODS)
def test_same_seed_same_weights(method, monkeypatch):
    monkeypatch.setattr(build, "PROJECTION", 8)
    monkeypatch.setitem(resnet.BACKBONES, "resnet18", ((1, 1, 1, 1), False))
    one, other = (
        run.build_method(_config(method=method, **_narrow(method, 8)), 2, num_classes=4, samples=32).get_weights()
        for _ in range(2)
    )
    assert all((a == b).all() for a, b in zip(one, other, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("fusion", ["early", "shared"])
@pytest.mark.parametrize("method", build.METHODS)
def test_a_step_on_each_fusion_moves_every_weight(method, fusion, monkeypatch):
    monkeypatch.setattr(build, "PROJECTION", 8)
    monkeypatch.setitem(resnet.BACKBONES, "resnet18", ((1, 1, 1, 1), False))
    small = {"modality": "rgbd", "fusion": fusion, "width": 2, "batch_size": 4}
    config = _config(method=method, **small, **_narrow(method, 8))
    built = run.build_method(config, 2, num_classes=4, samples=4)
    before = built.encoder.get_weights()
    views = tuple(
        {name: tf.random.stateless_uniform([4, 16, 16, 3], [view, len(name) + ord(name[0])]) for name in ("rgb", "hha")}
        for view in range(2)
    )
    built.train_step(batch_of(views, label=range(4)))
    assert all((old != new).any() for old, new in zip(before, built.encoder.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "simlr"}, "`method=simlr`: choose one of simsiam, "),
        ({"method": "supervised", "projector_width": 64}, "`projector_width` has no meaning for `method=supervised`"),
        ({"method": "byol", "prototypes": 64}, "`prototypes` has no meaning for `method=byol`"),
        ({"method": "vicreg", "temperature": 0.5}, "`temperature` has no meaning for `method=vicreg`"),
        ({"method": "swav", "teacher_momentum": 0.9}, "`teacher_momentum` has no meaning for `method=swav`"),
        ({"method": "byol", "teacher_momentum": 1.0}, "`teacher_momentum=1.0`: must be at least 0 and below 1"),
        ({"method": "simclr", "predictor_lr": "10"}, "`predictor_lr` has no meaning for `method=simclr`"),
        ({"method": "byol", "stop_gradient": False}, "`stop_gradient` has no meaning for `method=byol`"),
        ({"method": "mocov2", "queue_size": 8}, "`queue_size=8`: must hold a batch, 16 keys"),
        ({"alternation": 0}, "`alternation=0`: must be at least 1"),
        ({"alternation": 10, "stop_gradient": False}, "`alternation=10`: what a block of steps predicts is fixed"),
        ({"method": "simsiam_average", "alternation": 10}, "`alternation` has no meaning for `method=simsiam_average`"),
        ({"method": "simsiam_average", "predictor_lr": "fixed"}, "`predictor_lr` has no meaning for"),
        ({"method": "simsiam_average", "symmetric": False}, "`symmetric` has no meaning for"),
        ({"method": "simsiam_average", "on_corrupt": "skip"}, "`on_corrupt=skip` changes the places"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        _config(**changes)


def test_supervision_needs_labels(tmp_path):
    config = RunConfig("data", str(tmp_path / "run"), modality="rgb", method="supervised", batch_size=1)
    data = Data(tf.data.Dataset.range(4), lambda record: record, 4)
    with pytest.raises(UserError, match="no labels"):
        run.fit(config, data)
    assert not (tmp_path / "run").exists()
    keras.backend.clear_session()


def test_averages_of_too_many_samples_are_refused(tmp_path):
    config = RunConfig("data", str(tmp_path / "run"), modality="rgb", method="simsiam_average", cache_gb=1.0)
    data = Data(tf.data.Dataset.range(4), lambda record: record, 200_000)
    with pytest.raises(UserError, match=r"^`cache_gb=1`: .* 2048 numbers for each of 200000 frames, need 1\.64 GB"):
        run.fit(config, data)
    assert not (tmp_path / "run").exists()


def test_the_heads_follow_their_flags(monkeypatch):
    """The variant without a predictor has SimSiam's projector."""
    monkeypatch.setattr(build, "PROJECTION", 8)
    changes = {"projector_layers": 2, "head_batch_norm": False, "head_dropout": 0.2}
    one, other = (run.build_method(_config(method=name, **changes), 2) for name in ("simsiam", "simsiam_average"))
    layers = [[type(layer) for layer in method.projector.layers] for method in (one, other)]
    assert layers[0] == layers[1] and len(one.projector.trainable_variables) == 4
    assert not hasattr(other, "predictor")


def _on_pixels(config):
    """The method of a configuration, two steps an epoch, on an encoder that is quick to build."""
    view = keras.Input((4, 4, 3), name="rgb")
    encoder = keras.Model({"rgb": view}, {"embedding": keras.layers.Flatten()(view)})
    return build.build(config, encoder, sizes=build.Sizes(2 * config.epochs, 4, 0), synchronized=False)


def _sizes(head):
    """Units of a head's dense layers."""
    return [layer.units for layer in head.layers if isinstance(layer, keras.layers.Dense)]


def _batch_norms(head):
    return sum(isinstance(layer, keras.layers.BatchNormalization) for layer in head.layers)


@pytest.mark.parametrize(
    ("method", "projector", "predictor"),
    [
        ("simsiam", [40, 40, 40], [10, 40]),
        ("simsiam_average", [40, 40, 40], None),
        ("simclr", [40, 40], None),
        ("mocov2", [40, 40], None),
        ("mocov3", [40, 40], [40, 40]),
        ("byol", [40, 40], [40, 40]),
        ("swav", [40, 40], None),
        ("dino", [40, 40, 40], None),
        ("barlow", [40, 40, 40], None),
        ("vicreg", [40, 40, 40], None),
    ],
)
def test_the_width_of_the_heads_is_a_setting(method, projector, predictor):
    prototypes = {"prototypes": 8} if method in ("swav", "dino") else {}
    built = _on_pixels(_config(method=method, projector_width=40, **prototypes))
    assert _sizes(built.projector) == projector
    assert predictor is None or _sizes(built.predictor) == predictor
    assert not prototypes or built.prototypes.shape[1] == 8


@pytest.mark.parametrize("method", ["simclr", "mocov2", "mocov3", "swav", "dino"])
def test_the_temperature_is_a_setting(method):
    assert _on_pixels(_config(method=method, projector_width=8, temperature=0.7)).temperature == 0.7


@pytest.mark.parametrize(
    ("method", "published"), [("byol", 0.996), ("mocov2", 0.999), ("mocov3", 0.99), ("dino", 0.996)]
)
def test_the_momentum_of_the_copy_is_a_setting(method, published):
    short = {"queue_size": 16} if method == "mocov2" else {}
    for given, momentum in ((0.0, published), (0.9, 0.9)):
        built = _on_pixels(_config(method=method, projector_width=8, teacher_momentum=given, **short))
        assert (built.momentum if method == "mocov2" else built.base_momentum) == momentum


@pytest.mark.parametrize(("epochs", "warmup"), [(10, 6), (300, 60)])
def test_the_teachers_temperature_rises_over_thirty_epochs_or_a_share_of_a_short_run(epochs, warmup):
    method = _on_pixels(_config(method="dino", epochs=epochs, projector_width=8, prototypes=8))
    assert (method.warmup_steps, method.frozen_steps) == (warmup, 2)


@pytest.mark.parametrize(
    ("backbone", "layers", "temperature", "in_predictor", "in_dino"),
    [("resnet18", 2, 1.0, 1, 2), ("vit_s", 3, 0.2, 2, 0)],
)
def test_a_transformer_has_the_heads_that_its_papers_give_it(backbone, layers, temperature, in_predictor, in_dino):
    small = {"backbone": backbone, "projector_width": 8, "prototypes": 8}
    contrast, dino = (
        _on_pixels(types.SimpleNamespace(**vars(_config(method=name)) | small)) for name in ("mocov3", "dino")
    )
    assert len(_sizes(contrast.projector)) == layers and contrast.temperature == temperature
    assert (_batch_norms(contrast.predictor), _batch_norms(dino.projector)) == (in_predictor, in_dino)
    assert not any(getattr(layer, "use_bias", False) for layer in contrast.predictor.layers)
