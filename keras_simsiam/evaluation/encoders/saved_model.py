"""An exported encoder (export.encoder) as it is served: samples in, embeddings out, its preprocessing inside."""

import dataclasses
import pathlib

import numpy as np
import tensorflow as tf

from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation.encoders.compared import TRAINED, Subject
from keras_simsiam.probes.features import FACTS
from keras_simsiam.views.preprocessing import Preprocessing

_SIGNATURE = "tensors"
_NETWORK = "is a SavedModel, which gives embeddings alone: name the run directory that it was exported from"


@dataclasses.dataclass(frozen=True)
class Served(Subject):
    """A SavedModel; `encoders` refuses, as there is no Keras model in it. `preprocessing` knows its modality alone."""

    def embed(self, names, samples, batch_size):
        """As `Subject.embed`; samples of one size that follow each other go in one batch."""
        embed = _load(self.source).signatures[_SIGNATURE]
        wanted = list(embed.structured_input_signature[1])
        for batch in _of_one_size(samples.prefetch(tf.data.AUTOTUNE), wanted, batch_size):
            inputs = {name: tf.stack([sample[name] for sample in batch]) for name in wanted}
            facts = {name: np.array([sample[name].numpy() for sample in batch]) for name in FACTS}
            embeddings = embed(**inputs)["embedding"].numpy()
            yield [embeddings] * len(names), facts | {"frame": np.array([name.decode() for name in facts["frame"]])}


def is_saved_model(source):
    """Whether a path is a SavedModel, or a model folder with versions of one."""
    return _version(source) is not None


def subject(source):
    """A SavedModel that `export.encoder` wrote; there is nothing untrained beside it.

    Args:
        source: its folder, or the model folder, of which the highest version counts.

    Returns:
        A `Subject`.

    Raises:
        UserError: it is damaged, or has not the signature of an exported encoder.
    """
    folder = _version(source)
    signature = _load(folder).signatures.get(_SIGNATURE)
    if signature is None:
        raise UserError(f"{folder} has no signature {_SIGNATURE}: it is not what `python -m export.encoder` writes")
    inputs = set(signature.structured_input_signature[1])
    modality = "rgbd" if {"rgb", "depth"} <= inputs else "hha" if "depth" in inputs else "rgb"

    def refuse():
        raise UserError(f"{source} {_NETWORK}")

    digest = files.sha256(folder)
    return Served(str(folder), Preprocessing(modality, None), {TRAINED: digest}, refuse, digest)


def _load(folder):
    """The SavedModel in a folder; refuses, by a UserError, one that cannot be loaded."""
    try:
        return tf.saved_model.load(str(folder))
    except Exception as error:  # of many kinds, by what of its files is damaged
        raise UserError(
            f"{folder} is damaged or incomplete ({files.reason(error)}): copy it or export it again"
        ) from error


def _version(source):
    """The SavedModel's pathlib.Path, None where there is none."""
    folder = pathlib.Path(source)
    if (folder / "saved_model.pb").is_file():
        return folder
    versions = [path for path in folder.glob("*/saved_model.pb") if path.parent.name.isdecimal()]
    return max((path.parent for path in versions), key=lambda path: int(path.name), default=None)


def _of_one_size(samples, names, batch_size):
    """Lists of up to `batch_size` samples that follow each other and whose images have one size."""
    batch, shapes = [], None
    for sample in samples:
        found = [sample[name].shape for name in names]
        if batch and (found != shapes or len(batch) == batch_size):
            yield batch
            batch = []
        batch.append(sample)
        shapes = found
    if batch:
        yield batch
