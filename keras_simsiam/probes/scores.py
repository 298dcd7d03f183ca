"""Scores of a classifier's predictions: accuracies, their uncertainty, and what chance would give."""

import math

import numpy as np

from keras_simsiam.core.errors import UserError

Z_95 = 1.959964  # the 97.5 % quantile of the standard normal: two-sided 95 %


def require_labels(labels, what):
    """Refuse data that cannot be scored.

    Args:
        labels: int64 [N], −1 = unlabelled.
        what: the name of the data in the error line, such as "split train".

    Raises:
        UserError: there are no samples, or some are unlabelled.
    """
    if len(labels) == 0:
        raise UserError(f"{what} has no samples: choose another split")
    unlabelled = int(np.sum(labels < 0))
    if unlabelled:
        raise UserError(f"{what} has {unlabelled} of {len(labels)} samples without a label: kNN and linear need labels")


def top1(labels, predictions):
    """The fraction of correct predictions, in 0..1, for two int arrays [N] with N > 0."""
    return float(np.mean(labels == predictions))


def per_class(labels, predictions, num_classes):
    """The fraction of each class's samples that were predicted correctly (recall).

    Args:
        labels: int64 [N], in 0..num_classes−1.
        predictions: int64 [N].
        num_classes: the number of classes C.

    Returns:
        float64 [C] in 0..1; NaN for a class without samples in `labels`.
    """
    counts = np.bincount(labels, minlength=num_classes)
    correct = np.bincount(labels[labels == predictions], minlength=num_classes)
    return np.divide(correct, counts, out=np.full(num_classes, np.nan), where=counts > 0)


def mean_per_class(labels, predictions, num_classes):
    """The mean of `per_class` over the classes that `labels` holds, in 0..1."""
    return float(np.nanmean(per_class(labels, predictions, num_classes)))


def wilson_interval(accuracy, count):
    """The 95 % score interval of a proportion: Wilson, "Probable inference", JASA 22 (1927).

    Args:
        accuracy: the proportion, in 0..1.
        count: the number of independent trials, > 0.

    Returns:
        (low, high), within 0..1.
    """
    centre = accuracy + Z_95**2 / (2 * count)
    half = Z_95 * math.sqrt(accuracy * (1 - accuracy) / count + Z_95**2 / (4 * count**2))
    scale = 1 + Z_95**2 / count
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def majority_class(labels):
    """The most frequent label of an int64 [N] array, the lowest one of several."""
    return int(np.argmax(np.bincount(labels)))


def summarise(labels, predictions, num_classes):
    """All scores of one set of predictions, as plain numbers that JSON can hold.

    Args:
        labels: int64 [N], in 0..num_classes−1, N > 0.
        predictions: int64 [N], in the same range.
        num_classes: the number of classes C.

    Returns:
        A dict of fractions in 0..1: `top1`, its `interval` (low, high), `mean_per_class` and the list `per_class` [C],
        None for a class without samples.
    """
    accuracy = top1(labels, predictions)
    return {
        "top1": accuracy,
        "interval": wilson_interval(accuracy, len(labels)),
        "mean_per_class": mean_per_class(labels, predictions, num_classes),
        "per_class": [None if math.isnan(value) else value for value in per_class(labels, predictions, num_classes)],
    }
