"""The alarm for collapse: said once, and not of healthy runs."""

import pytest

from keras_simsiam.training.monitors import CollapseWarning


def _said(epochs, capsys, earlier=()):
    warning = CollapseWarning(earlier)
    for epoch, logs in enumerate(epochs):
        warning.on_epoch_end(epoch, logs)
    return capsys.readouterr().err


def test_collapse_is_said_once(capsys):
    healthy = {"loss": -0.5, "std_projection": 0.9}
    collapsed = {"loss": -1.0, "std_projection": 0.01, "std_prediction": 0.9}
    message = _said([healthy, collapsed, collapsed], capsys)
    assert message.count("WARNING") == 1 and "epoch 2" in message and "std_projection=0.010" in message
    assert "`stop_gradient=false`" in message
    assert not _said([healthy] * 3, capsys)


@pytest.mark.parametrize("name", ["effective_rank", "effective_rank_projection"])
def test_dimensional_collapse_is_a_rank_at_a_tenth_of_its_highest(name, capsys):
    ranks = [20.0, None, 60.0, 7.0, None, 5.0, 4.0]
    epochs = [{"std_projection": 0.9} | ({name: rank} if rank else {}) for rank in ranks]
    message = _said(epochs, capsys)
    assert message.count("WARNING") == 1 and f"epoch 6 ({name}=5.0 after 60.0" in message
    assert not _said(epochs[:5], capsys)


def test_a_rank_that_is_low_from_the_first_epoch_on_has_fallen_from_the_untrained_networks(capsys):
    epochs = [{"first_effective_rank": 55.0, "effective_rank": 2.3}, {"effective_rank": 4.4}]
    assert "epoch 1 (effective_rank=2.3 after 55.0" in _said(epochs, capsys)
    assert "effective_rank=4.4 after 55.0" in _said(epochs[1:], capsys, earlier=[{"first_effective_rank": 55.0}])
    assert not _said([{"first_effective_rank": 55.0}, {"effective_rank": 8.0}], capsys)


def test_a_resumed_run_does_not_say_it_again_but_remembers(capsys):
    epochs = [{"effective_rank": 60.0}, {"effective_rank": 5.0}, {"effective_rank": 5.0}]
    assert not _said(epochs[2:], capsys, earlier=epochs[:2])
    assert "5.0 after 60.0" in _said(epochs[1:], capsys, earlier=epochs[:1])
