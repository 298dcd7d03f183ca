"""The classifier's loss against its formula in NumPy."""

import numpy as np
import pytest
from tensorflow import keras

from keras_simsiam.methods.supervised import Supervised
from tests.methods.small import batch_of


def test_loss_is_cross_entropy(toy):
    method = Supervised(toy.encoder(), toy.linear(6, 3))
    views, labels = toy.views(), np.array([2, 0])
    expected = []
    for view in views:
        logits = toy.apply([method.encoder, method.classifier], view)
        expected += list(np.log(np.exp(logits).sum(axis=1)) - logits[[0, 1], labels])
    assert float(method.objective(batch_of(views, label=labels))) == pytest.approx(np.mean(expected), abs=1e-5)


def test_a_step_moves_encoder_and_classifier(toy):
    method = Supervised(toy.encoder(), toy.linear(6, 3))
    method.compile(keras.optimizers.SGD(0.1))
    before = method.get_weights()
    method.train_step(batch_of(toy.views(), label=[2, 0]))
    assert all(np.abs(a - b).max() > 0 for a, b in zip(before, method.get_weights(), strict=True))
