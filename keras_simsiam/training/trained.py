"""The encoder that a run leaves in its folder: where its file is, and the network that the file holds."""

import os
import zipfile

from tensorflow import keras

from keras_simsiam.core import keras_compat
from keras_simsiam.core.errors import UserError
from keras_simsiam.training.config import load_config
from keras_simsiam.training.devices import precision
from keras_simsiam.training.untrained import encoder_of

BEST = "encoder_best.keras"


def encoder_path(workdir):
    """Where a run leaves its last encoder."""
    return os.path.join(workdir, "encoder.keras")


def encoder_file(encoder):
    """Where an encoder is.

    Args:
        encoder: a run's folder, which stands for its last encoder, or the path of a .keras file in it.

    Returns:
        (the run's folder, the path of the .keras file).
    """
    if encoder.endswith(".keras"):
        return os.path.dirname(encoder) or ".", encoder
    return encoder, encoder_path(encoder)


def require_encoder(encoder):
    """The path of a trained encoder's file; refuses one that does not exist.

    Args:
        encoder: as for `encoder_file`.

    Raises:
        UserError: it is not a run directory, or its training has not reached the last epoch.
    """
    workdir, path = encoder_file(encoder)
    if not os.path.exists(path):
        load_config(workdir)
        if path != encoder_path(workdir):
            raise UserError(f"{path}: not there; {BEST} is kept where the data set has a validation split")
        raise UserError(
            f"{path}: not there, training has not reached its last epoch; the same train command resumes it"
        )
    return path


def load_encoder(encoder: str) -> keras.Model:
    """Loads a trained encoder.

    Example:
        >>> encoder = ks.load_encoder(trained)  # such as runs/rgbd
        >>> sorted(encoder.output)
        ['c2', 'c3', 'c4', 'c5', 'embedding', 'map']

    Args:
        encoder: as for `encoder_file`.

    Returns:
        A functional Keras model (keras_simsiam.models.encoder).

    Raises:
        UserError: this is not a run directory, its training has not reached the last epoch, or the encoder is damaged; the
            other stack saved it (docs/stacks.md), and flags.txt is missing or another run's.
    """
    path = require_encoder(encoder)
    try:
        if keras_compat.other_keras(path):
            return _rebuilt(path)
        return keras_compat.load_model(path)
    except (OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is damaged ({reason}): delete it, and the train command writes it again") from error


def _rebuilt(path):
    """The encoder of a file that the other of Keras 2 and 3 has saved: its network as flags.txt has it, with its weights."""
    workdir = os.path.dirname(path) or "."
    if not os.path.exists(os.path.join(workdir, "flags.txt")):
        raise UserError(f"{path} was saved {keras_compat.OTHER_STACK}: put the flags.txt of its run next to it")
    with precision("float32"):
        encoder = encoder_of(load_config(workdir))
    if not keras_compat.holds_weights_of(path, encoder):
        raise UserError(
            f"{path} holds another network than flags.txt next to it says: put the flags.txt of its run there"
        )
    encoder.load_weights(path)
    return encoder
