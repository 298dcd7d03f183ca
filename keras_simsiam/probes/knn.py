"""The weighted k-nearest-neighbour classifier by which self-supervised learning watches its features."""

import mmap

import numpy as np
import tensorflow as tf

from keras_simsiam.probes.scores import require_labels

# Rows of the bank and queries that are compared at a time, whatever their numbers: 16 MB of similarities, which should stay in
# the processor's cache.
CHUNK, BLOCK = 4096, 1024
PROTOCOL = (
    "k={k} nearest neighbours by cosine on frozen pooled features without augmentation, votes weighted by "
    "exp(cosine/T) with T={temperature:g}, bank: the training split"
)


def classify(bank, bank_labels, queries, k=20, temperature=0.1, num_classes=None):
    """Predict a class for each query from its k nearest rows of the bank.

    Features are compared by cosine similarity s; each of the k nearest votes for its class with weight exp(s / T)
    (Wu et al. 2018, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", section 3.4).
    Of equally similar bank rows the earlier one counts as nearer; of equal votes the lowest class wins.

    Example:
        >>> bank, labels = np.float32([[1, 0], [0.9, 0.1], [0, 1]]), np.array([0, 0, 1])
        >>> ks.knn(bank, labels, np.float32([[2, 0.1], [0, 3]]), k=1)
        array([0, 1])

    Args:
        bank: float [N,D], features of the labelled samples; any scale.
        bank_labels: int [N], in 0..num_classes−1.
        queries: float [M,D].
        k: the number of neighbours, ≥ 1; capped at N.
        temperature: T > 0, in units of cosine similarity.
        num_classes: the number of classes; None: one more than the highest label of the bank.

    Returns:
        int64 [M], the predicted classes.

    Raises:
        UserError: the bank is empty or has unlabelled rows.
        ValueError: k or temperature is out of range, or a label is not below num_classes.
    """
    return votes(bank, bank_labels, queries, k, temperature, num_classes).argmax(axis=1)


def votes(bank, bank_labels, queries, k=20, temperature=0.1, num_classes=None):
    """The votes that `classify` counts.

    Args:
        bank, bank_labels, queries, k, temperature, num_classes: as in `classify`.

    Returns:
        float64 [M,C], each class's sum of weights, in units of the nearest neighbour's.

    Raises:
        UserError, ValueError: as `classify`.
    """
    if k < 1 or not temperature > 0:
        raise ValueError(f"k must be at least 1 and the temperature positive: got k={k}, T={temperature}")
    bank_labels = np.asarray(bank_labels, np.int64)
    require_labels(bank_labels, "the kNN bank")
    num_classes = int(bank_labels.max()) + 1 if num_classes is None else num_classes
    if bank_labels.max() >= num_classes:
        raise ValueError(f"label {bank_labels.max()} is outside the {num_classes} classes")
    similarities, rows = nearest(bank, queries, k)
    return _votes(similarities, bank_labels[rows], temperature, num_classes)


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
    chunk, block = min(CHUNK, len(bank)), min(BLOCK, len(queries))
    part, products = np.empty((chunk, size), np.float32), np.empty(block * chunk, np.float32)
    best = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    for first in range(0, len(bank), CHUNK):
        rows = _normalised(bank[first : first + CHUNK], part)
        for start in range(0, len(queries), BLOCK):
            some = slice(start, start + BLOCK)
            asked = _normalised(queries[some])
            similarities = products[: len(asked) * len(rows)].reshape(len(asked), len(rows))
            # NumPy keeps full float32; on a GPU TensorFlow may round to 10 bits, and T = 0.1 turns that into other votes.
            np.matmul(asked, rows.T, out=similarities)
            kept = best[0][some, :first], best[1][some, :first]
            for best_part, new in zip(best, _merged(*kept, similarities, first, k), strict=True):
                best_part[some, : new.shape[1]] = new
    return best


def _merged(values, rows, similarities, first, k):
    """The k best of what was found so far, (values, rows) [M,≤k], and of similarities [M,n] to the rows from `first` on."""
    if values.shape[1] < k:
        places = np.broadcast_to(np.arange(first, first + similarities.shape[1]), similarities.shape)
        return _best(values, rows, similarities, places, k)
    # Choosing k out of all would take longer than the products; those that are better than the worst so far are few.
    query, place = np.divmod(np.flatnonzero(similarities > values[:, -1:]), similarities.shape[1])
    if not len(query):
        return values, rows
    column = np.arange(len(query)) - np.searchsorted(query, query)  # a query's better ones side by side, in their order
    better = np.full((len(values), column.max() + 1), -np.inf, np.float32)
    places = np.zeros(better.shape, np.int64)
    better[query, column], places[query, column] = similarities[query, place], first + place
    return _best(values, rows, better, places, k)


def _best(values, rows, later, later_rows, k):
    """The k best of two lists for each query; of equals the first."""
    values, rows = np.concatenate([values, later], axis=1), np.concatenate([rows, later_rows], axis=1)
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
    """Take the pages of a read-only memory map out of this process's memory; they are read again where needed."""
    if getattr(array, "mode", None) != "r":
        return
    while not isinstance(array, mmap.mmap):
        array = array.base
    array.madvise(mmap.MADV_DONTNEED)


def _votes(similarities, labels, temperature, num_classes):
    """The sum of weights of each class; similarities and labels are [M,k], nearest first."""
    # Dividing a query's weights by its largest changes no winner and keeps a small T from overflowing.
    weights = np.exp((similarities - similarities[:, :1]).astype(np.float64) / temperature)
    cells = np.arange(len(labels))[:, None] * num_classes + labels
    sums = np.bincount(cells.ravel(), weights.ravel(), minlength=len(labels) * num_classes)
    return sums.reshape(len(labels), num_classes)
