"""Where the weights of a run's encoder start, where --init names something: docs/starting_weights.md."""

import os

from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from keras_simsiam.models import imagenet, starting_weights
from keras_simsiam.models.pytorch import checkpoint
from keras_simsiam.training import trained
from keras_simsiam.training.devices import precision
from keras_simsiam.training.untrained import untrained_encoder

IMAGENET = "imagenet"
_CHOICES = "give a run directory, a .keras file, a checkpoint of PyTorch, or imagenet"


def source_file(init):
    """The path of the file that holds the weights.

    Args:
        init: what --init names.

    Raises:
        UserError: it names nothing that could hold them, or an unfinished run.
    """
    given = f"`init={init}`"
    if init == IMAGENET:
        return imagenet.weights_file("init")
    if not os.path.exists(init):
        raise UserError(f"{given}: not there; {_CHOICES}")
    if not os.path.isdir(init):
        return init
    path = trained.encoder_path(init)
    if not os.path.exists(path):
        if not os.path.exists(os.path.join(init, "flags.txt")):
            raise UserError(f"{given}: not a run directory, flags.txt is missing; {_CHOICES}")
        raise UserError(
            f"{given}: its training has not reached the last epoch, encoder.keras is missing; finish it first"
        )
    return path


def check_source(config):
    """Find the source of a configuration, and see whether it is the one that the configuration means.

    Args:
        config: a `RunConfig` with `init`.

    Returns:
        (path of the file, its SHA-256).

    Raises:
        UserError: as `source_file`; its SHA-256 is not `init_sha256`.
    """
    path = source_file(config.init)
    found = files.sha256(path)
    if config.init_sha256 not in ("", found):
        raise UserError(
            f"`init={config.init}` has changed: `init_sha256={config.init_sha256[:12]}…`, and {path} has {found[:12]}…; "
            "give that file, or leave `init_sha256` out and use another `workdir` for a run that starts from this one"
        )
    return path, found


def starting_encoder(config):
    """The encoder of a configuration with the weights that its run starts from, float32.

    Args:
        config: a `RunConfig` with `init`. What it leaves fresh is drawn from its seed, as in the run.

    Returns:
        (a functional Keras model as `untrained.untrained_encoder` makes it, lines that say what came from where).

    Raises:
        UserError: as `check_source`; the file cannot be read, or holds another network than the configuration's.
    """
    path, sha256 = check_source(config)
    given = f"`init={config.init}`"
    with precision("float32"):
        try:
            source, left_out = _read(config, path)
        except UserError as error:
            raise UserError(_named(error.args[0], given, path)) from error
    encoder = untrained_encoder(config)
    lines = starting_weights.begin(encoder, source, given=given, towers=config.init_towers)
    where = "" if path == config.init else f"{path}, "
    left_out = [f"not taken: its {', '.join(left_out)}"] if left_out else []
    return encoder, [
        f"starting weights: {config.init} ({where}sha256 {sha256[:12]}…)",
        *lines,
        *left_out,
        "heads: fresh",
    ]


def _read(config, path):
    """(the encoder in a file, the names of what else there is)."""
    if config.init == IMAGENET:
        try:
            return imagenet.resnet50(path), []
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is damaged ({files.reason(error)}): fetch it once more") from error
    if path.endswith(".keras"):
        return trained.load_encoder(path), []
    loaded = checkpoint.load(path)
    return loaded.encoder, loaded.left_out


def _named(line, given, path):
    """An error's line that names the flag."""
    line = f"{given}: {line.removeprefix(f'{path}: ')}"
    if "`prefix=" in line:  # which training has not
        line += "; export.import_torch makes a run directory of one, which `init` takes"
    return line
