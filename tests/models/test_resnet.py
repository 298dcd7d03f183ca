"""ResNet against torchvision's numbers: parameters, padding, constants, initialisers."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.models.resnet import resnet


@pytest.mark.parametrize(
    # torchvision's without the classifier: 11,689,512 and 21,797,672 − 513,000, 25,557,032 − 2,049,000
    "name, parameters, features",
    [("resnet18", 11_176_512, 512), ("resnet34", 21_284_672, 512), ("resnet50", 23_508_032, 2048)],
)
def test_has_torchvisions_parameters(name, parameters, features):
    model = resnet(name, 64)
    assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == parameters
    assert model.output["embedding"].shape == (None, features)


@pytest.mark.parametrize("stem, sizes", [("imagenet", (16, 8, 4, 2)), ("cifar", (64, 32, 16, 8))])
def test_stage_maps_halve(stem, sizes):
    outputs = resnet("resnet18", 64, stem=stem, width=8).output
    assert [outputs[f"c{stage}"].shape[1] for stage in (2, 3, 4, 5)] == list(sizes)
    assert [outputs[f"c{stage}"].shape[3] for stage in (2, 3, 4, 5)] == [8, 16, 32, 64]
    assert outputs["map"].shape == outputs["c5"].shape


def test_padding_at_stride_two_is_symmetric():
    """A kernel whose only weight is its centre picks the even pixels: 0, 2, 4…, as PyTorch's padding has it."""
    model = resnet("resnet18", 8, stem="cifar", width=4)
    convolution = next(
        layer for layer in model.layers if getattr(layer, "strides", None) == (2, 2) and layer.kernel_size[0] == 3
    )
    kernel = np.zeros(convolution.kernel.shape, np.float32)
    kernel[1, 1, 0, 0] = 1
    convolution.kernel.assign(kernel)
    place = model.layers.index(convolution)
    padding = model.layers[place - 1]
    assert isinstance(padding, tf.keras.layers.ZeroPadding2D)
    images = np.zeros((1, 8, 8, 4), np.float32)
    images[0, ..., 0] = np.arange(64).reshape(8, 8)
    np.testing.assert_array_equal(convolution(padding(images))[0, ..., 0], images[0, ::2, ::2, 0])


def test_bottlenecks_carry_their_stride_in_the_3x3():
    strided = [layer for layer in resnet("resnet50", 32, width=4).layers if getattr(layer, "strides", None) == (2, 2)]
    kernels = [layer.kernel_size[0] for layer in strided if isinstance(layer, tf.keras.layers.Conv2D)]
    assert sorted(kernels) == [1, 1, 1, 3, 3, 3, 7]  # the 1×1 are the shortcuts


def test_constants_and_initialisers_are_pytorchs():
    model = resnet("resnet18", 32, width=32)
    norms = [layer for layer in model.layers if isinstance(layer, tf.keras.layers.BatchNormalization)]
    assert all(norm.epsilon == 1e-5 and norm.momentum == 0.9 for norm in norms)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.Conv2D) and layer.kernel_size == (3, 3):
            fan_out = 9 * layer.filters
            assert np.std(layer.kernel) == pytest.approx(np.sqrt(2 / fan_out), rel=0.05)


def test_no_two_layers_start_alike():
    layers = resnet("resnet18", 32, width=8).layers
    kernels = [
        layer.kernel.numpy() for layer in layers if getattr(layer, "filters", None) == 8 and layer.kernel_size == (3, 3)
    ]
    assert len(kernels) == 4 and not np.array_equal(kernels[0], kernels[1])


def test_zero_init_last_makes_blocks_start_as_identity():
    model = resnet("resnet18", 16, width=4, stem="cifar", zero_init_last=True)
    gammas = [layer.gamma.numpy() for layer in model.layers if isinstance(layer, tf.keras.layers.BatchNormalization)]
    assert sum(np.all(gamma == 0) for gamma in gammas) == 8


def test_any_size_has_the_same_weights_and_features():
    fixed, free = (resnet("resnet18", 16, stem="cifar", width=4, any_size=any_size) for any_size in (False, True))
    assert [weight.shape for weight in free.weights] == [weight.shape for weight in fixed.weights]
    free.set_weights(fixed.get_weights())
    images = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    np.testing.assert_allclose(free(images)["embedding"], fixed(images)["embedding"], atol=1e-6)
    assert free(np.zeros((1, 24, 8, 3), np.float32))["c5"].shape == (1, 3, 1, 32)


@pytest.mark.parametrize("arguments", [{"name": "resnet19"}, {"name": "resnet18", "stem": "vgg"}])
def test_unknown_names_are_refused(arguments):
    with pytest.raises(UserError, match="choose one of"):
        resnet(image_size=32, **arguments)
