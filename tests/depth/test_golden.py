"""Crops of published HHA images, kept with the tests: what holds even where the complete images are not at hand.

`golden/*.npz`: 96×72 pixels of `depth` (uint16), `valid`, `intrinsics` of the crop, and of the whole image `gravity` (by
the published algorithm in float64), the camera's height above its `ground` in metres, and what the published Python port
(charlesCXK/Depth2HHA-python, MIT) made of it, `published`. nyu_corner is from that repository's demo, redwood_* from frame 0
of the Redwood sample in Open3D (MIT). Given gravity and ground, HHA is local: a crop's is the whole image's.
"""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import hha_numpy, hha_scenes
from keras_simsiam.depth import hha

CROPS = sorted(Path(__file__).with_name("golden").glob("*.npz"))


@pytest.fixture(params=CROPS, ids=lambda path: path.stem)
def crop(request):
    """The crop's arrays, depth in metres, and where the published values are defined and do not reach over its border."""
    arrays = dict(np.load(request.param))
    arrays["depth"] = (arrays["depth"] / arrays["units_per_metre"]).astype(np.float32)
    arrays |= {name: arrays[name].astype(np.float32) for name in ("intrinsics", "gravity")}
    arrays["posed"] = hha_scenes.well_posed(arrays["depth"], arrays["valid"])
    arrays["posed"][:3] = arrays["posed"][-3:] = arrays["posed"][:, :3] = arrays["posed"][:, -3:] = False
    return arrays


def _encode(depth, intrinsics, gravity, valid, ground):
    return hha.encode(depth, intrinsics, gravity, valid, ground=ground)


def test_there_are_crops():
    assert len(CROPS) == 3


def _in_dataset(*arguments):
    *tensors, ground = arguments
    dataset = tf.data.Dataset.from_tensors(tuple(tensors)).map(lambda *one: _encode(*one, ground))
    return next(iter(dataset))


MODES = {
    "eager": _encode,
    "graph": tf.function(_encode, autograph=False),
    "dataset": _in_dataset,
}


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_a_crop_is_as_published(crop, mode):
    image = mode(crop["depth"], crop["intrinsics"], crop["gravity"], crop["valid"], float(crop["ground"]))
    difference = np.abs(np.rint(image) - crop["published"])[crop["posed"]]
    assert crop["posed"].mean() > 0.5
    np.testing.assert_array_less(difference.max(axis=0), 1.5)
    assert (difference == 0).mean() > 0.99


def test_a_crop_under_xla():
    """Gravity is a constant, or compiling its estimation would take most of a minute."""
    crop = dict(np.load(CROPS[-1]))
    depth = (crop["depth"] / crop["units_per_metre"]).astype(np.float32)
    arguments = crop["intrinsics"].astype(np.float32), crop["gravity"], crop["valid"], float(crop["ground"])
    image = tf.function(lambda one: _encode(one, *arguments), autograph=False, jit_compile=True)(depth)
    np.testing.assert_allclose(image, _encode(depth, *arguments), atol=0.1)


def test_missing_depth_has_the_cameras_height(crop):
    image = hha.encode(crop["depth"], crop["intrinsics"], crop["gravity"], ground=float(crop["ground"])).numpy()
    missing = crop["depth"] == 0
    np.testing.assert_allclose(image[missing][:, 1], 100 * crop["ground"], atol=1e-4)
    np.testing.assert_array_equal(np.rint(image[missing][:, :2]), crop["published"][missing][:, :2])


def test_gravity_of_a_crop_matches_float64(crop):
    """Estimated from the crop alone, whatever it may be worth there."""
    image = hha.encode(crop["depth"], crop["intrinsics"], valid=crop["valid"]).numpy()
    expected = hha_numpy.encode(crop["depth"], crop["intrinsics"], valid=crop["valid"])
    posed = hha_scenes.well_posed(crop["depth"], crop["valid"])
    np.testing.assert_allclose(np.median(image[posed], axis=0), np.median(expected[posed], axis=0), atol=1)
