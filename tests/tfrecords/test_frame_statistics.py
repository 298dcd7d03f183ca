import json

import cv2
import numpy as np
import pytest

from keras_simsiam.core.errors import UserError
from tests.tfrecords.conftest import png
from tfrecords import frame_statistics
from tfrecords.frame_statistics import Statistics


def _frames(make_frame):
    """Three frames with depth in two units, and the depth in metres that they hold."""
    random = np.random.default_rng(0)
    frames, metres = [], []
    for seed, units in enumerate((1000.0, 1000.0, 5000.0)):
        depth = random.integers(500, 4000, (5, 7), np.uint16)
        depth[: seed + 1] = 0  # 1, 2 and 3 of 5 rows
        frames.append(make_frame(depth=png(depth), units_per_metre=units, label=seed // 2))
        metres.append(depth[depth > 0] / units)
    return frames, np.concatenate(metres)


def _facts(frames):
    collected = Statistics()
    for frame in frames:
        collected.add(frame)
    return json.loads(json.dumps(collected.facts()))


def test_depth_is_counted_exactly(make_frame):
    frames, metres = _frames(make_frame)
    depth = _facts(frames)["depth"]
    assert depth["missing"] == 6 * 7
    assert depth["missing_frames"] == [0, 0, 1, 0, 1, 0, 1, 0, 0, 0]
    assert depth["metres"] == [metres.min(), metres.max()]
    expected = np.unique(np.rint(100 * metres).astype(int), return_counts=True)
    assert {int(value): count for value, count in depth["centimetres"].items()} == dict(zip(*expected, strict=True))


def test_merging_shards_equals_one_shard(make_frame):
    frames, _ = _frames(make_frame)
    other = {"intrinsics": (560.0, 580.0, 3.0, 2.0), "gravity": (0.0, 0.0, 0.0)}
    frames[1] = make_frame(depth=frames[1].depth, label=0, **other)
    merged = frame_statistics.merge([_facts(frames[:1]), _facts(frames[1:2]), _facts(frames[2:])])
    assert merged == _facts(frames)
    assert merged["ranges"]["intrinsics"] == [[560.0, 570.3, 3.0, 2.0], [570.3, 580.0, 50.0, 28.0]]
    assert merged["ranges"]["size"] == [[7, 5], [7, 5]]
    assert merged["labels"] == {"0": 2, "1": 1}
    assert merged["known_gravities"] == 2


def test_degrees_below_the_horizon(make_frame):
    facts = _facts([make_frame(gravity=(0.0, 1.0, 0.0)), make_frame(gravity=(0.0, np.sqrt(0.75), 0.5))])
    assert facts["ranges"]["degrees_below_horizon"] == [[0.0], [30.0]]


def test_color_only_has_no_depth(make_frame):
    assert _facts([make_frame(depth=None)])["depth"] is None


def test_a_frame_of_holes_alone(make_frame):
    depth = _facts([make_frame(depth=png(np.zeros((5, 7), np.uint16)))])["depth"]
    assert depth["missing_frames"] == [0] * 9 + [1]
    assert (depth["missing"], depth["metres"], depth["centimetres"]) == (35, None, {})


@pytest.mark.parametrize(
    "depth",
    [
        png(np.ones((5, 7), np.uint8)),
        png(np.ones((5, 7, 3), np.uint16)),
        png(np.ones((7, 5), np.uint16)),
        png(np.ones((5, 7), np.uint16))[:40],
        b"",
    ],
    ids=["8 bits", "three channels", "another size", "truncated", "empty"],
)
def test_depth_that_no_record_can_hold(make_frame, depth):
    with pytest.raises(UserError, match=r"^a_1_1: its depth is not a 16-bit PNG of one channel with the 7x5 pixels"):
        Statistics().add(make_frame(depth=depth))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".png", []),
        (".jpg", []),
        (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        (".jpg", [cv2.IMWRITE_JPEG_RST_INTERVAL, 1]),
    ],
)
def test_the_size_is_read_from_the_header(make_frame, suffix, options, channels):
    rgb = cv2.imencode(suffix, np.full((37, 53, channels), 90, np.uint8), options)[1].tobytes()
    assert _facts([make_frame(rgb=rgb, depth=None)])["ranges"]["size"] == [[53, 37], [53, 37]]


def test_a_jpeg_with_a_long_comment_and_fill_bytes(make_frame):
    jpeg = cv2.imencode(".jpg", np.full((37, 53, 3), 90, np.uint8))[1].tobytes()
    # A size of 1×1 inside the comment must not be taken for the image's.
    comment = b"\xff\xc0\x00\x11\x08\x00\x01\x00\x01"
    rgb = jpeg[:2] + b"\xff\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]
    assert _facts([make_frame(rgb=rgb, depth=None)])["ranges"]["size"] == [[53, 37], [53, 37]]


@pytest.mark.parametrize(
    ("rgb", "message"),
    [
        (b"\x89PNG\r\n\x1a\n\x00", "ends within its header"),
        (cv2.imencode(".jpg", np.zeros((9, 9, 3), np.uint8))[1].tobytes()[:30], "ends within its header"),
        (cv2.imencode(".bmp", np.zeros((9, 9, 3), np.uint8))[1].tobytes(), "is not a PNG or JPEG"),
        (b"", "is not a PNG or JPEG"),
    ],
)
def test_color_that_no_record_can_hold(make_frame, rgb, message):
    with pytest.raises(UserError, match=f"^a_1_1: its colour image {message}"):
        Statistics().add(make_frame(rgb=rgb))
