"""Where an encoder can come from: what --encoder may name."""

import dataclasses
import hashlib
import json
import pathlib

import tensorflow as tf

import keras_simsiam
from keras_simsiam import config, run
from keras_simsiam.evaluation.subject import TRAINED, UNTRAINED, Subject


def subject(source):
    """What --encoder names, with its untrained self.

    Args:
        source: a run directory, or a .keras file in it.

    Returns:
        A `Subject`.

    Raises:
        UserError: it is no run directory, its training has not reached the last epoch, or the encoder is not there.
    """
    sha256 = hashlib.sha256(pathlib.Path(run.require_encoder(source)).read_bytes()).hexdigest()
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


def _untrained_key(made):
    """Changes with all that decides the weights a run starts from."""
    code = hashlib.sha256()
    package = pathlib.Path(keras_simsiam.__file__).parent
    for file in [package / "run.py", *sorted(package.glob("models/*.py"))]:
        code.update(file.read_bytes())
    return json.dumps([dataclasses.asdict(made), code.hexdigest(), tf.__version__])
