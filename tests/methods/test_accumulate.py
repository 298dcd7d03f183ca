"""A step of a batch that is computed in parts: the gradients' mean, one step of the optimizer."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.methods.base import Method
from keras_simsiam.optimization.optimizers import TorchSGD
from keras_simsiam.training.config import RunConfig
from tests.methods import small


class _Mean(Method):
    """Compares nothing across samples, and has no BatchNorm: parts give exactly what the whole gives."""

    def __init__(self, encoder):
        super().__init__(encoder, ("projection",))
        self.sizes = []

    def objective(self, batch):
        first, second = (self.encoder(view)["embedding"] for view in batch["views"])
        self.sizes.append(first.shape[0])
        self.watch(projection=first)
        return tf.reduce_mean((first - 2 * second + tf.cast(batch["index"], tf.float32)[:, None]) ** 2)


def _trained(toy, accumulate):
    tf.random.set_seed(0)
    method = _Mean(toy.encoder())
    method.compile(TorchSGD(0.1), accumulate=accumulate)
    logs = method.train_step(toy.batch(batch=8))
    return method, {name: float(value) for name, value in logs.items()}


def test_parts_move_the_weights_as_the_whole_does(toy):
    whole, logs = _trained(toy, 1)
    parts, logs_of_parts = _trained(toy, 4)
    assert whole.sizes == [8] and parts.sizes == [2] * 4
    assert int(parts.optimizer.iterations) == 1
    for now, then in zip(parts.trainable_variables, whole.trainable_variables, strict=True):
        np.testing.assert_allclose(now, then, rtol=1e-5, atol=1e-6)
    for name in ("loss", "gradient_norm"):
        assert logs_of_parts[name] == pytest.approx(logs[name], rel=1e-5)


@pytest.mark.parametrize(
    "name", ["simsiam", *(pytest.param(name, marks=pytest.mark.slow) for name in small.METHODS if name != "simsiam")]
)
def test_every_method_trains_in_parts(name):
    method = small.build(name, accumulate=2)
    before = [variable.numpy() for variable in method.trained_variables]
    small.trained(method, small.batches(name))
    assert int(method.optimizer.iterations) == small.STEPS
    moved = [np.abs(now - then).max() for now, then in zip(method.trained_variables, before, strict=True)]
    assert np.isfinite(moved).all() and max(moved) > 1e-3


@pytest.mark.parametrize("parts", [3, 64])
def test_parts_must_divide_the_batch_and_hold_two_samples(parts):
    with pytest.raises(
        UserError, match=rf"^`accumulate={parts}`: must divide `batch_size=64` into parts of two or more$"
    ):
        RunConfig("data", "run", accumulate=parts)
