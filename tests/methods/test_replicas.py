"""Two replicas compute what one computes of the same global batch, both with synchronised BatchNorm, whatever the method."""

import numpy as np
import pytest

from tests.methods import small

pytestmark = pytest.mark.slow  # tracing a step of two replicas takes seconds, of each method


@pytest.fixture(scope="module")
def alone():
    """What each method makes of the global batches on one device."""
    results = {}

    def train(name):
        if name not in results:
            method = small.build(name)
            start = [variable.numpy() for variable in method.trainable_variables]
            results[name] = small.trained(method, small.batches(name))
            moved = [np.abs(now - then).max() for now, then in zip(method.trainable_variables, start, strict=True)]
            assert max(moved) > 1e-2
        return results[name]

    return train


@pytest.mark.parametrize("name", small.METHODS)
def test_two_devices_step_as_one(name, alone, two_replicas):
    with two_replicas.scope():
        method = small.build(name)
    # sums in another order, which the low temperatures of SwAV's codes and DINO's teacher enlarge
    small.assert_same(alone(name), small.trained(method, small.batches(name)), 5e-5)
