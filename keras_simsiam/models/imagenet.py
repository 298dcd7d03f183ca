"""keras.applications' ResNet-50, trained on ImageNet's labels: where its weights are, and as an encoder of this package."""

import os
import pathlib

from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.models.encoder import build_encoder
from keras_simsiam.models.pytorch import checkpoint
from keras_simsiam.models.pytorch.torch_names import Architecture, layers

WEIGHTS = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"  # as keras.applications names and keeps them

# keras.applications.resnet's preprocessing, `caffe`: BGR, 0..255, less these means
MEAN_BGR = (103.939, 116.779, 123.68)
_EPSILON = 1e-5  # of BatchNorm here; keras.applications has 1.001e-5


def weights_file(flag: str) -> str:
    """The path of the weights; nothing is fetched.

    Args:
        flag: the flag that asked for them.

    Raises:
        UserError: they are not on disk.
    """
    path = pathlib.Path(os.path.expanduser("~"), ".keras", "models", WEIGHTS)
    if not path.exists():
        raise UserError(
            f"`{flag}=imagenet`: {path} is not there; on a machine with a network "
            "keras.applications.ResNet50(include_top=False) fetches it"
        )
    return str(path)


def resnet50(weights: str, image_size: int = 224) -> keras.Model:
    """The weights in the package's ResNet-50, whose stride is elsewhere.

    keras.applications has v1: a bottleneck's stride sits in its first 1×1 convolution; here it sits in the 3×3 one (v1.5).
    Every weight has its place, `c2` is the same to rounding, and the later maps are not those that the weights were
    trained for. The biases of its convolutions move into BatchNorm's means.

    Args:
        weights: path of the weights' file.
        image_size: the side of the views in pixels.

    Returns:
        An encoder of modality `rgb` (keras_simsiam.models.encoder), whose normalisation is that of keras.applications.
    """
    trained = keras.applications.ResNet50(include_top=False, weights=weights)
    architecture = Architecture("resnet50", "imagenet", 64)
    arrays = {}
    for name, norm_name, _ in layers(architecture):
        theirs = _their_name(name)
        kernel, bias = trained.get_layer(f"{theirs}_conv").get_weights()
        norm = trained.get_layer(f"{theirs}_bn")
        gamma, beta, mean, variance = norm.get_weights()
        kernel = kernel[:, :, ::-1] if name == "conv1" else kernel  # of BGR
        arrays[f"{name}.weight"] = kernel.transpose(3, 2, 0, 1)
        arrays |= {f"{norm_name}.weight": gamma, f"{norm_name}.bias": beta}
        arrays[f"{norm_name}.running_mean"] = mean - bias
        arrays[f"{norm_name}.running_var"] = variance + (norm.epsilon - _EPSILON)
    encoder = build_encoder("rgb", architecture.backbone, image_size)
    checkpoint.fill(encoder, arrays, architecture, mean=[mean / 255 for mean in MEAN_BGR[::-1]], std=[1 / 255] * 3)
    return encoder


def _their_name(name):
    """`layer1.0.conv2`, a convolution's name in PyTorch, as keras.applications has it: `conv2_block1_2`."""
    if name == "conv1":
        return name
    stage, block, convolution = name.split(".")[:3]
    number = 0 if convolution == "downsample" else int(convolution.removeprefix("conv"))
    return f"conv{int(stage.removeprefix('layer')) + 1}_block{int(block) + 1}_{number}"
