"""The collapse measure and the train step every method shares."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods.base import finite_norm, spread
from keras_simsiam.methods.simsiam import SimSiam
from keras_simsiam.models.encoder import build_encoder
from keras_simsiam.models.heads import predictor, projector
from keras_simsiam.optimization.optimizers import TorchSGD
from tests.methods.small import batch_of


def test_spread_of_a_constant_batch_is_zero():
    assert float(spread(tf.ones([8, 16]))) == pytest.approx(0, abs=1e-6)


def test_spread_of_the_identity_is_its_formula():
    # each column of the l2-normalised identity has one 1 among d: std √(1/d − 1/d²), times √d
    assert float(spread(tf.eye(16))) == pytest.approx(np.sqrt(1 - 1 / 16), abs=1e-5)


def test_spread_of_isotropic_outputs_is_near_one_whatever_their_scale():
    outputs = tf.random.stateless_normal([512, 64], [0, 1])
    assert float(spread(outputs)) == pytest.approx(1, abs=0.02)
    assert float(spread(100 * outputs)) == pytest.approx(float(spread(outputs)), abs=1e-5)


def _method(**kwargs):
    keras.utils.set_random_seed(0)
    encoder = build_encoder("rgb", "resnet18", 16, width=4, stem="cifar")
    method = SimSiam(encoder, projector(32, 32, 32), predictor(32, 16), **kwargs)
    method.compile(TorchSGD(0.05))
    return method


def _dataset():
    views = tuple({"rgb": tf.random.stateless_uniform([8, 16, 16, 3], [1, index])} for index in range(2))
    return tf.data.Dataset.from_tensors(batch_of(views)).repeat(6)


def test_train_step_learns_and_reports():
    history = _method().fit(_dataset(), epochs=3, verbose=0).history
    assert set(history) == {"loss", "gradient_norm", "std_projection", "std_prediction"}
    assert history["loss"][-1] < history["loss"][0] - 0.1
    assert history["std_projection"][-1] > 0.8  # of 8 samples, one opposite to all others: 2√7/8 = 0.66


@pytest.mark.parametrize("optimizer", [keras.optimizers.SGD(0.05, momentum=0.9), "adam"], ids=["object", "name"])
def test_keras_compile_and_fit_by_hand(toy, optimizer):
    method, batch = SimSiam(toy.encoder(), toy.linear(6, 4), toy.linear(4, 4)), toy.batch(batch=8)
    method.compile(optimizer)
    batches = tf.data.Dataset.from_tensors(batch).repeat()
    history = method.fit(batches, epochs=3, steps_per_epoch=20, verbose=0).history
    assert len(history["loss"]) == 3 and history["loss"][-1] < history["loss"][0] - 0.01
    assert int(method.optimizer.iterations) == 60
    assert method(batch["views"][0])["embedding"].shape == (8, 6)


def test_a_train_step_of_ones_own_prints_nothing():
    """In a process of its own: AutoGraph warns once a process of what it cannot transform."""
    code = """
from keras_simsiam.core import command  # quiets TensorFlow
import tensorflow as tf
from tests.methods import small
logs = tf.function(small.build("simsiam").train_step)(next(iter(small.batches())))
assert -1 <= float(logs["loss"]) <= 1
"""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}  # without what TensorFlow says of the machine
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=pathlib.Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout == process.stderr == ""


def test_both_views_pass_batchnorm_apart():
    """Two forwards update the moving statistics twice; one forward over both views would update them once."""
    method = _method()
    norm = next(
        layer for layer in method.encoder.get_layer("rgb_tower").get_layer("resnet18").layers if "batch" in layer.name
    )
    batch = next(iter(_dataset()))
    method.objective(batch)
    seen = norm.moving_mean.numpy()
    again = _method()
    norm = next(
        layer for layer in again.encoder.get_layer("rgb_tower").get_layer("resnet18").layers if "batch" in layer.name
    )
    for view in batch["views"]:
        again.encoder(view, training=True)
    np.testing.assert_allclose(norm.moving_mean, seen, atol=1e-6)


def _update(method, before):
    """How far a step without momentum, decay or schedule moved all parameters, over its rate: the gradient that it took."""
    moved = [(one - other) / 0.5 for one, other in zip(before, method.trained_variables, strict=True)]
    return np.sqrt(sum(float(np.sum(np.square(part))) for part in moved))


def _toy_method(toy):
    method = SimSiam(toy.encoder(), toy.linear(6, 4), toy.linear(4, 4))
    method.compile(TorchSGD(0.5, momentum=0.0))
    return method, [variable.numpy() for variable in method.trained_variables]


def test_gradient_norm_is_that_of_the_update(toy):
    method, before = _toy_method(toy)
    logs = tf.function(method.train_step)(toy.batch(batch=4))
    assert float(logs["gradient_norm"]) == pytest.approx(_update(method, before), rel=1e-4)


def test_gradient_norm_over_replicas_is_that_of_the_sum(toy, two_replicas):
    with two_replicas.scope():
        method, before = _toy_method(toy)
        method.optimizer.build(method.trained_variables)
    whole = toy.batch(batch=4)
    halves = [tf.nest.map_structure(lambda rows, half=half: rows[2 * half :][:2], whole) for half in range(2)]
    batch = two_replicas.experimental_distribute_values_from_function(
        lambda context: halves[context.replica_id_in_sync_group]
    )
    tf.function(two_replicas.run)(method.train_step, [batch])
    norm = float(method._means["gradient_norm"].result())
    assert norm == pytest.approx(_update(method, before), rel=1e-4)
    alone, before = _toy_method(toy)
    alone.train_step(whole)
    assert norm == pytest.approx(_update(alone, before), rel=1e-3)  # no BatchNorm: the halves' mean is the whole's


def test_steps_with_infinite_gradients_are_left_out_of_the_norm():
    mean = keras.metrics.Mean()
    for gradients in ([3.0, 4.0], [np.inf, 4.0], [np.nan, 4.0], [6.0, 8.0]):
        mean.update_state(*finite_norm([tf.constant([value]) for value in gradients]))
    assert float(mean.result()) == pytest.approx(7.5)
