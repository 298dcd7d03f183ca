"""Cross-modal SimSiam against its formula in NumPy: whose colour meets whose depth, and the stopped branch."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods import build
from keras_simsiam.methods.cross_modal import CrossModal
from keras_simsiam.models import resnet
from keras_simsiam.training import run
from keras_simsiam.training.config import RunConfig
from tests.methods.small import batch_of, linear_towers


def _method(toy, projector=None, **kwargs):
    return CrossModal(linear_towers(), projector or toy.linear(3, 5), toy.linear(5, 5), **kwargs)


def _views():
    random = np.random.default_rng(0)
    return tuple(
        {name: tf.constant(random.uniform(size=(2, 2, 2, 3)), tf.float32) for name in ("rgb", "hha")} for _ in range(2)
    )


def _dense(layer, x):
    return x @ layer.kernel.numpy() + layer.bias.numpy()


def _numpy_losses(toy, method, views, normalise=lambda z: z):
    """D(p, z) of every prediction and projection: a function from ((modality, view), (modality, view))."""
    z = {
        (name, index): _dense(method.encoder.get_layer(f"{name}_tower"), view[name].numpy().reshape(2, -1))
        for index, view in enumerate(views, 1)
        for name in view
    }
    z = {key: normalise(_dense(method.projector.layers[1], value)) for key, value in z.items()}
    p = {key: _dense(method.predictor.layers[-1], value) for key, value in z.items()}
    return lambda one, other: -np.mean(np.sum(toy.normalized(p[one]) * toy.normalized(z[other]), axis=1))


def _expected(distance):
    pairs = [(("rgb", 1), ("hha", 2)), (("rgb", 2), ("hha", 1))]
    return np.mean([distance(*order) for pair in pairs for order in (pair, pair[::-1])])


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_loss_pairs_the_colour_of_a_view_with_the_depth_of_the_other(toy, stop_gradient):
    method = _method(toy, stop_gradient=stop_gradient)
    expected = _expected(_numpy_losses(toy, method, _views()))
    assert float(method.objective(batch_of(_views()))) == pytest.approx(expected, abs=1e-6)
    assert float(tf.function(method.objective)(batch_of(_views()))) == pytest.approx(expected, abs=1e-6)


def test_asymmetric_the_first_view_predicts_the_second(toy):
    method = _method(toy, symmetric=False)
    distance = _numpy_losses(toy, method, _views())
    expected = (distance(("rgb", 1), ("hha", 2)) + distance(("hha", 1), ("rgb", 2))) / 2
    assert float(method.objective(batch_of(_views()))) == pytest.approx(expected, abs=1e-6)


def test_batch_norm_sees_each_modality_and_view_alone(toy):
    x = keras.Input((3,))
    projector = keras.Model(x, keras.layers.BatchNormalization(center=False, scale=False)(keras.layers.Dense(5)(x)))
    method = _method(toy, projector)
    distance = _numpy_losses(toy, method, _views(), lambda z: (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-3))
    assert float(method.objective(batch_of(_views()))) == pytest.approx(_expected(distance), abs=1e-5)


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_gradient_through_the_projections_side_is_exactly_zero(toy, stop_gradient):
    """With a predictor that ignores its input no gradient can come by the prediction's side."""
    method = _method(toy, stop_gradient=stop_gradient)
    method.predictor.layers[-1].kernel.assign(tf.zeros([5, 5]))
    method.predictor.layers[-1].bias.assign([1.0, 2, 3, 4, 5])
    with tf.GradientTape() as tape:
        loss = method.objective(batch_of(_views()))
    weights = method.encoder.trainable_variables + method.projector.trainable_variables
    largest = [float(tf.reduce_max(tf.abs(gradient))) for gradient in tape.gradient(loss, weights)]
    assert (max(largest) == 0.0) if stop_gradient else (min(largest) > 1e-4)


def test_gradients_reach_both_towers_and_both_are_watched(toy):
    method = _method(toy)
    with tf.GradientTape() as tape:
        loss = method.objective(batch_of(_views()))
    for gradient in tape.gradient(loss, method.trainable_variables):
        assert float(tf.reduce_max(tf.abs(gradient))) > 1e-5
    spread = next(metric for metric in method.metrics if metric.name == "std_projection")
    whole = spread.result()
    method.reset_metrics()
    method.encoder.get_layer("hha_tower").kernel.assign(
        tf.zeros([12, 3])
    )  # depth collapses: its half of the mean is gone
    method.objective(batch_of(_views()))
    assert 0 < float(spread.result()) < 0.8 * float(whole)


@pytest.mark.slow
@pytest.mark.parametrize("fusion", ["two_tower", "shared"])
def test_learns_what_colour_and_depth_share(fusion, monkeypatch):
    """Four classes, each of one colour and one depth: what a sample's depth predicts is nearest its own class's colours."""
    monkeypatch.setattr(build, "PROJECTION", 64)
    monkeypatch.setitem(resnet.BACKBONES, "resnet18", ((1, 1, 1, 1), False))
    small = {"stem": "cifar", "image_size": 16, "width": 4, "batch_size": 32, "epochs": 24, "base_lr": 0.5}
    config = RunConfig("data", "run", compare="cross_modal", fusion=fusion, predictor_lr="10", **small)
    method = run.build_method(config, steps_per_epoch=1)
    assert method.projector.input_shape == (None, 32)
    random, labels = np.random.default_rng(0), np.arange(32) % 4
    tones = {"rgb": [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]], "hha": [[0, 1, 1], [1, 0, 1], [1, 1, 1], [0, 0, 0]]}
    tones = {name: np.float32(values)[labels][:, None, None] for name, values in tones.items()}
    views = tuple(
        {name: np.float32(tone + random.normal(0, 0.2, (32, 16, 16, 3))) for name, tone in tones.items()}
        for _ in range(2)
    )
    history = method.fit(tf.data.Dataset.from_tensors(batch_of(views)), epochs=24, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] - 0.3
    assert history["std_projection"][-1] > 0.5  # of 32 samples, one opposite to all others: 2√31/32 = 0.35

    rgb, hha = tf.split(method.encoder(views[0], training=True)["embedding"], 2, axis=1)
    predicted = method.predictor(method.projector(hha, training=True), training=True)
    cosines = tf.matmul(
        *(tf.math.l2_normalize(x, 1) for x in (predicted, method.projector(rgb, training=True))), transpose_b=True
    )
    assert np.mean(labels[np.argmax(cosines, axis=1)] == labels) > 0.6  # by chance a quarter
