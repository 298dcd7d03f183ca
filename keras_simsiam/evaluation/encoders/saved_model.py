"""An exported encoder (export.encoder) as it is served: samples in, embeddings out, its preprocessing inside."""

import pathlib

import numpy as np
import tensorflow as tf

from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from keras_simsiam.probes.features import FACTS

_SIGNATURE = "tensors"


def newest(folder):
    """The pathlib.Path of a SavedModel: the folder itself, or its version of the highest number; None where it has none."""
    folder = pathlib.Path(folder)
    if (folder / "saved_model.pb").is_file():
        return folder
    versions = [path for path in folder.glob("*/saved_model.pb") if path.parent.name.isdecimal()]
    return max((path.parent for path in versions), key=lambda path: int(path.name), default=None)


def facts(folder):
    """What the SavedModel of an encoder looks at, and what it gives.

    Args:
        folder: the SavedModel's.

    Returns:
        (modality, parts): one of MODALITIES, and the equal parts of its embedding (`models.encoder.parts`); 1 of a model that
        was exported by a version that did not write them down.

    Raises:
        UserError: it is damaged, or has not the signature of an exported encoder.
    """
    model = _load(folder)
    signature = model.signatures.get(_SIGNATURE)
    if signature is None:
        raise UserError(f"{folder} has no signature {_SIGNATURE}: it is not what `python -m export.encoder` writes")
    inputs = set(signature.structured_input_signature[1])
    modality = "rgbd" if {"rgb", "depth"} <= inputs else "hha" if "depth" in inputs else "rgb"
    return modality, int(getattr(model, "parts", 1))


def embed(folder, samples, *, batch_size):
    """The embeddings of samples by the SavedModel in a folder.

    Args:
        folder: the SavedModel's.
        samples: a tf.data.Dataset of Samples; those of one size that follow each other go in one batch.
        batch_size: the most in a batch.

    Yields:
        (embeddings, facts), as `features.embed_each` yields them.
    """
    signature = _load(folder).signatures[_SIGNATURE]
    wanted = list(signature.structured_input_signature[1])
    for batch in _of_one_size(samples.prefetch(tf.data.AUTOTUNE), wanted, batch_size):
        inputs = {name: tf.stack([sample[name] for sample in batch]) for name in wanted}
        facts = {name: np.array([sample[name].numpy() for sample in batch]) for name in FACTS}
        embeddings = signature(**inputs)["embedding"].numpy()
        yield [embeddings], facts | {"frame": np.array([name.decode() for name in facts["frame"]])}


def _load(folder):
    """The SavedModel in a folder; refuses, by a UserError, one that cannot be loaded."""
    try:
        return tf.saved_model.load(str(folder))
    except Exception as error:  # of many kinds, by what of its files is damaged
        raise UserError(
            f"{folder} is damaged or incomplete ({files.reason(error)}): copy it or export it again"
        ) from error


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
