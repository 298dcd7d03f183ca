"""Frozen features: what the probes take of an encoder."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.views.batches import clean_batches
from keras_simsiam.views.preprocessing import Preprocessing

BATCH = 64  # images embedded at a time while a run trains, whose batch may be larger than memory (--accumulate)
FACTS = ("label", "frame", "instance")  # what is known of a sample, in the order of Features


@dataclasses.dataclass(frozen=True)
class Features:
    """The embeddings of a dataset, in its order."""

    embeddings: np.ndarray  # float32 [N,D], pooled features before the projector, not normalised
    labels: np.ndarray  # int64 [N], −1 = unlabelled
    frames: np.ndarray  # str [N], unique names
    instances: np.ndarray  # int64 [N], −1 = unknown


def features(
    encoder: keras.Model, samples: tf.data.Dataset, preprocessing: Preprocessing, *, batch_size: int = 64
) -> Features:
    """Embeds the clean view of every sample with an encoder.

    Example:
        >>> dataset = ks.Dataset(data_dir)
        >>> encoder = ks.build_encoder("rgb", "resnet18", 32, width=4)
        >>> bank = ks.features(encoder, dataset.samples("train"), ks.Preprocessing("rgb", 32))
        >>> bank.embeddings.shape == (dataset.splits["train"].count, 32)
        True

    Args:
        encoder: a functional model from a view to a dict with `embedding` [B,D].
        samples: a finite tf.data.Dataset of Samples, in a fixed order; labels, names and instances may be missing.
        preprocessing: the `Preprocessing` that the encoder was trained with.
        batch_size: images embedded at a time; changes speed and memory, not the result.

    Returns:
        `Features`: `embeddings` float32 [N,D], `labels` int64 [N], `frames` str [N], `instances` int64 [N].

    Raises:
        UserError: there are no samples, or an embedding is not finite.
    """
    return extract(encoder, clean_batches(samples, preprocessing, batch_size=batch_size))


def extract(encoder, batches):
    """Embed every sample once, in inference mode (BatchNorm uses its moving statistics, dropout is off).

    Args:
        encoder: a functional model from a view to a dict with `embedding` [B,D].
        batches: a finite dataset of (view, {"label": [B], "frame": [B], ...}), as `views.batches.clean_batches` gives it.

    Returns:
        Features, in the dataset's order.

    Raises:
        UserError: there are no samples, or an embedding is not finite.
    """
    return extract_each([encoder], batches)[0]


def extract_each(encoders, batches):
    """`extract` for several encoders of the same views in one pass, as reading and HHA cost more than a small network.

    Args:
        encoders: a list of encoders.
        batches: as in `extract`.

    Returns:
        A list of Features, one an encoder.

    Raises:
        UserError: as in `extract`.
    """
    parts, facts = [], []
    for embeddings, known in embed_each(encoders, batches):
        parts.append([finite(part) for part in embeddings])
        facts.append(known)
    if not facts:
        raise UserError("there are no samples to evaluate: check the split and its shards")
    joined = [np.concatenate([known[name] for known in facts]) for name in FACTS]
    return [Features(np.concatenate(embeddings), *joined) for embeddings in zip(*parts, strict=True)]


def embed_each(encoders, batches):
    """The embeddings batch by batch, for what does not fit into memory.

    Args:
        encoders: a list of encoders.
        batches: as in `extract`.

    Yields:
        (embeddings, facts): float32 [B,D] of each encoder, a list; `label` int64 [B], `frame` str [B] and `instance` int64 [B],
        a dict.
    """
    embed = _embedder(tuple(encoders))
    for view, facts in batches:
        embeddings = [embedding.numpy() for embedding in embed(view)]
        known = {name: facts[name].numpy() for name in FACTS}
        yield embeddings, known | {"frame": np.array([frame.decode() for frame in known["frame"]])}


# The training monitor calls with the same encoder again and again; a new graph each time would cost more than its run.
@functools.lru_cache(maxsize=4)
def _embedder(encoders):
    # Only the embeddings leave the graph: `predict` would also keep the feature maps, a hundred times larger.
    @tf.function(reduce_retracing=True)
    def embed(view):
        return [tf.cast(encoder(view, training=False)["embedding"], tf.float32) for encoder in encoders]

    return embed


def finite(embeddings):
    """Embeddings [N,D] as they are; refuses, by a UserError, those of an encoder that has diverged."""
    if not np.all(np.isfinite(embeddings)):
        raise UserError("the encoder gives embeddings that are not finite: its training has diverged; lower base_lr")
    return embeddings
