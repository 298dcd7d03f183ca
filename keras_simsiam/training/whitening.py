"""The whitening that a run keeps next to an encoder: fitted to its training frames, without labels, once it is trained."""

import dataclasses
import os
import zipfile
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from keras_simsiam.probes import features, whitening
from keras_simsiam.views.batches import clean_batches

FRAMES = 20_000  # of the training split at most: enough for a covariance of 2048 features, and read in minutes


def file_of(encoder):
    """Path of the whitening of a `.keras` file, next to it: encoder.whitening.npz."""
    return os.path.splitext(encoder)[0] + ".whitening.npz"


def fit_and_save(encoders: Mapping[str, keras.Model], data, config):
    """Fits the whitening of each encoder to the first FRAMES training frames, of this worker's share, and keeps it.

    Args:
        encoders: by the path of its `.keras` file, functional models from a view to a dict with `embedding` [B,D].
        data: the run's `data.Data`.
        config: the run's `RunConfig`.

    Raises:
        UserError: a file cannot be written; an embedding is not finite.
    """
    samples = data.records.take(FRAMES).map(data.decode, tf.data.AUTOTUNE)
    batches = clean_batches(samples, config.preprocessing, batch_size=min(config.batch_size, features.BATCH))
    for path, found in zip(encoders, features.extract_each(list(encoders.values()), batches), strict=True):
        scaling, target = whitening.fit(found.embeddings, parts=config.parts), file_of(path)
        with files.writing(target), files.replacing(target) as partial, open(partial, "wb") as file:
            np.savez(file, **dataclasses.asdict(scaling))


def load(path: str) -> whitening.Scaling | None:
    """The whitening that is kept next to a `.keras` file; None where there is none: of an earlier
    version, or of weights that were imported.

    Raises:
        UserError: it is damaged.
    """
    target = file_of(path)
    try:
        with np.load(target) as kept:
            parts = int(kept["parts"]) if "parts" in kept else 1  # an earlier version whitened joined features as one
            return whitening.Scaling(kept["mean"], kept["matrix"], tuple(kept["shrinkage"].reshape(-1).tolist()), parts)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{target} is damaged: delete it, and go on without whitening") from error
