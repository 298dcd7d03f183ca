"""The encoder of a configuration, newly initialised: where a run starts, and what its trained encoder is compared with."""

import dataclasses

from tensorflow import keras

from keras_simsiam.core import settings
from keras_simsiam.models.encoder import RESNET_SETTINGS, VIT_SETTINGS, VITS, EncoderSettings, build_encoder
from keras_simsiam.training.devices import precision


def untrained_encoder(config):
    """The encoder of a configuration with the very weights its run started from, float32.

    Args:
        config: a `RunConfig`.

    Returns:
        A functional Keras model (keras_simsiam.models.encoder).
    """
    keras.utils.set_random_seed(config.seed)
    with precision("float32"):
        return encoder_of(config)


def encoder_of(config, synchronized=False, *, any_size=False):
    """The encoder of a configuration, drawn from the seed that is set, in the precision that is set.

    Args:
        config: a `RunConfig`.
        synchronized: whether its BatchNorm takes the statistics of all devices together.
        any_size: whether it takes views of any size, as a run with small crops needs it; the weights are the same.

    Returns:
        A functional Keras model (keras_simsiam.models.encoder).
    """
    given = dataclasses.asdict(settings.part(config, EncoderSettings))
    for name in RESNET_SETTINGS if config.backbone in VITS else VIT_SETTINGS:
        del given[name]  # they have no meaning for this backbone
    return build_encoder(
        config.modality,
        given.pop("backbone"),
        config.image_size,
        hha_channels=config.preprocessing.channels.get("hha", 3),
        voxels=config.depth_input == "voxels",
        synchronized=synchronized,
        any_size=any_size,
        **given,
    )
