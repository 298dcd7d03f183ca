"""DINO's loss against its formula in NumPy, the stopped teacher, its centre and temperature, and the frozen last layer."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods.byol import ramp
from keras_simsiam.methods.dino import DINO, distillation
from keras_simsiam.models.dropout import ResumableDropout


def _method(toy, **kwargs):
    return DINO(toy.encoder(), toy.linear(6, 5), **({"steps": 10, "prototypes": 4} | kwargs))


def _softmax(x):
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)


def _numpy_distillation(targets, logits):
    """As the paper's Eq. 3 is written: each view of the teacher with each other view of the student."""
    pairs = [(i, v) for i in range(len(targets)) for v in range(len(logits)) if i != v]
    return np.mean([-np.sum(targets[i] * np.log(_softmax(logits[v])), axis=1).mean() for i, v in pairs])


@pytest.mark.parametrize("views", [2, 5])
def test_loss_is_the_papers_formula(views):
    random = np.random.default_rng(0)
    targets, logits = _softmax(random.normal(size=(2, 3, 6))), 10 * random.uniform(-1, 1, (views, 3, 6))
    loss = distillation(tf.constant(targets, tf.float32), tf.constant(logits, tf.float32))
    assert float(loss) == pytest.approx(_numpy_distillation(targets, logits), rel=1e-5)


def _scores(toy, encoder, projector, prototypes, views):
    columns = toy.normalized(np.float64(prototypes.numpy()), axis=0)
    return np.stack([toy.normalized(toy.apply([encoder, projector], view)) @ columns for view in views])


@pytest.mark.parametrize("small", [0, 3])
def test_the_teacher_sees_the_large_views_and_the_student_all(toy, small):
    method = _method(toy)
    method.teacher_prototypes.assign_add(tf.random.normal([5, 4]))
    method.centre.assign([0.1, 0.2, 0.0, -0.3])
    views = (*toy.views(batch=3), *toy.views(1, batch=3), *toy.views(2, batch=3))[: 2 + small]
    copies = method.teacher_encoder, method.teacher_projector, method.teacher_prototypes
    teacher = _scores(toy, *copies, views[:2])
    student = _scores(toy, method.encoder, method.projector, method.prototypes, views)
    expected = _numpy_distillation(_softmax((teacher - method.centre.numpy()) / 0.07), student / 0.1)
    assert float(method.objective({"views": views})) == pytest.approx(expected, rel=1e-4)
    moved = 0.9 * np.float32([0.1, 0.2, 0.0, -0.3]) + 0.1 * teacher.mean(axis=(0, 1))
    np.testing.assert_allclose(method.centre, moved, atol=1e-5)


def test_no_gradient_reaches_the_teacher(toy):
    method = _method(toy)
    with tf.GradientTape() as tape:
        loss = method.objective(toy.batch())
    copies = [variable for copy in method.copies for variable in copy.trainable_variables]
    copies.append(method.teacher_prototypes)
    gradients = tape.gradient(loss, copies + method.trained_variables)
    assert gradients[: len(copies)] == [None] * len(copies)
    assert all(gradient is not None for gradient in gradients[len(copies) :])


def test_a_step_moves_the_teacher_and_its_last_layer(toy):
    method = _method(toy, momentum=0.5)
    method.compile(keras.optimizers.SGD(0.5))
    before = [*method.teacher_encoder.get_weights(), method.teacher_prototypes.numpy()]
    method.train_step(toy.batch())
    momentum = float(ramp(0.5, 1, 10))
    online = [*method.encoder.get_weights(), method.prototypes.numpy()]
    after = [*method.teacher_encoder.get_weights(), method.teacher_prototypes.numpy()]
    for old, new, moved in zip(before, online, after, strict=True):
        np.testing.assert_allclose(moved, momentum * old + (1 - momentum) * new, atol=1e-6)


def test_the_teachers_temperature_rises_with_the_steps(toy):
    method = _method(toy, warmup_steps=2)
    method.compile(keras.optimizers.SGD(0.0))
    seen = []
    for _ in range(4):
        seen.append(float(method._teacher_temperature()))
        method.train_step(toy.batch())
    assert seen == pytest.approx([0.04, 0.055, 0.07, 0.07])


@pytest.mark.parametrize(("frozen", "moves"), [(0, True), (1, False)])
def test_the_last_layer_can_stand_still_at_first(toy, frozen, moves):
    method = _method(toy, frozen_steps=frozen)
    method.compile(keras.optimizers.SGD(0.5))
    before = method.prototypes.numpy()
    method.train_step(toy.batch())
    assert np.allclose(before, method.prototypes) != moves
    method.train_step(toy.batch())
    assert not np.allclose(before, method.prototypes)


def test_the_teacher_has_no_dropout():
    x = keras.Input((2, 2, 3), name="rgb")
    inner = keras.Model(x, ResumableDropout(0.5)(keras.layers.Flatten()(x)))
    encoder = keras.Model({"rgb": x}, {"embedding": inner(x)})
    y = keras.Input((12,))
    method = DINO(encoder, keras.Model(y, keras.layers.Dense(5)(y)), steps=10, prototypes=4)
    view = {"rgb": tf.ones([4, 2, 2, 3])}
    assert float(tf.reduce_min(method.encoder(view, training=True)["embedding"])) == 0
    assert float(tf.reduce_min(method.teacher_encoder(view, training=True)["embedding"])) == 1
