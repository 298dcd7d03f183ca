"""Frozen features: what the probes see of an encoder."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from keras_simsiam.errors import UserError


@dataclasses.dataclass(frozen=True)
class Features:
    """The embeddings of a dataset, in its order."""

    embeddings: np.ndarray  # float32 [N,D], pooled features before the projector, not normalised
    labels: np.ndarray  # int64 [N], −1 = unlabelled
    frames: np.ndarray  # str [N], unique names
    instances: np.ndarray  # int64 [N], −1 = unknown


def extract(encoder, batches):
    """Embeds every sample once, in inference mode (BatchNorm uses its moving statistics, dropout is off).

    Args:
        encoder: a functional model from a view to a dict with `embedding` [B,D].
        batches: a finite dataset of (view, {"label": [B], "frame": [B], ...}), as `pipeline.clean_batches` gives it.

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
    embed = _embedder(tuple(encoders))
    embeddings, labels, frames, instances = [], [], [], []
    for view, facts in batches:
        embeddings.append([embedding.numpy() for embedding in embed(view)])
        labels.append(facts["label"].numpy())
        instances.append(facts["instance"].numpy())
        frames.extend(frame.decode() for frame in facts["frame"].numpy())
    if not labels:
        raise UserError("there are no samples to evaluate: check the split and its shards")
    known = np.concatenate(labels).astype(np.int64), np.array(frames), np.concatenate(instances).astype(np.int64)
    return [Features(_finite(np.concatenate(parts)), *known) for parts in zip(*embeddings, strict=True)]


# The training monitor calls with the same encoder again and again; a new graph each time would cost more than its run.
@functools.lru_cache(maxsize=4)
def _embedder(encoders):
    # Only the embeddings leave the graph: `predict` would also keep the feature maps, a hundred times larger.
    @tf.function(reduce_retracing=True)
    def embed(view):
        return [tf.cast(encoder(view, training=False)["embedding"], tf.float32) for encoder in encoders]

    return embed


def _finite(embeddings):
    if not np.all(np.isfinite(embeddings)):
        raise UserError("the encoder gives embeddings that are not finite: its training has diverged; lower base_lr")
    return embeddings
