import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.dense.monodepth import frames

SIZE = 14  # the short side becomes 15


def sample(depth, rgb=None, name="frame_0"):
    depth = np.asarray(depth, np.float32)
    rgb = np.zeros((*depth.shape, 3), np.uint8) if rgb is None else rgb
    return {"rgb": tf.constant(rgb), "depth": tf.constant(depth), "frame": tf.constant(name)}


def coded(count=6, height=30, width=40):
    """Samples whose red is 10 levels a decimetre of depth, smooth, and none of it missing."""
    made = []
    for index in range(count):
        rows, columns = np.mgrid[:height, :width]
        levels = 60 + 2 * rows + columns + 10 * index
        made.append(sample(levels / 100, np.repeat(levels[..., None], 3, -1).astype(np.uint8), f"frame_{index}"))
    return made


def dataset(samples):
    signature = {name: tf.TensorSpec([None] * tensor.shape.rank, tensor.dtype) for name, tensor in samples[0].items()}
    return tf.data.Dataset.from_generator(lambda: iter(samples), output_signature=signature)


def test_the_published_size():
    found = frames.resized(sample(np.ones((480, 640))), 224)
    assert found["depth"].shape == (240, 320) and found["rgb"].shape == (240, 320, 3)
    assert frames.resized(sample(np.ones((90, 70))), 224)["depth"].shape == (309, 240)  # enlarged, aspect kept


def test_depth_is_never_mixed_with_what_is_missing():
    depth = np.full((60, 80), 2.0)
    depth[:, 37:] = 0
    found = frames.resized(sample(depth), SIZE)["depth"].numpy()  # a quarter: column 9 is 3/4 missing and more
    np.testing.assert_allclose(found[found > 0], 2.0, rtol=1e-6)
    assert (found[:, :9] > 0).all() and (found[:, 10:] == 0).all()


def test_depth_is_the_mean_of_the_measured():
    random = np.random.default_rng(0)
    depth = np.where(random.uniform(size=(60, 80)) < 0.3, 0, random.uniform(1, 3, (60, 80)))
    found = frames.resized(sample(depth), SIZE)["depth"].numpy()
    # the antialiased triangle of a reduction by 4: a weight of 1 − |distance| / 4 over eight pixels each way
    weights = 1 - np.abs(np.arange(8) - 3.5) / 4
    kernel = np.outer(weights, weights)
    for row, column in ((3, 5), (10, 12), (7, 18)):
        part = depth[4 * row - 2 : 4 * row + 6, 4 * column - 2 : 4 * column + 6]
        assert found[row, column] == pytest.approx((kernel * part).sum() / (kernel * (part > 0)).sum(), rel=1e-5)


def test_a_real_frame_keeps_its_depth(unpack):
    folder = unpack("osd.tar.xz", ["osd/test/depth/test3.png"])
    depth = cv2.imread(str(folder / "osd/test/depth/test3.png"), cv2.IMREAD_UNCHANGED) / 1000
    found = frames.resized(sample(depth), 224)["depth"].numpy()
    assert np.median(found[found > 0]) == pytest.approx(np.median(depth[depth > 0]), rel=0.01)
    assert (found > 0).mean() == pytest.approx((depth > 0).mean(), abs=0.01)
    assert found[found > 0].min() >= depth[depth > 0].min() and found.max() <= depth.max()


def test_colour_and_depth_are_cut_and_flipped_together():
    prepared = frames.prepared(dataset(coded()), SIZE).cache()
    batches = frames.training_batches(prepared, 6, image_size=SIZE, batch_size=3, seed=0)
    flips = set()
    for rgb, depth in batches.take(8):
        assert rgb.shape == (3, SIZE, SIZE, 3) and depth.shape == (3, SIZE, SIZE)
        np.testing.assert_allclose(rgb[..., 0] * 2.55, depth, atol=0.006)  # half a level
        flips |= set(np.sign(depth[:, 0, -1] - depth[:, 0, 0]).tolist())
    assert flips == {-1.0, 1.0}


def test_an_epoch_has_every_frame_once_in_an_order_of_its_own():
    samples = [sample(np.full((15, 15), 1.0 + index), name=str(index)) for index in range(8)]
    prepared = frames.prepared(dataset(samples), SIZE).cache()

    def epochs(seed):
        batches = frames.training_batches(prepared, 8, image_size=SIZE, batch_size=4, seed=seed).take(6)
        return np.concatenate([depth[:, 0, 0] for _, depth in batches]).reshape(3, 8)

    first = epochs(0)
    assert np.array_equal(np.sort(first), np.tile(np.arange(1, 9), (3, 1)))
    assert len({tuple(order) for order in first}) == 3
    assert np.array_equal(first, epochs(0)) and not np.array_equal(first, epochs(1))


def test_centre_crops():
    crops = frames.centre_crops(frames.prepared(dataset(coded(2)), SIZE), SIZE)
    assert crops.frames.tolist() == ["frame_0", "frame_1"]
    whole = frames.resized(coded(2)[1], SIZE)["depth"].numpy()  # 15×20
    np.testing.assert_array_equal(crops.depth[1], whole[:14, 3:17])
    np.testing.assert_allclose(crops.rgb[..., 0] * 2.55, crops.depth, atol=0.006)
    with pytest.raises(UserError, match="no frames"):
        frames.centre_crops(frames.prepared(dataset(coded(1)).take(0), SIZE), SIZE)


def holes(seed):
    depth = np.random.default_rng(seed).uniform(1, 3, (15, 15))
    depth[seed : seed + 5, 2:9] = 0
    return sample(depth)


def test_scale_and_mean_of_what_was_measured():
    prepared = frames.prepared(dataset([holes(seed) for seed in range(3)]), SIZE)
    depths = np.stack([frame["depth"] for frame in prepared.as_numpy_iterator()])
    scale = frames.scale_of(prepared)
    assert scale.count == 3
    assert (scale.mean, scale.std) == pytest.approx((depths[depths > 0].mean(), depths[depths > 0].std()), rel=1e-5)
    expected = np.ma.masked_equal(depths[:, :14, :14], 0).mean(axis=0).filled(9.0)
    assert (expected == 9).any()  # where all three have their hole
    np.testing.assert_allclose(frames.mean_of_each_pixel(prepared, SIZE, 9.0), expected, rtol=1e-6)


@pytest.mark.parametrize("depth", [np.zeros((15, 15)), np.full((15, 15), 2.0)])
def test_nothing_to_learn(depth):
    with pytest.raises(UserError, match="nothing to learn depth from"):
        frames.scale_of(frames.prepared(dataset([sample(depth)]), SIZE))


def test_the_centre_of_a_very_long_image_takes_no_more_than_that_of_a_short_one():
    row = np.zeros((1, 1 << 22, 3), np.uint8)
    row[:, (1 << 21) - 2 : (1 << 21) + 2] = 200
    for image in (row, row.transpose(1, 0, 2)):
        found = frames.centre_image(tf.constant(image), 16).numpy()  # resized as a whole it would have 800 GB
        assert found.shape == (16, 16, 3)
        np.testing.assert_allclose(found[8, 8], 200 / 255, atol=1e-6)
