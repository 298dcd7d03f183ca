"""The weighted k-nearest-neighbour classifier by which self-supervised learning watches its features."""

import mmap

import numpy as np
import tensorflow as tf

from keras_simsiam.evaluation.scores import require_labels

# What is in memory at a time, whatever the sizes of bank and queries: a chunk of the bank, and the similarities of a block of
# queries to it. Large chunks, as each costs another choice of the k nearest.
CHUNK_BYTES = 2**28
BLOCK_BYTES = 2**27
PROTOCOL = (
    "k={k} nearest neighbours by cosine on frozen pooled features without augmentation, votes weighted by "
    "exp(cosine/T) with T={temperature:g}, bank: the training split"
)


def classify(bank, bank_labels, queries, k, temperature, num_classes):
    """Predicts a class for each query from its k nearest rows of the bank.

    Features are compared by cosine similarity s; each of the k nearest votes for its class with weight exp(s / T)
    (Wu et al. 2018, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", section 3.4).
    Of equally similar bank rows the earlier one counts as nearer; of equal votes the lowest class wins.

    Args:
        bank: float [N,D], features of the labelled samples; any scale.
        bank_labels: int [N], in 0..num_classes−1.
        queries: float [M,D].
        k: the number of neighbours, ≥ 1; capped at N.
        temperature: T > 0, in units of cosine similarity.
        num_classes: the number of classes.

    Returns:
        int64 [M], the predicted classes.

    Raises:
        UserError: the bank is empty or has unlabelled rows.
        ValueError: k or temperature is out of range, or a label is not below num_classes.
    """
    if k < 1 or not temperature > 0:
        raise ValueError(f"k must be at least 1 and the temperature positive: got k={k}, T={temperature}")
    bank_labels = np.asarray(bank_labels, np.int64)
    require_labels(bank_labels, "the kNN bank")
    if bank_labels.max() >= num_classes:
        raise ValueError(f"label {bank_labels.max()} is outside the {num_classes} classes")
    similarities, rows = nearest(bank, queries, k)
    return _vote(similarities, bank_labels[rows], temperature, num_classes)


def nearest(bank, queries, k):
    """The k rows of the bank that are most similar to each query, by cosine; exact.

    The bank is read once, in chunks: it may be a memory map larger than memory.

    Args:
        bank: float [N,D], N > 0, any scale.
        queries: float [M,D].
        k: the number of neighbours, ≥ 1; capped at N.

    Returns:
        (similarities float32 [M,k] in −1..1, rows int64 [M,k] of the bank), the most similar first, of equals the earlier row.
    """
    k, size = min(k, len(bank)), bank.shape[1]
    chunk = max(1, min(len(bank), CHUNK_BYTES // (4 * size)))
    block = max(1, min(len(queries), BLOCK_BYTES // (4 * chunk)))
    part, products = np.empty((chunk, size), np.float32), np.empty(block * chunk, np.float32)
    found = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    for first in range(0, len(bank), chunk):
        rows = _normalised(bank[first : first + chunk], part)
        for start in range(0, len(queries), block):
            some = slice(start, start + block)
            asked = _normalised(queries[some])
            similarities = products[: len(asked) * len(rows)].reshape(len(asked), len(rows))
            # NumPy keeps full float32; on a GPU TensorFlow may round to 10 bits, and T = 0.1 turns that into other votes.
            np.matmul(asked, rows.T, out=similarities)
            nearer = _top(similarities, np.arange(first, first + len(rows)), k)
            for kept, new in zip(found, _merged([kept[some, :first] for kept in found], nearer, k), strict=True):
                kept[some, : new.shape[1]] = new
    return found


def _top(similarities, rows, k):
    values, places = tf.math.top_k(similarities, min(k, similarities.shape[1]))  # of equals the earlier
    return values.numpy(), rows[places.numpy()]


def _merged(kept, nearer, k):
    """The k best of two lists for each query, each a pair (similarities, rows) [M,≤k]; those of `kept` are earlier rows."""
    values, rows = (np.concatenate(pair, axis=1) for pair in zip(kept, nearer, strict=True))
    best, places = tf.math.top_k(values, min(k, values.shape[1]))
    return best.numpy(), np.take_along_axis(rows, places.numpy(), axis=1)


def _normalised(features, out=None):
    """Rows scaled to unit length, in `out` where there is one; a zero row stays zero, equally far from everything."""
    scaled = np.empty(features.shape, np.float32) if out is None else out[: len(features)]
    scaled[...] = features
    _release(features)
    lengths = np.sqrt(np.einsum("nd,nd->n", scaled, scaled))[:, None]
    scaled /= np.maximum(lengths, 1e-12)
    return scaled


def _release(array):
    """Takes the pages of a read-only memory map out of this process's memory; they are read again where needed."""
    if getattr(array, "mode", None) != "r":
        return
    while not isinstance(array, mmap.mmap):
        array = array.base
    array.madvise(mmap.MADV_DONTNEED)


def _vote(similarities, labels, temperature, num_classes):
    """The class with the largest sum of weights; similarities and labels are [M,k], nearest first."""
    # Dividing a query's weights by its largest changes no winner and keeps a small T from overflowing.
    weights = np.exp((similarities - similarities[:, :1]).astype(np.float64) / temperature)
    cells = np.arange(len(labels))[:, None] * num_classes + labels
    votes = np.bincount(cells.ravel(), weights.ravel(), minlength=len(labels) * num_classes)
    return votes.reshape(len(labels), num_classes).argmax(axis=1)
