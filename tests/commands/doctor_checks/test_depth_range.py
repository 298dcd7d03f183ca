import numpy as np

from keras_simsiam.commands.doctor_checks import depth_range


def test_silent_on_clean_data(crops, real_crops, redwood, whole_frames):
    for samples in (crops, real_crops, redwood, whole_frames("tum_fr1_desk")):
        assert depth_range.check(samples).severity == "ok"


def test_a_real_saturated_frame(whole_frames):
    """A Kinect v2's, which ends at 65535 tenths of a millimetre."""
    finding = depth_range.check(whole_frames("kinect2"))
    assert finding.severity == "look" and "pile at 6.554 m" in finding.number


def test_a_clipped_range(redwood, change):
    finding = depth_range.check(change(redwood, depth=lambda depth: np.minimum(depth, np.float32(2.2))))
    assert finding.severity == "look" and "pile at 2.200 m" in finding.number


def test_a_single_clipped_frame_among_many_is_no_finding(crops, change):
    clipped = change(crops[:1], depth=lambda depth: np.minimum(depth, np.median(depth)))
    assert depth_range.check(crops[1:60] + clipped).severity == "ok"


def test_no_depth(crops, change):
    assert depth_range.check(change(crops, depth=np.zeros_like)).number == "no depth"
