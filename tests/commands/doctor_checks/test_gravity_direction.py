import numpy as np
import pytest

from keras_simsiam.commands.doctor_checks import gravity_direction


def _pitched(degrees):
    """Turned about the camera's x axis."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return lambda down: np.float32([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]) @ down


def test_silent_on_clean_data(crops, real_crops, redwood):
    for samples in (crops, real_crops):
        finding = gravity_direction.check(samples)
        assert finding.severity == "ok" and "0 ceilings" in finding.number and " 0 floors" not in finding.number
    assert gravity_direction.check(redwood).number == "unknown in all frames"


@pytest.mark.parametrize(
    ("change_of", "severity", "said"),
    [
        (np.negative, "wrong", "points up"),
        (_pitched(25), "wrong", "tilted by 2"),
        (_pitched(-25), "wrong", "tilted by 2"),
        (_pitched(50), "wrong", "neither level nor upright"),
        (_pitched(8), "look", "tilted by"),
    ],
    ids=["upside down", "25", "-25", "50", "8"],
)
def test_planted_gravities(real_crops, change, change_of, severity, said):
    finding = gravity_direction.check(change(real_crops, gravity=change_of))
    assert finding.severity == severity and said in finding.meaning


def test_upside_down_synthetic(crops, change):
    assert gravity_direction.check(change(crops, gravity=np.negative)).severity == "wrong"


def test_too_few_planes_are_no_finding(real_crops, change):
    assert gravity_direction.check(change(real_crops[:2], gravity=np.negative)).severity == "ok"
    assert gravity_direction.check(change(real_crops, depth=np.zeros_like, gravity=np.negative)).severity == "ok"


@pytest.mark.parametrize("normal", [(0, 0.8, 0.6), (0, 0, 1), (0.6, 0, 0.8)])
def test_main_normal_of_a_plane(normal):
    """n·P = 1 at Z = 1 / (n·(u, v, 1))."""
    y, x = np.mgrid[:60, :80]
    depth = 1 / (np.stack([(x - 39.5) / 300, (y - 29.5) / 300, np.ones(x.shape)], -1) @ normal)
    found = gravity_direction.main_normal(depth.astype(np.float32), np.float32([300, 300, 39.5, 29.5]))
    assert np.degrees(np.arccos(min(found @ normal, 1))) < 0.5


def test_a_ball_has_no_main_normal():
    y, x = np.mgrid[-1:1:120j, -1:1:120j]
    inside = x**2 + y**2 < 0.95
    depth = np.where(inside, 5 - np.sqrt(np.where(inside, 1 - x**2 - y**2, 0)), 0)
    assert gravity_direction.main_normal(depth.astype(np.float32), np.float32([300, 300, 59.5, 59.5])) is None
