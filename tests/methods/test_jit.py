"""XLA compiles the train step of every method to the same step."""

import pytest

from tests.methods import small


@pytest.mark.slow  # compiling takes seconds, of each method
@pytest.mark.parametrize("name", small.METHODS)
def test_a_compiled_step_is_the_same(name):
    dataset = small.batches(name)
    small.assert_same(
        small.trained(small.build(name), dataset), small.trained(small.build(name, jit_compile=True), dataset), 1e-4
    )
