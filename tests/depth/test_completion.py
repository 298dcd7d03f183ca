"""The learnt completion: what its fill keeps, its file, and that it is the same in any graph."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.depth import completion, hha, holes

INTRINSICS = np.array([57.0, 57.0, 19.5, 14.5], np.float32)
DOWN = np.array([0, 0.8, 0.6], np.float32)


def _weights(seed=0):
    random = np.random.default_rng(seed)
    return [random.normal(0, 0.1, shape).astype(np.float32) for shape in completion.shapes()]


def _frame(height=30, width=40, seed=0):
    random = np.random.default_rng(seed)
    y, x = np.indices((height, width), np.float32)
    depth = 1 / (0.3 + 0.01 * x + 0.005 * y)
    depth[random.random(depth.shape) < 0.4] = 0
    depth[: height // 2, width // 2 :] = 0
    return depth.astype(np.float32), random.integers(0, 256, (height, width, 3), np.uint8)


def _blend(share, change):
    """Weights of a network whose last convolution says the same of all pixels."""
    weights = _weights()
    weights[-2] = np.zeros_like(weights[-2])
    weights[-1] = np.array([share, change], np.float32)
    return weights


def test_what_the_last_convolution_says_is_done():
    depth, rgb = _frame()
    hole = depth == 0
    guided, inpainted = holes.guided(depth, rgb).numpy(), holes.inpaint(depth).numpy()
    np.testing.assert_allclose(holes.learned(depth, rgb, _blend(-100, 0)), guided, rtol=1e-5)
    np.testing.assert_allclose(holes.learned(depth, rgb, _blend(100, 0)), inpainted, rtol=1e-5)
    mixed = np.where(hole, np.sqrt(guided * inpainted) * np.exp(0.5 * np.tanh(0.3)), depth)
    np.testing.assert_allclose(holes.learned(depth, rgb, _blend(0, 0.3)), mixed, rtol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (33, 17), (48, 64)])
def test_measured_pixels_stay_and_all_others_get_depth(size):
    depth, rgb = _frame(*size)
    depth[-1, 0] = 1.5
    filled = holes.learned(depth, rgb, _weights()).numpy()
    measured = depth > 0
    np.testing.assert_array_equal(filled[measured].view(np.int32), depth[measured].view(np.int32))
    assert filled.shape == size and np.isfinite(filled).all() and (filled > 0).all()
    nothing = np.full(size, np.nan, np.float32)
    np.testing.assert_array_equal(holes.learned(nothing, rgb, _weights()), np.zeros(size))


def test_the_unit_of_depth_does_not_matter():
    depth, rgb = _frame()
    once, thrice = (holes.learned(scale * depth, rgb, _weights()).numpy() for scale in (1, 3))
    np.testing.assert_allclose(thrice, 3 * once, rtol=1e-3)


def test_batches_and_graphs():
    frames = [_frame(seed=seed) for seed in range(3)]
    depth, rgb = (np.stack(part) for part in zip(*frames, strict=True))
    alone = np.stack([holes.learned(*frame, _weights()) for frame in frames])
    np.testing.assert_allclose(holes.learned(depth, rgb, _weights()), alone, rtol=1e-4)
    samples = tf.data.Dataset.from_tensor_slices((depth, rgb)).map(lambda *frame: holes.learned(*frame, _weights()))
    np.testing.assert_allclose(np.stack(list(samples)), alone, rtol=1e-4)


def test_a_file_is_named_after_its_content(tmp_path):
    path = completion.save(_weights(), tmp_path / "models")
    assert completion.save(_weights(), tmp_path / "models") == path and len(list(path.parent.iterdir())) == 1
    assert completion.save(_weights(1), tmp_path / "models") != path
    for found, given in zip(completion.load(str(path)), _weights(), strict=True):
        np.testing.assert_array_equal(found, given)
    depth, rgb = _frame()
    encoded = holes.encode(depth, INTRINSICS, DOWN, holes="learned", rgb=rgb, holes_model=str(path))
    filled = holes.learned(depth, rgb, _weights())
    np.testing.assert_allclose(encoded, hha.encode(filled, INTRINSICS, DOWN), atol=0.05)


def test_a_file_that_is_none_is_refused(tmp_path):
    path = completion.save(_weights(), tmp_path)
    renamed = path.rename(tmp_path / "completion-0000.npz")
    with pytest.raises(UserError, match=r"completion-0000.npz` was renamed or changed"):
        completion.load(str(renamed))
    (tmp_path / "text.npz").write_text("none")
    with pytest.raises(UserError, match=r"cannot be read .*: give a file that `python -m tools.depth_completion`"):
        completion.load(str(tmp_path / "text.npz"))
    np.savez(tmp_path / "other.npz", np.zeros(3))
    with pytest.raises(UserError, match="is not a completion of this version"):
        completion.load(str(tmp_path / "other.npz"))
    with pytest.raises(UserError, match=r"missing.npz` cannot be read \(No such file or directory\)"):
        completion.load(str(tmp_path / "missing.npz"))
