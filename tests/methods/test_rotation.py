"""Relative rotation: what is turned, what is asked, and that a method learns it next to its loss."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods.rotation import RelativeRotation, quarter_turns
from keras_simsiam.methods.simclr import SimCLR
from keras_simsiam.models.heads import projector, rotation_head
from keras_simsiam.optimization.optimizers import TorchSGD
from tests.methods import small


def _view(samples, random, noise=0.1, side=6):
    """Colour and depth that are bright at the top."""
    ramp = np.linspace(1, 0, side)[None, :, None, None] + noise * random.uniform(size=(2, samples, side, side, 3))
    return dict(zip(("rgb", "hha"), tf.constant(ramp, tf.float32), strict=True))


def _encoder(side=6):
    view = {name: keras.Input((side, side, 3), name=name) for name in ("rgb", "hha")}
    maps = [keras.layers.Conv2D(4, 3, 2, padding="same")(images) for images in view.values()]
    joined = keras.layers.Concatenate()(maps)
    embedding = keras.layers.GlobalAveragePooling2D(dtype="float32")(joined)
    return keras.Model(view, {"embedding": embedding, "map": joined})


def _method(rate=0.1):
    keras.utils.set_random_seed(0)
    encoder = _encoder()
    method = SimCLR(encoder, projector(8, 12, 10, layers=2, synchronized=True))
    head = rotation_head(encoder.output["map"].shape[1:], width=16, dropout=0, synchronized=True)
    method.second_task = RelativeRotation(head, weight=1.0, seed=3)
    method.compile(TorchSGD(rate, momentum=0.9))
    method.optimizer.build(method.trained_variables)
    return method


def _batches(steps, samples=16, noise=0.1):
    random = np.random.default_rng(0)
    for _ in range(steps):
        yield small.batch_of([_view(samples, random, noise) for _ in range(2)])


def test_quarter_turns_are_numpys():
    images = np.random.default_rng(0).uniform(size=(5, 4, 4, 3)).astype(np.float32)
    turned = quarter_turns(tf.constant(images), tf.constant([0, 1, 2, 3, 1]))
    for image, found, k in zip(images, turned.numpy(), [0, 1, 2, 3, 1], strict=True):
        np.testing.assert_array_equal(found, np.rot90(image, k))


class _Recorder(keras.Model):
    """An encoder that keeps the view that it is given."""

    def call(self, view, training=False):
        self.seen = view
        return {"map": tf.zeros([len(view["rgb"]), 1, 1, 2])}


def test_the_loss_is_the_cross_entropy_of_the_relative_turn():
    encoder, view = _Recorder(), _view(12, np.random.default_rng(0))
    logits = tf.constant(np.random.default_rng(1).normal(size=(12, 4)), tf.float32)
    task = RelativeRotation(lambda maps, training: logits, weight=0.5, seed=7)
    losses = []
    for step in (0, 0, 1):
        loss = task.loss(encoder, view, tf.constant(step))
        found = {}  # the turns, by what the encoder was given
        for name, images in encoder.seen.items():
            every = [[np.rot90(image, k) for k in range(4)] for image in view[name].numpy()]
            matches = [
                [np.array_equal(one, given) for one in options]
                for options, given in zip(every, images.numpy(), strict=True)
            ]
            assert np.all(np.sum(matches, axis=1) == 1)
            found[name] = np.argmax(matches, axis=1)
        asked = (found["hha"] - found["rgb"]) % 4
        assert len(set(found["rgb"])) > 2 and len(set(asked)) > 2  # both images are turned
        expected = -np.mean(tf.nn.log_softmax(logits).numpy()[np.arange(12), asked])
        np.testing.assert_allclose(loss, 0.5 * expected, rtol=1e-5)
        losses.append(float(loss))
    assert losses[0] == losses[1] != losses[2]
    assert 0 <= float(task.means["accuracy_rotation"].result()) < 1


def test_a_method_learns_it_and_logs_it():
    method = _method()
    train_step = tf.function(method.train_step)
    first = train_step(next(_batches(1)))
    method.reset_metrics()
    for step, batch in enumerate(_batches(60)):
        if step == 40:
            method.reset_metrics()
        logs = train_step(batch)
    assert set(logs) == {"loss", "gradient_norm", "std_projection", "loss_rotation", "accuracy_rotation"}
    assert float(logs["accuracy_rotation"]) > 0.85 and float(logs["loss_rotation"]) < float(first["loss_rotation"]) / 2


@pytest.mark.slow  # a step of two replicas is traced
def test_two_devices_step_as_one(two_replicas):
    def numbers(method):
        # samples that differ little would be told apart by BatchNorm's rounding
        batches = tf.nest.map_structure(lambda *parts: tf.stack(parts), *_batches(small.STEPS, samples=8, noise=2))
        return small.trained(method, tf.data.Dataset.from_tensor_slices(batches))

    alone = numbers(_method(0.01))
    with two_replicas.scope():
        method = _method(0.01)
    small.assert_same(alone, numbers(method), 5e-4)  # without the second task it is 1e-4
