"""Where an encoder can come from: what --encoder may name."""

import dataclasses
import json
import os

import tensorflow as tf

from keras_simsiam.core import files, fingerprint
from keras_simsiam.core.errors import UserError
from keras_simsiam.core.modalities import MODALITIES
from keras_simsiam.core.settings import setting
from keras_simsiam.evaluation.encoders import imagenet, saved_model
from keras_simsiam.evaluation.encoders.compared import TRAINED, UNTRAINED, Subject, newly_initialised
from keras_simsiam.evaluation.tasks import Seed
from keras_simsiam.models.resnet import BACKBONES
from keras_simsiam.training import config, run
from keras_simsiam.views.preprocessing import Preprocessing

RANDOM, IMAGENET = "random", "imagenet"


@dataclasses.dataclass(frozen=True)
class Network(Seed):
    """What a network without a run directory is to be: fields of `config.RunConfig`."""

    modality: str = setting("rgb", "Of `encoder=random`.", choices=sorted(MODALITIES))
    backbone: str = setting("resnet18", "Of `encoder=random`.", choices=BACKBONES)
    image_size: int = setting(224, "Side of a view in pixels, of `encoder=random` and imagenet.", low=1)


def subject(source, network=Network()):
    """What --encoder names, with its untrained self where it has one.

    Args:
        source: a run directory; a .keras file, in one or of RGB alone; a folder that `export.encoder` wrote; `random`, an
            untrained network; or `imagenet`, keras.applications' supervised ResNet-50, where its weights are on disk.
        network: a `Network`, what `random` is; of it `imagenet` takes image_size and seed.

    Returns:
        A `Subject`.

    Raises:
        UserError: it is none of these; training has not reached the last epoch; a file is not there or says too little.
    """
    if source == RANDOM:
        return _random(network)
    if source == IMAGENET:
        return imagenet.subject(network.image_size, network.seed)
    if saved_model.is_saved_model(source):
        return saved_model.subject(source)
    if source.endswith(".keras") and not os.path.exists(os.path.join(os.path.dirname(source), "flags.txt")):
        return _file(source)
    return _run(source)


def _run(source):
    sha256 = files.sha256(run.require_encoder(source))
    made = config.load_config(run.encoder_file(source)[0])
    return Subject(
        source,
        made.preprocessing,
        {TRAINED: sha256, UNTRAINED: _untrained_key(made)},
        lambda: {TRAINED: run.load_encoder(source), UNTRAINED: run.untrained_encoder(made)},
        sha256,
        made.seed,
        made.augmentation,
    )


def _random(network):
    made = config.RunConfig(data_dir="", workdir="", **dataclasses.asdict(network))
    return Subject(
        RANDOM,
        made.preprocessing,
        {UNTRAINED: _untrained_key(made)},
        lambda: {UNTRAINED: run.untrained_encoder(made)},
        seed=network.seed,
    )


def _file(path):
    """A Keras file without a run directory: of colour alone, as it cannot tell how HHA was encoded."""
    if not os.path.exists(path):
        raise UserError(f"{path}: not there")
    sha256, encoder = files.sha256(path), run.load_encoder(path)
    inputs, outputs = (tensors if isinstance(tensors, dict) else {} for tensors in (encoder.input, encoder.output))
    if "hha" in inputs:
        raise UserError(
            f"{path}: takes HHA, and no flags.txt beside it says how that was encoded: copy that of its run there"
        )
    if set(inputs) != {"rgb"} or not inputs["rgb"].shape[1] or "embedding" not in outputs:
        raise UserError(f"{path}: no encoder, which takes a dict with rgb [B,S,S,3] and gives one with embedding [B,D]")
    return Subject(
        path,
        Preprocessing("rgb", inputs["rgb"].shape[1]),
        {TRAINED: sha256, UNTRAINED: f"{sha256}, newly initialised by {tf.__version__}"},
        lambda: {TRAINED: encoder, UNTRAINED: newly_initialised(encoder)},
        sha256,
    )


def _untrained_key(made):
    """Changes with all that decides the weights a run starts from."""
    facts = {name: value for name, value in dataclasses.asdict(made).items() if name not in config.MOVABLE}
    return json.dumps([facts, fingerprint.of("keras_simsiam.training.untrained"), tf.__version__])
