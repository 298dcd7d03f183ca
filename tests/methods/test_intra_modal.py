"""SimSiam a modality: two SimSiams that do not see each other."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods import build
from keras_simsiam.methods.intra_modal import IntraModal
from keras_simsiam.methods.simsiam import SimSiam
from keras_simsiam.models import resnet
from keras_simsiam.models.heads import side_by_side
from keras_simsiam.training import run
from keras_simsiam.training.config import RunConfig
from tests.methods.small import batch_of


def _tower(name):
    x = keras.Input((2, 2, 3), name=name)
    return keras.Model({name: x}, {"embedding": keras.layers.Dense(3)(keras.layers.Flatten()(x))})


def _both(towers):
    view = {name: keras.Input((2, 2, 3), name=name) for name in towers}
    features = [towers[name]({name: view[name]})["embedding"] for name in towers]
    return keras.Model(view, {"embedding": keras.layers.Concatenate()(features)})


def _networks(toy):
    """The towers, and a projector and a predictor of each modality."""
    keras.utils.set_random_seed(0)
    names = ("rgb", "hha")
    return {name: _tower(name) for name in names}, {name: (toy.linear(3, 5), toy.linear(5, 5)) for name in names}


def _method(towers, heads, **kwargs):
    return IntraModal(_both(towers), *map(side_by_side, *heads.values()), **kwargs)


def _views():
    random = np.random.default_rng(0)
    return tuple(
        {name: tf.constant(random.uniform(size=(2, 2, 2, 3)), tf.float32) for name in ("rgb", "hha")} for _ in range(2)
    )


def _of(name, views):
    return tuple({name: view[name]} for view in views)


@pytest.mark.parametrize("symmetric", [True, False])
def test_loss_is_the_mean_of_two_formulas(toy, symmetric):
    towers, heads = _networks(toy)
    losses = []
    for name in towers:
        z = [toy.apply([towers[name], heads[name][0]], {"rgb": view[name]}) for view in _views()]
        p = [toy.apply([towers[name], *heads[name]], {"rgb": view[name]}) for view in _views()]
        ways = [-np.mean(np.sum(toy.normalized(p[i]) * toy.normalized(z[1 - i]), axis=1)) for i in (0, 1)]
        losses.append(np.mean(ways) if symmetric else ways[0])
    method = _method(towers, heads, symmetric=symmetric)
    assert float(method.objective(batch_of(_views()))) == pytest.approx(np.mean(losses), abs=1e-6)
    assert float(tf.function(method.objective)(batch_of(_views()))) == pytest.approx(np.mean(losses), abs=1e-6)


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_each_modality_has_half_the_gradient_it_would_have_alone(toy, stop_gradient):
    towers, heads = _networks(toy)
    method = _method(towers, heads, stop_gradient=stop_gradient)
    for name, tower in towers.items():
        alone = SimSiam(tower, *heads[name], stop_gradient=stop_gradient)
        with tf.GradientTape(persistent=True) as tape:
            both, one = method.objective(batch_of(_views())), alone.objective(batch_of(_of(name, _views())))
        for together, apart in zip(
            *(tape.gradient(loss, alone.trainable_variables) for loss in (both, one)), strict=True
        ):
            assert float(tf.reduce_max(tf.abs(apart))) > 1e-5
            np.testing.assert_allclose(together, apart / 2, atol=1e-7)


def test_the_spread_is_the_mean_of_both_and_falls_by_one_that_collapses(toy):
    towers, heads = _networks(toy)
    method = _method(towers, heads)
    spread = next(metric for metric in method.metrics if metric.name == "std_projection")
    expected = []
    for name, tower in towers.items():
        alone = SimSiam(tower, *heads[name])
        alone.objective(batch_of(_of(name, _views())))
        expected.append(float(next(one for one in alone.metrics if one.name == "std_projection").result()))
    method.objective(batch_of(_views()))
    assert float(spread.result()) == pytest.approx(np.mean(expected), abs=1e-6)
    for index, name in enumerate(towers):  # both on one point each: not a spread, though the points differ
        method.reset_metrics()
        towers[name].layers[-1].kernel.assign(tf.zeros([12, 3]))
        method.objective(batch_of(_views()))
        assert float(spread.result()) == pytest.approx(0.0 if index else expected[1] / 2, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("fusion", ["two_tower", "shared"])
def test_both_modalities_learn(fusion, monkeypatch):
    """Four classes; colour tells two pairs of them apart, depth the two of a pair: only both halves know the class."""
    monkeypatch.setattr(build, "PROJECTION", 64)
    monkeypatch.setitem(resnet.BACKBONES, "resnet18", ((1, 1, 1, 1), False))
    small = {"stem": "cifar", "image_size": 16, "width": 4, "batch_size": 32, "epochs": 24, "base_lr": 0.5}
    config = RunConfig("data", "run", compare="intra_modal", fusion=fusion, predictor_lr="10", **small)
    method = run.build_method(config, steps_per_epoch=1)
    assert method.projector.input_shape == (None, 64) and method.projector.output_shape == (None, 128)
    random, labels = np.random.default_rng(0), np.arange(32) % 4
    tones = {
        "rgb": np.float32([[1, 0, 0], [0, 1, 0]])[labels // 2],
        "hha": np.float32([[0, 1, 1], [1, 0, 1]])[labels % 2],
    }
    views = tuple(
        {name: np.float32(tone[:, None, None] + random.normal(0, 0.2, (32, 16, 16, 3))) for name, tone in tones.items()}
        for _ in range(2)
    )
    history = method.fit(tf.data.Dataset.from_tensors(batch_of(views)), epochs=24, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] - 0.3
    assert history["std_projection"][-1] > 0.5  # of 32 samples, one opposite to all others: 2√31/32 = 0.35
    first, second = (method.encoder(view, training=True)["embedding"] for view in views)
    cosines = tf.matmul(*(tf.math.l2_normalize(x, 1) for x in (first, second)), transpose_b=True).numpy()
    np.fill_diagonal(cosines, -1)  # its own other view
    assert np.mean(labels[np.argmax(cosines, axis=1)] == labels) > 0.7  # by one of them alone a half
