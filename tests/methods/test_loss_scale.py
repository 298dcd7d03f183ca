"""float16 with loss scaling, on toys: a CPU computes float16 too, slowly."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods.byol import BYOL
from keras_simsiam.methods.moco import MoCoV2
from keras_simsiam.methods.simsiam import SimSiam
from keras_simsiam.models.heads import predictor, projector
from keras_simsiam.optimization.optimizers import TorchSGD
from keras_simsiam.optimization.schedules import HalfCosine
from keras_simsiam.training import checkpoints, monitors
from keras_simsiam.training.devices import precision

OVERFLOWS = 2.0**40  # a loss times this has gradients beyond float16's 65504


def _simsiam(policy="mixed_float16", rate=0.1):
    keras.utils.set_random_seed(0)
    with precision(policy):
        x = keras.Input((2, 2, 3), name="rgb")
        hidden = keras.layers.Dense(6)(keras.layers.Flatten()(x))
        embedding = keras.layers.Activation("linear", dtype="float32")(hidden)
        encoder = keras.Model({"rgb": x}, {"embedding": embedding})
        method = SimSiam(encoder, projector(6, 8, 8, layers=2), predictor(8, 4))
        still = [(method.predictor.trainable_variables, 0.0)]
        method.compile(TorchSGD(rate, weight_decay=1e-3, overrides=still))
    return method


def _scale(method, value):
    _scale_of(method).assign(value)


def _scale_of(method):
    optimizer = method.optimizer
    if not hasattr(optimizer, "_loss_scale"):  # Keras 3
        if not optimizer.built:
            optimizer.build(method.trained_variables)
        return optimizer.dynamic_scale
    return optimizer._loss_scale.current_loss_scale


def _values(variables):
    return [variable.numpy() for variable in variables]


def test_a_step_is_that_of_float32_but_for_rounding(toy):
    half, whole = _simsiam(), _simsiam("float32")
    assert half.layers[0].layers[-2].compute_dtype == "float16"
    batch = toy.batch(batch=8)
    before = _values(half.encoder.trainable_variables)
    assert float(half.train_step(batch)["loss"]) == pytest.approx(float(whole.train_step(batch)["loss"]), abs=5e-3)
    for start, one, other in zip(before, half.encoder.weights, whole.encoder.weights, strict=True):
        assert one.dtype == tf.float32
        np.testing.assert_allclose(one - start, other - start, atol=2e-3)


def test_overrides_hold_behind_the_loss_scale(toy):
    method = _simsiam()
    encoder, still = _values(method.encoder.trainable_variables), _values(method.predictor.trainable_variables)
    method.train_step(toy.batch(batch=8))
    for old, new in zip(still, method.predictor.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new)
    assert np.abs(encoder[0] - method.encoder.trainable_variables[0]).max() > 1e-4


@pytest.mark.parametrize("graph", [False, True])
def test_a_step_that_overflows_moves_no_weight_and_halves_the_scale(toy, graph):
    method = _simsiam()
    _scale(method, OVERFLOWS)
    before = _values(method.trainable_variables)
    step = tf.function(method.train_step) if graph else method.train_step
    logs = step(toy.batch(batch=8))
    for old, new in zip(before, method.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new)
    assert float(_scale_of(method)) == OVERFLOWS / 2 and int(method.optimizer.iterations) == 1
    assert np.isfinite(float(logs["loss"]))
    statistics = [variable for variable in method.weights if "moving" in variable.name]
    assert statistics and all(np.isfinite(variable).all() for variable in statistics)


@pytest.mark.parametrize("kind", ["mocov2", "byol"])
def test_copies_and_queue_stay_finite_when_a_step_overflows(toy, kind):
    with precision("mixed_float16"):
        encoder, head = (
            toy.encoder(),
            keras.Sequential([toy.linear(6, 5), keras.layers.Activation("linear", dtype="float32")]),
        )
        head.build((None, 6))
        method = (
            MoCoV2(encoder, head, queue_size=7) if kind == "mocov2" else BYOL(encoder, head, predictor(5, 4), steps=10)
        )
        method.compile(TorchSGD(0.1))
    _scale(method, OVERFLOWS)
    method.train_step(toy.batch(batch=4))
    assert float(_scale_of(method)) == OVERFLOWS / 2
    assert all(np.isfinite(variable).all() for variable in method.weights)


def test_a_checkpoint_holds_the_scale(toy, tmp_path):
    method = _simsiam()
    store = checkpoints.Store(method, 1, str(tmp_path))
    _scale(method, OVERFLOWS)
    method.train_step(toy.batch(batch=8))
    store.save()
    again = _simsiam()
    checkpoints.Store(again, 1, str(tmp_path)).restore()
    assert float(_scale_of(again)) == OVERFLOWS / 2
    for one, other in zip(method.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_log_has_the_rate_of_the_coming_step(tmp_path):
    method = _simsiam(rate=HalfCosine(0.1, epochs=4, steps_per_epoch=1))
    method.optimizer.build(method.trained_variables)
    log = monitors.Log(str(tmp_path / "metrics.jsonl"), tf.summary.create_noop_writer())
    log.set_model(method)
    log.set_params({"steps": 1})
    log.on_epoch_begin(2)
    assert log.rates == {"learning_rate": pytest.approx(0.05), "predictor_learning_rate": 0.0}
