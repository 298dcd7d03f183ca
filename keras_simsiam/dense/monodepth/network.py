"""The depth network: an encoder of only colour, between a BatchNorm and a decoder (Ray, section 3)."""

import dataclasses

from tensorflow import keras

from keras_simsiam.core import keras_compat
from keras_simsiam.core.errors import UserError
from keras_simsiam.dense.monodepth.decoder import DECODERS
from keras_simsiam.models.encoder import NORMALISATION
from keras_simsiam.models.resnet import batch_norm

TOWER = "rgb_tower"
_NAME = "depth_network"
_REMEDY = "give a depth_network_*.keras that `task=monodepth` of evaluate.py has written"


@dataclasses.dataclass(frozen=True)
class Network:
    """A depth network.

    Attributes:
        model: from rgb float32 [B,S,S,3] in 0..1 to depth float32 [B,S,S], metres, of any sign.
        encoder: the part of it that was trained before.
    """

    model: keras.Model
    encoder: keras.Model


def colour_encoder(encoder):
    """The part of an encoder that takes only colour: of two towers that of RGB, as depth in the input leaks the answer.

    Args:
        encoder: a functional model from a view to a dict of features (docs/architecture.md).

    Returns:
        (a model from images or from a view of only `rgb` to a dict with `map` and `c2`…`c5`, whether it is only a tower).

    Raises:
        UserError: depth and colour go through one network; or the encoder has no feature maps.
    """
    inputs = list(encoder.input) if isinstance(encoder.input, dict) else [encoder.input.name]
    if inputs == ["rgb"]:
        part, tower = encoder, False
    elif TOWER in {layer.name for layer in encoder.layers}:
        part, tower = encoder.get_layer(TOWER), True
    else:
        raise UserError(
            f"the encoder takes {' and '.join(inputs)}, and has no tower of only RGB: depth would leak the "
            "answer to `task=monodepth`; give an encoder of `modality=rgb`, or of two towers"
        )
    if not isinstance(part.output, dict) or not {"map", "c2", "c3", "c4", "c5"} <= set(part.output):
        raise UserError("the encoder gives no feature maps, which `task=monodepth` needs: give its run directory")
    return part, tower


def build(encoder, decoder, image_size, scale):
    """A depth network with a copy of an encoder's weights and a newly initialised decoder.

    The BatchNorm before the encoder, which gives "the model further control over the scale and offset of the input", starts
    so that its output has ImageNet's mean and deviation: an encoder here takes colours in 0..1 and normalises them itself.

    Args:
        encoder: what `colour_encoder` gives.
        decoder: a name of DECODERS.
        image_size: S.
        scale: a `frames.Scale`, by which the standardised output becomes metres.

    Returns:
        A `Network`.
    """
    copy = keras.models.clone_model(encoder)
    copy.set_weights(encoder.get_weights())
    images = keras.Input((image_size, image_size, 3), name="rgb")
    mean, std = (keras.initializers.Constant(values) for values in NORMALISATION["rgb"])
    x = batch_norm(beta_initializer=mean, gamma_initializer=std)(images)
    features = copy({"rgb": x} if isinstance(encoder.input, dict) else x)
    standardised = DECODERS[decoder](features, image_size)
    depth = keras.layers.Rescaling(scale.std, scale.mean, dtype="float32")(standardised)
    depth = keras.layers.Reshape((image_size, image_size), name="depth", dtype="float32")(depth)
    return Network(keras.Model(images, depth, name=_NAME), copy)


def load(path):
    """A depth network that --task=monodepth has kept.

    Args:
        path: a .keras file.

    Returns:
        The `model` of a `Network`.

    Raises:
        UserError: no such file exists, or it holds something else.
    """
    if keras_compat.other_keras(path):
        raise UserError(
            f"{path} was saved {keras_compat.OTHER_STACK}: convert it there, by python -m export.encoder --depth_network, to "
            "a SavedModel, which both read"
        )
    try:
        model = keras_compat.load_model(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read as a depth network ({str(error).splitlines()[0]}): {_REMEDY}"
        ) from error
    if model.name != _NAME:
        raise UserError(f"{path} holds {model.name}, which predicts no depth: {_REMEDY}")
    return model
