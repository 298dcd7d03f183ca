"""The bar and the rate."""

import pytest

from keras_simsiam.training.monitors import Progress, progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""

    class Clock:
        now = 100.0

        def perf_counter(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_the_rate_leaves_the_first_step_out(clock):
    bar = Progress(batch_size=8, steps_per_epoch=5, epochs=1, first_epoch=0)
    bar.on_train_begin()
    bar.on_epoch_begin(0)
    clock.now += 1000  # building the graph
    for step in range(5):
        bar.on_train_batch_end(step, {"loss": -0.5, "std_projection": 0.9})
        clock.now += 0.5
    logs = {}
    bar.on_epoch_end(0, logs)
    bar.on_train_end()
    assert logs["images_per_second"] == pytest.approx(4 * 8 / 2.5)


def test_numbers_are_read_once_a_second_only(clock):
    """Reading a tensor of a GPU waits for all steps before it."""

    class Read:
        times = 0

        def __float__(self):
            Read.times += 1
            return 0.5

    bar = Progress(batch_size=8, steps_per_epoch=50, epochs=1, first_epoch=0)
    bar.on_train_begin()
    bar.on_epoch_begin(0)
    for step in range(50):
        bar.on_train_batch_end(step, {"loss": Read(), "std_projection": 1.0})
        clock.now += 0.1
    bar.on_train_end()
    assert 4 <= Read.times <= 6
