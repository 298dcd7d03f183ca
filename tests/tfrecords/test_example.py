import cv2
import numpy as np
import pytest
import tensorflow as tf

from tfrecords import example


def _check(sample, frame):
    color = cv2.imdecode(np.frombuffer(frame.rgb, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    depth = cv2.imdecode(np.frombuffer(frame.depth, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(sample["rgb"], color)
    np.testing.assert_array_equal(sample["depth"], depth.astype(np.float32) / np.float32(frame.units_per_metre))
    np.testing.assert_array_equal(sample["intrinsics"], np.float32(frame.intrinsics))
    np.testing.assert_array_equal(sample["gravity"], np.float32(frame.gravity))
    assert int(sample["label"]) == frame.label
    assert int(sample["instance"]) == frame.instance
    assert sample["frame"].numpy() == frame.name.encode()


def test_round_trip_eager(make_frame):
    frame = make_frame(units_per_metre=5000.0)
    sample = example.decode(tf.constant(example.encode(frame)))
    _check(sample, frame)
    assert sample["rgb"].dtype == tf.uint8
    assert sample["depth"].dtype == tf.float32
    assert sample["label"].dtype == sample["instance"].dtype == tf.int64


def test_round_trip_inside_map(make_frame):
    frames = [make_frame(f"a_1_{seed}", seed) for seed in range(3)]
    dataset = tf.data.Dataset.from_tensor_slices([example.encode(frame) for frame in frames]).map(example.decode)
    shapes = {name: spec.shape.as_list() for name, spec in dataset.element_spec.items()}
    assert shapes == {
        "rgb": [None, None, 3],
        "depth": [None, None],
        "intrinsics": [4],
        "gravity": [3],
        "label": [],
        "instance": [],
        "frame": [],
    }
    for sample, frame in zip(dataset, frames, strict=True):
        _check(sample, frame)


def test_depth_keeps_sixteen_bits(make_frame):
    depth = np.arange(35, dtype=np.uint16).reshape(5, 7) * 1800
    sample = example.decode(example.encode(make_frame(depth=cv2.imencode(".png", depth)[1].tobytes())))
    np.testing.assert_allclose(sample["depth"], depth / 1000, rtol=1e-6)


def test_color_only(make_frame):
    sample = example.decode(example.encode(make_frame(depth=None)), has_depth=False)
    assert "depth" not in sample
    assert sample["rgb"].shape == (5, 7, 3)


def test_jpeg_color_is_kept_as_it_is(make_frame):
    encoded = cv2.imencode(".jpg", np.full((8, 8, 3), (0, 0, 200), np.uint8))[1].tobytes()
    frame = make_frame(rgb=encoded)
    assert encoded in example.encode(frame)
    assert example.decode(example.encode(frame))["rgb"].numpy()[4, 4].argmax() == 0


def test_depth_asked_of_a_record_without_it_is_an_error(make_frame):
    with pytest.raises(tf.errors.InvalidArgumentError):
        example.decode(example.encode(make_frame(depth=None)))


def test_equal_frames_are_equal_bytes(make_frame):
    assert example.encode(make_frame()) == example.encode(make_frame())
