import numpy as np
import pytest

from keras_simsiam.commands.doctor_checks import alignment


def _moved(x, y):
    """Depth moved to the right and down; what comes in at the border is missing."""

    def move(depth):
        padded = np.pad(depth, 20)
        height, width = depth.shape
        return padded[20 - y : 20 - y + height, 20 - x : 20 - x + width]

    return move


def test_silent_on_clean_data(crops, real_crops, redwood):
    for samples in (crops, real_crops, redwood):
        finding = alignment.check(samples)
        assert finding.severity == "ok" and "100 % sure" in finding.number


@pytest.mark.parametrize(("x", "y", "severity"), [(8, 0, "wrong"), (0, -8, "wrong"), (-4, 0, "look"), (1, 0, "ok")])
def test_planted_shifts(crops, real_crops, redwood, change, x, y, severity):
    for samples in (crops, real_crops, redwood):
        finding = alignment.check(change(samples, depth=_moved(x, y)))
        assert finding.severity == severity
        if severity != "ok":
            found = [int(part) for part in finding.number.removeprefix("best shift ").split(" px")[0].split(",")]
            assert np.abs(np.add(found, (x, y))).max() <= 2


def test_colour_that_shares_no_edges_is_no_finding(redwood, change):
    random = np.random.default_rng(0)
    finding = alignment.check(change(redwood, rgb=lambda rgb: random.integers(0, 256, rgb.shape, np.uint8)))
    assert finding.severity == "ok" and finding.number.startswith("cannot tell")


def test_a_single_frame_is_too_few(redwood, change):
    finding = alignment.check(change(redwood[:1], depth=_moved(8, 0)))
    assert finding.severity == "ok" and finding.number.startswith("cannot tell")


def test_no_depth_is_no_finding(crops, change):
    assert alignment.check(change(crops, depth=np.zeros_like)).severity == "ok"


@pytest.mark.parametrize("shadow", [slice(20, 30), slice(50, 60)], ids=["left", "right"])
def test_a_shadow_belongs_to_what_lies_behind(shadow):
    """A near box over columns 30 to 49, with a shadow beside it: its edge is at the box, not where the shadow ends."""
    depth = np.full([60, 80], 2.0, np.float32)
    depth[:, 30:50] = 1
    depth[:, shadow] = 0
    columns = alignment.depth_edges(depth).sum(axis=0)
    assert set(np.flatnonzero(columns > 0)) == {29, 30, 49, 50}
