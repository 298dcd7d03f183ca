"""Recordings: what a frame's name says of the turntable or the video that it comes from."""

import decimal
import re

# A number at a name's end: 12, a time 1305031453.359684, or a number with one, 0000012-000000367034.
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)(?:-\d{6,})?$")


def place(frame):
    """The recording of a frame, and where in it the frame comes.

    Args:
        frame: its name, such as apple_1_1_12.

    Returns:
        (recording, number): the name without its trailing number, apple_1_1, and that number, a decimal.Decimal; the whole
        name and None where it ends in none.
    """
    number = _NUMBER.search(frame)
    return (frame[: number.start()].removesuffix("_"), decimal.Decimal(number[1])) if number else (frame, None)
