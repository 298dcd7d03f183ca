"""The loop that stands in for `fit`, on a linear model."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.training import loop


class Notes(keras.callbacks.Callback):
    """Keeps what it is told, in order."""

    def __init__(self, unread=False):
        super().__init__()
        self._supports_tf_logs = unread
        self.said = []

    def on_train_begin(self, logs=None):
        self.said.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.said.append(f"epoch {epoch}")

    def on_train_batch_begin(self, batch, logs=None):
        self.said.append(batch)

    def on_train_batch_end(self, batch, logs=None):
        self.said.append(logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        logs["added"] = epoch
        self.said.append(logs["loss"])

    def on_train_end(self, logs=None):
        self.said.append("end")


def _model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.build((None, 2))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def _batches(skipped=0):
    x = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(2).skip(skipped).repeat()


def test_as_keras_fit():
    ours, keras_own = _model(), _model()
    last = loop.fit(ours, _batches(), epochs=2, steps_per_epoch=3, callbacks=[])
    history = keras_own.fit(_batches(), epochs=2, steps_per_epoch=3, verbose=0).history
    assert last["loss"] == pytest.approx(history["loss"][-1], abs=1e-7)
    for one, other in zip(ours.get_weights(), keras_own.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_begins_in_mid_epoch():
    whole, resumed = _model(), _model()
    loop.fit(whole, _batches(), epochs=2, steps_per_epoch=3, callbacks=[])
    loop.fit(resumed, _batches(), epochs=1, steps_per_epoch=1, callbacks=[])
    notes = Notes()
    loop.fit(resumed, _batches(1), epochs=2, steps_per_epoch=3, callbacks=[notes], first_step=1)
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [said for said in notes.said if not isinstance(said, float)] == [
        *("begin", "epoch 0", 1, 2),
        *("epoch 1", 0, 1, 2, "end"),
    ]


def test_nothing_left_to_train():
    assert loop.fit(_model(), _batches(), epochs=2, steps_per_epoch=3, callbacks=[], first_epoch=2) == {}


def test_a_callback_may_add_numbers_and_stop():
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    last = loop.fit(_model(), _batches(), epochs=5, steps_per_epoch=1, callbacks=[Notes(), Stop()])
    assert last["added"] == 0


def test_a_steps_numbers_are_read_for_those_who_ask():
    unread, read = Notes(unread=True), Notes()
    loop.fit(_model(), _batches(), epochs=1, steps_per_epoch=2, callbacks=[unread, read])
    tensors = [said for said in unread.said if tf.is_tensor(said)]
    assert len(tensors) == 2
    numbers = [said for said in read.said if isinstance(said, float)]
    assert [float(tensor) for tensor in tensors] == numbers[:2]
