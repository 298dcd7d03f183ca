"""What `--encoder` may name, resolved once: `resolve` gives an `EncoderSource`, which is passed on."""

import dataclasses
import os

from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from keras_simsiam.core.modalities import MODALITIES
from keras_simsiam.core.settings import setting
from keras_simsiam.evaluation.encoders import imagenet, saved_model
from keras_simsiam.evaluation.tasks import Seed
from keras_simsiam.models.encoder import BACKBONES
from keras_simsiam.training import run
from keras_simsiam.training.config import RunConfig, load_config

# the kinds of sources; the last two are also what --encoder calls them
RUN, FILE, SAVED_MODEL, RANDOM, IMAGENET = "run", "file", "saved_model", "random", "imagenet"


@dataclasses.dataclass(frozen=True)
class Network(Seed):
    """What a network without a run directory is to be: fields of `config.RunConfig`."""

    modality: str = setting("rgb", "Of `encoder=random`.", choices=sorted(MODALITIES))
    backbone: str = setting("resnet18", "Of `encoder=random`.", choices=BACKBONES)
    image_size: int = setting(224, "Side of a view in pixels, of `encoder=random` and imagenet.", low=1)


@dataclasses.dataclass(frozen=True)
class EncoderSource:
    """Where an encoder comes from; None where that is unknown or does not exist.

    Attributes:
        kind: RUN, FILE (a .keras file without a run directory), SAVED_MODEL, RANDOM or IMAGENET.
        name: what --encoder or --workdir named.
        workdir: the run directory.
        file: the .keras file, the SavedModel's folder, or the file of ImageNet's weights.
        config: the configuration of the run, or of the random network.
        sha256: of `file`.
        network: what was asked of RANDOM or IMAGENET.
    """

    kind: str
    name: str
    workdir: str | None = None
    file: str | None = None
    config: RunConfig | None = None
    sha256: str | None = None
    network: Network | None = None


def resolve(encoder: str, network: Network = Network()) -> EncoderSource:
    """Finds what --encoder names, and reads what decides its embeddings; builds no network.

    Args:
        encoder: a run directory; a .keras file, in one or of RGB alone; a folder that `export.encoder` wrote, or a folder of
            versions of it, of which the highest counts; `random`, an untrained network; or `imagenet`, keras.applications'
            supervised ResNet-50, where its weights are on disk.
        network: what `random` is; `imagenet` takes image_size and seed of it.

    Returns:
        An `EncoderSource`.

    Raises:
        UserError: it is none of these; training has not reached the last epoch; a file does not exist.
    """
    if encoder == RANDOM:
        config = RunConfig(data_dir="", workdir="", **dataclasses.asdict(network))
        return EncoderSource(RANDOM, encoder, config=config, network=network)
    if encoder == IMAGENET:
        path = imagenet.weights_file(network.image_size)
        return EncoderSource(IMAGENET, encoder, file=path, sha256=files.sha256(path), network=network)
    if folder := saved_model.newest(encoder):
        return EncoderSource(SAVED_MODEL, encoder, file=str(folder), sha256=files.sha256(folder))
    if encoder.endswith(".keras") and not os.path.exists(os.path.join(os.path.dirname(encoder), "flags.txt")):
        if not os.path.exists(encoder):
            raise UserError(f"{encoder}: not there")
        return EncoderSource(FILE, encoder, file=encoder, sha256=files.sha256(encoder))
    return resolve_run(encoder)


def resolve_run(encoder: str) -> EncoderSource:
    """`resolve` for a command that takes the encoder of a run only.

    Args:
        encoder: a run directory, which stands for its last encoder, or a .keras file in one.

    Returns:
        An `EncoderSource` of the kind RUN.

    Raises:
        UserError: it is no run directory, or its training has not reached the last epoch.
    """
    workdir, path = run.encoder_file(encoder)
    config = load_config(workdir)
    run.require_encoder(encoder)
    return EncoderSource(RUN, encoder, workdir, path, config, files.sha256(path))
