import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.dense.monodepth import decoder


def model_of(decode, shapes, image_size):
    inputs = {name: keras.Input(shape) for name, shape in shapes.items()}
    return keras.Model(inputs, decode(inputs, image_size))


def kernels(model):
    return [layer.kernel.shape.as_list() for layer in model.layers if hasattr(layer, "kernel")]


def test_the_published_blocks():
    model = model_of(decoder.five_blocks, {"map": (7, 7, 2048)}, 224)
    assert model.output_shape == (None, 224, 224, 1)
    pairs = [(2048, 512), (512, 128), (128, 32), (32, 8), (8, 1)]
    # Keras keeps a transposed kernel as [height, width, out, in]
    assert kernels(model) == [shape for a, b in pairs for shape in ([3, 3, b, a], [5, 5, b, b])]
    assert isinstance(model.layers[-1], keras.layers.BatchNormalization)


@pytest.mark.parametrize(
    ("side", "channels", "image_size", "blocks"),
    [(2, 128, 64, [32, 8, 2, 1, 1]), (4, 64, 32, [16, 4, 1]), (2, 6, 48, [1, 1, 1, 1, 1]), (3, 8, 33, [2, 1, 1, 1])],
)
def test_blocks_of_other_encoders(side, channels, image_size, blocks):
    model = model_of(decoder.five_blocks, {"map": (side, side, channels)}, image_size)
    assert model.output_shape == (None, image_size, image_size, 1)
    assert [shape[-1] for shape in kernels(model)[1::2]] == blocks


@pytest.mark.parametrize("decode", decoder.DECODERS.values())
@pytest.mark.parametrize(("side", "image_size"), [(6, 96), (6, 48), (7, 28)])  # patches of 16, 8 and 4 pixels
def test_a_vits_maps_become_the_image(decode, side, image_size):
    """They are of one size, whatever the stage."""
    model = model_of(decode, dict.fromkeys(("map", "c2", "c3", "c4", "c5"), (side, side, 24)), image_size)
    assert model.output_shape == (None, image_size, image_size, 1)


def test_a_transposed_convolution_is_that_of_pytorch():
    inputs = keras.Input((4, 4, 2))
    layer = keras.Model(inputs, decoder._doubled(inputs, 3))
    random = np.random.default_rng(0)
    kernel, bias = random.normal(size=(3, 3, 3, 2)), random.normal(size=3)
    layer.set_weights([kernel, bias])
    x = random.normal(size=(1, 4, 4, 2)).astype(np.float32)

    # padding 1, output padding 1: input i reaches outputs 2i − 1, 2i, 2i + 1
    expected = np.tile(bias, (8, 8, 1))
    for i, j, a, b in np.ndindex(4, 4, 3, 3):
        row, column = 2 * i + a - 1, 2 * j + b - 1
        if min(row, column) >= 0:
            expected[row, column] += kernel[a, b] @ x[0, i, j]
    np.testing.assert_allclose(layer(x)[0], expected, rtol=1e-4, atol=1e-5)


def test_blocks_have_no_activation():
    model = model_of(decoder.five_blocks, {"map": (2, 2, 16)}, 16)
    random = np.random.default_rng(0)
    a, b = (tf.constant(random.normal(size=(1, 2, 2, 16)), tf.float32) for _ in range(2))
    f = lambda x: model({"map": x}, training=False).numpy()  # noqa: E731
    np.testing.assert_allclose(f(a + b), f(a) + f(b) - f(0 * a), atol=1e-5)
    assert np.ptp(f(a) - f(b)) > 1e-4


def test_weights_start_as_pytorch_starts_them():
    model = model_of(decoder.five_blocks, {"map": (7, 7, 2048)}, 224)
    transposed, convolution = (model.layers[index] for index in (1, 3))
    for layer, fan_in in ((transposed, 9 * 512), (convolution, 25 * 512)):
        for weights in layer.get_weights():
            # the variance of a uniform distribution is a third of its bound's square
            assert np.abs(weights).max() == pytest.approx(fan_in**-0.5, rel=0.02)
            assert weights.std() == pytest.approx((3 * fan_in) ** -0.5, rel=0.1)


STAGES = {"c2": (16, 16, 4), "c3": (8, 8, 8), "c4": (4, 4, 16), "c5": (2, 2, 32)}


@pytest.mark.parametrize("image_size", [16, 64, 61])
def test_the_skip_connected_one_sees_every_stage(image_size):
    model = model_of(decoder.skip_connected, STAGES, image_size)
    assert model.output_shape == (None, image_size, image_size, 1)
    maps = {name: tf.random.stateless_normal((2, *shape), [1, 2]) for name, shape in STAGES.items()}
    before = model(maps, training=True)  # in inference, BatchNorm that has seen nothing lets the signal fade
    for name in STAGES:
        other = tf.random.stateless_normal(maps[name].shape, [3, 4])
        assert np.abs(model(maps | {name: other}, training=True) - before).max() > 1e-2


def test_stages_of_odd_sizes():
    odd = {"c2": (17, 17, 4), "c3": (9, 9, 8), "c4": (5, 5, 16), "c5": (3, 3, 32)}
    assert model_of(decoder.skip_connected, odd, 66).output_shape == (None, 66, 66, 1)
    small = {"c2": (2, 2, 4), "c3": (1, 1, 8), "c4": (1, 1, 16), "c5": (1, 1, 32)}
    assert model_of(decoder.skip_connected, small, 8).output_shape == (None, 8, 8, 1)
