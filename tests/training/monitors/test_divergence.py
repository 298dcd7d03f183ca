"""The alarm for divergence: said once, and not of what healthy runs do."""

import pytest

from keras_simsiam.training.checkpoints import Position
from keras_simsiam.training.monitors import DivergenceWarning


def _said(losses, capsys, norms=None, first_loss=None, earlier=(), **options):
    """What is printed in a run of these losses and gradient norms, an epoch each, whose first step had `first_loss`."""
    position = Position()
    if earlier:
        position.first_loss = earlier[0]["first_loss"]
    warning = DivergenceWarning(position, earlier, **options)
    for epoch, (loss, norm) in enumerate(zip(losses, norms or [1.0] * len(losses), strict=True)):
        for batch in range(2):
            warning.on_train_batch_end(batch, {"loss": loss if batch or epoch or first_loss is None else first_loss})
        warning.on_epoch_end(epoch, {"loss": loss, "gradient_norm": norm})
    return capsys.readouterr().err


def test_a_loss_above_where_it_began_is_said_once(capsys):
    message = _said([5.0, 4.0, 5.3, 5.4, 6.0], capsys, first_loss=5.1)
    assert message.count("WARNING") == 1 and "epoch 4 (loss=5.4, it began at 5.1)" in message and "`base_lr`" in message


@pytest.mark.parametrize(
    "losses",
    [
        [0.001, 0.002, 0.003, -0.001],  # a plateau
        [-0.7, -0.66, -0.6, -0.5],  # falls within the first epoch and rises for the rest, as SimSiam does
        [-0.2, 0.3, -0.2, 0.3],  # one bad epoch now and then
    ],
    ids=str,
)
def test_a_plateau_and_a_slow_rise_are_not_divergence(losses, capsys):
    assert not _said(losses, capsys, first_loss=-0.002)


def test_a_loss_that_begins_below_chance_is_not_judged(capsys):
    losses = [6.0, 7.0, 8.0, 9.0]
    assert not _said(losses, capsys, first_loss=5.0, judges_loss=False)
    assert "it began at 5" in _said(losses, capsys, first_loss=5.0)


def test_gradients_ten_times_their_median_are_said_once(capsys):
    norms = [1.0, 2.0, 3.0, 9.0, 26.0, 80.0]
    message = _said([-0.5] * 6, capsys, norms)
    assert message.count("WARNING") == 1
    assert "epoch 5 (gradient_norm=26, 10 times its median)" in message  # of 1, 2, 3, 9: 2.5
    assert not _said([-0.5] * 4, capsys, norms[:4])
    assert not _said([-0.5] * 3, capsys, [0.1, 0.1, 50.0])  # too few to speak of a median
    assert not _said([-0.5] * 4, capsys, [0.0, 0.0, 0.0, 1.0])


def test_a_loss_that_is_no_number(capsys):
    assert "epoch 2 (loss=nan)" in _said([-0.1, float("nan")], capsys)


def test_a_resumed_run_goes_on_from_its_log(capsys):
    earlier = [{"epoch": 1.0, "loss": 5.0, "gradient_norm": 1.0, "first_loss": 5.1}]
    earlier += [{"epoch": float(epoch), "loss": 5.3, "gradient_norm": 1.0} for epoch in (2, 3)]
    assert not _said([5.4, 5.5], capsys, earlier=earlier)  # said before the run was stopped
    assert "it began at 5.1" in _said([5.4, 5.5], capsys, earlier=earlier[:1])


def test_the_first_loss_is_logged_once():
    warning = DivergenceWarning(Position())
    first, second = {"loss": 4.0}, {"loss": 3.0}
    for batch, loss in enumerate((5.0, 4.0)):
        warning.on_train_batch_end(batch, {"loss": loss})
    warning.on_epoch_end(0, first)
    warning.on_train_batch_end(0, {"loss": 3.0})
    warning.on_epoch_end(1, second)
    assert first["first_loss"] == 5.0 and "first_loss" not in second
