"""Training of the completion on small synthetic frames: it learns, repeats itself, and refuses frames of no use."""

import numpy as np
import pytest

from keras_simsiam.core.errors import UserError
from keras_simsiam.dense import depth_completion
from keras_simsiam.depth import completion


def _frames(count=20, size=96):
    """Slopes, which neither fill continues, so that there is something to learn."""
    y, x = np.indices((size, size), np.float32) / size
    slopes = np.random.default_rng(0).uniform(-1, 1, (count, 2))
    return [((2 + a * x + b * y).astype(np.float32), np.zeros((size, size, 3), np.uint8)) for a, b in slopes]


def _mask(size=96):
    mask = np.ones((size, size), np.float32)
    mask[30:66, 20:70] = 0
    return mask


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    monkeypatch.setattr(depth_completion, "_BATCH", 4)
    monkeypatch.setattr(depth_completion, "_JUDGED", 2)


@pytest.mark.slow
def test_it_learns():
    errors = depth_completion.train(_frames(), [_mask()], steps=100, seed=0).errors
    assert errors["learned"] < 0.9 * min(errors["guided"], errors["inpaint"])


def test_the_same_seed_gives_the_same_weights():
    once, again = (depth_completion.train(_frames(4), [_mask()], steps=2, seed=0) for _ in range(2))
    assert [each.shape for each in once.weights] == completion.shapes()
    for left, right in zip(once.weights, again.weights, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-4)
    assert set(once.errors) == {"guided", "inpaint", "learned"} and all(map(np.isfinite, once.errors.values()))


def test_frames_of_no_use_are_refused():
    holed = [(depth * _mask(), rgb) for depth, rgb in _frames(3)]
    with pytest.raises(UserError, match="somewhere has no windows of 80×80 pixels that miss no depth"):
        depth_completion.train(holed, [_mask()], steps=1, seed=0, source="somewhere")
    with pytest.raises(UserError, match=r"misses 5 to 50 % of its depth.*`holes_dir`"):
        depth_completion.train(_frames(3), [depth for depth, _ in _frames(3)], steps=1, seed=0)
