import numpy as np
import pytest

from keras_simsiam.commands.doctor_checks import intrinsics


def _scaled(factor):
    return lambda camera: np.array([*camera[:2] * factor, *(camera[2:] + 0.5) * factor - 0.5], np.float32)


def test_silent_on_clean_data(crops, real_crops, redwood, whole_frames):
    everything = [redwood, whole_frames("tum_fr1_desk"), whole_frames("kinect2")]
    for samples in (crops, real_crops, *everything, [one for frames in everything for one in frames]):
        finding = intrinsics.check(samples)
        assert finding.severity == "ok" and not finding.remedy


def test_the_field_of_view_is_a_cameras(redwood):
    degrees = 2 * np.degrees(np.arctan(320 / 525))
    assert intrinsics.check(redwood).number == f"640×480: {degrees:.0f}° wide, centre 50, 50 % of width, height"


@pytest.mark.parametrize("few", [2, 3, 5, None])
def test_crops_may_have_their_centre_anywhere(real_crops, change, few):
    """Moved as far as to the corner of the image that they are cut from, as Washington's are."""
    random = np.random.default_rng(0)
    moved = change(
        real_crops[:few], intrinsics=lambda camera: camera + np.float32([0, 0, *random.uniform(-250, 250, 2)])
    )
    for samples in (real_crops[:few], moved):
        assert intrinsics.check(samples).severity == "ok"


@pytest.mark.parametrize(("factor", "size"), [(0.5, "320×240"), (2, "1280×960")])
def test_another_resolutions(redwood, change, factor, size):
    finding = intrinsics.check(change(redwood, intrinsics=_scaled(factor)))
    assert finding.severity == "wrong" and size in finding.meaning and f"{1 / factor:g}" in finding.remedy


def test_a_crop_that_kept_the_whole_images_centre(redwood, change):
    cut = change(redwood, rgb=lambda rgb: rgb[:400, :520])
    finding = intrinsics.check(cut)
    assert finding.severity == "look" and "crop" in finding.meaning


@pytest.mark.parametrize(
    ("camera", "severity"),
    [
        ((0, 525, 319.5, 239.5), "wrong"),
        ((525, np.nan, 319.5, 239.5), "wrong"),
        ((1500, 1500, 319.5, 239.5), "look"),
        ((150, 150, 319.5, 239.5), "wrong"),
        ((525, 700, 319.5, 239.5), "look"),
    ],
    ids=["no focal length", "not a number", "narrow", "wide", "stretched"],
)
def test_cameras_that_are_rare_or_cannot_exist(redwood, change, camera, severity):
    assert intrinsics.check(change(redwood, intrinsics=lambda _: np.float32(camera))).severity == severity
