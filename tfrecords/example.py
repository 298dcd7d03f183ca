"""The schema of a record: one RGB-D frame as a tf.train.Example. The only file in which a feature name is spelled."""

from dataclasses import dataclass

import tensorflow as tf

SCHEMA_VERSION = 1

_RGB = "rgb/encoded"
_DEPTH = "depth/encoded"
_UNITS_PER_METRE = "depth/units_per_metre"
_INTRINSICS = "intrinsics"
_GRAVITY = "gravity"
_LABEL = "label"
_INSTANCE = "instance"
_FRAME = "frame"


@dataclass(frozen=True)
class Frame:
    """One frame as a source hands it to the writer, its images still encoded.

    Attributes:
        name: unique within the data set.
        rgb: an encoded 8-bit colour image, PNG or JPEG, H×W.
        depth: an encoded 16-bit PNG of one channel, H×W, 0 = missing; None for a frame that has colour only.
        units_per_metre: depth value of one metre, > 0 (1000 for millimetres).
        intrinsics: fx, fy, cx, cy in pixels of this image, zero-based pixel centres; all zero where a frame of colour only
            has no known camera.
        gravity: unit vector in the camera frame (x right, y down, z forward); all zero = unknown.
        label: index into the data set's classes; -1 = unlabelled.
        instance: index into the data set's instances; -1 = unknown.
    """

    name: str
    rgb: bytes
    depth: bytes | None
    intrinsics: tuple[float, float, float, float]
    gravity: tuple[float, float, float] = (0.0, 0.0, 0.0)
    units_per_metre: float = 1000.0
    label: int = -1
    instance: int = -1


def encode(frame: Frame) -> bytes:
    """Serialize a frame as a tf.train.Example; the encoded images are kept byte for byte."""
    features = {
        _RGB: _bytes(frame.rgb),
        _INTRINSICS: _floats(frame.intrinsics),
        _GRAVITY: _floats(frame.gravity),
        _LABEL: _integer(frame.label),
        _INSTANCE: _integer(frame.instance),
        _FRAME: _bytes(frame.name.encode()),
    }
    if frame.depth is not None:
        features[_DEPTH] = _bytes(frame.depth)
        features[_UNITS_PER_METRE] = _floats([frame.units_per_metre])
    example = tf.train.Example(features=tf.train.Features(feature=features))
    # Protocol buffers promise no order of map entries by default: equal frames must be equal bytes.
    return example.SerializeToString(deterministic=True)


def parse(serialized: bytes) -> Frame:
    """The frame of a record, its images still encoded: `encode` of it gives the record again.

    Raises:
        KeyError: a feature is missing.
    """
    features = dict(tf.train.Example.FromString(serialized).features.feature)
    has_depth = _DEPTH in features
    return Frame(
        name=features[_FRAME].bytes_list.value[0].decode(),
        rgb=features[_RGB].bytes_list.value[0],
        depth=features[_DEPTH].bytes_list.value[0] if has_depth else None,
        units_per_metre=features[_UNITS_PER_METRE].float_list.value[0] if has_depth else Frame.units_per_metre,
        intrinsics=tuple(features[_INTRINSICS].float_list.value),
        gravity=tuple(features[_GRAVITY].float_list.value),
        label=features[_LABEL].int64_list.value[0],
        instance=features[_INSTANCE].int64_list.value[0],
    )


def decode(serialized: tf.Tensor, has_depth: bool = True) -> dict[str, tf.Tensor]:
    """Decode one record to a sample; a graph function, for tf.data's map.

    Args:
        serialized: scalar string, as `encode` makes it.
        has_depth: whether the record holds a depth image, and the sample shall.

    Returns:
        A dict: `rgb` uint8 [H,W,3]; `depth` float32 [H,W] in metres, 0 = missing (only with has_depth); `intrinsics`
        float32 [4]; `gravity` float32 [3]; `label` and `instance` int64 scalars; `frame` string scalar.

    Raises:
        tf.errors.InvalidArgumentError: a feature is missing, or an image does not decode.
    """
    schema = {
        _RGB: tf.io.FixedLenFeature([], tf.string),
        _INTRINSICS: tf.io.FixedLenFeature([4], tf.float32),
        _GRAVITY: tf.io.FixedLenFeature([3], tf.float32),
        _LABEL: tf.io.FixedLenFeature([], tf.int64),
        _INSTANCE: tf.io.FixedLenFeature([], tf.int64),
        _FRAME: tf.io.FixedLenFeature([], tf.string),
    }
    if has_depth:
        schema[_DEPTH] = tf.io.FixedLenFeature([], tf.string)
        schema[_UNITS_PER_METRE] = tf.io.FixedLenFeature([], tf.float32)
    features = tf.io.parse_single_example(serialized, schema)
    # Animations expanded, the result would have no static rank.
    sample = {"rgb": tf.io.decode_image(features[_RGB], channels=3, expand_animations=False)}
    sample["rgb"].set_shape([None, None, 3])
    if has_depth:
        # Without the dtype, 16-bit depth would come out as 8 bits, silently.
        depth = tf.io.decode_png(features[_DEPTH], channels=1, dtype=tf.uint16)[..., 0]
        sample["depth"] = tf.cast(depth, tf.float32) / features[_UNITS_PER_METRE]
    return sample | {
        "intrinsics": features[_INTRINSICS],
        "gravity": features[_GRAVITY],
        "label": features[_LABEL],
        "instance": features[_INSTANCE],
        "frame": features[_FRAME],
    }


def _bytes(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _floats(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def _integer(value):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
