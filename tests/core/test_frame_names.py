"""What a frame's name says."""

import decimal

import pytest

from keras_simsiam.core import frame_names


@pytest.mark.parametrize(
    ("frame", "recording", "number"),
    [
        ("apple_1_1_12", "apple_1_1", 12),
        ("tum/1305031453.359684", "tum/", decimal.Decimal("1305031453.359684")),
        ("redwood/0000001-000000033369", "redwood/", 1),
        ("7", "", 7),
        ("lone", "lone", None),
        ("ball_", "ball_", None),
    ],
)
def test_recording_and_place_in_it(frame, recording, number):
    assert frame_names.place(frame) == (recording, number)
