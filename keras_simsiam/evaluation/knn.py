"""The weighted k-nearest-neighbour classifier by which self-supervised learning watches its features."""

import numpy as np
import tensorflow as tf

from keras_simsiam.evaluation.scores import require_labels

QUERIES_PER_CHUNK = 256  # bounds the similarity matrix: 256 queries against 100,000 bank rows are 100 MB
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
    bank = _normalised(bank)
    predictions = [np.zeros(0, np.int64)]
    for start in range(0, len(queries), QUERIES_PER_CHUNK):
        # NumPy keeps full float32; on a GPU TensorFlow may round to 10 bits, and T = 0.1 turns that into other votes.
        similarities = _normalised(queries[start : start + QUERIES_PER_CHUNK]) @ bank.T
        nearest, rows = tf.math.top_k(similarities, min(k, len(bank)))
        predictions.append(_vote(nearest.numpy(), bank_labels[rows.numpy()], temperature, num_classes))
    return np.concatenate(predictions)


def _normalised(features):
    """Rows scaled to unit length; a zero row stays zero, equally far from everything."""
    features = np.asarray(features, np.float32)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, 1e-12)


def _vote(similarities, labels, temperature, num_classes):
    """The class with the largest sum of weights; similarities and labels are [M,k], nearest first."""
    # Dividing a query's weights by its largest changes no winner and keeps a small T from overflowing.
    weights = np.exp((similarities - similarities[:, :1]).astype(np.float64) / temperature)
    cells = np.arange(len(labels))[:, None] * num_classes + labels
    votes = np.bincount(cells.ravel(), weights.ravel(), minlength=len(labels) * num_classes)
    return votes.reshape(len(labels), num_classes).argmax(axis=1)
