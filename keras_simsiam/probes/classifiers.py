"""The classifiers of frozen features, with what they print of themselves."""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy.special import softmax

from keras_simsiam.probes import knn, linear, linear_sgd, scores


@dataclasses.dataclass(frozen=True)
class Probe:
    """One way to classify frozen features."""

    title: str  # short, with the settings that change the score
    protocol: str  # the whole of it in one line
    classify: Callable  # (train features [N,D], their labels [N], queries [M,D]) -> predicted labels [M]
    probabilities: Callable  # the same arguments -> float [M,C], rows of sum 1


def nearest(k, temperature, num_classes):
    """The Probe of `knn.classify` with these settings."""

    def classify(bank, labels, queries):
        return knn.classify(bank, labels, queries, k, temperature, num_classes)

    def probabilities(bank, labels, queries):
        votes = knn.votes(bank, labels, queries, k, temperature, num_classes)
        return votes / votes.sum(axis=1, keepdims=True)

    protocol = knn.PROTOCOL.format(k=k, temperature=temperature)
    return Probe(f"kNN (k={k}, T={temperature:g})", protocol, classify, probabilities)


def logistic(num_classes):
    """The Probe of `linear.classify`."""

    def probabilities(train, labels, queries):
        return linear.probabilities(train, labels, queries, num_classes)

    return Probe(f"linear, L-BFGS (C={linear.C:g})", linear.PROTOCOL, linear.classify, probabilities)


def stochastic(recipe, num_classes, seed):
    """The Probe of `linear_sgd.classify` by a recipe of `linear_sgd.RECIPES`."""

    def classify(train, labels, queries):
        return linear_sgd.classify(train, labels, queries, recipe, num_classes, seed)

    def probabilities(train, labels, queries):
        return softmax(linear_sgd.logits(train, labels, queries, recipe, num_classes, seed), axis=1)

    title = f"linear, {recipe.title} (rate {recipe.base_lr:g}, {recipe.epochs} epochs)"
    return Probe(title, f"{recipe.protocol}; seed {seed}", classify, probabilities)


def available(k, temperature, num_classes):
    """The probes, by the name that asks for them.

    Args:
        k: the neighbours of kNN, ≥ 1.
        temperature: T of kNN, > 0.
        num_classes: the number of classes of the data set.

    Returns:
        A dict from name to Probe.
    """
    return {"knn": nearest(k, temperature, num_classes), "linear": logistic(num_classes)}


def predict(probes, train, test):
    """Fit every probe on one encoder's training features and predict its test features.

    The test labels take no part in it.

    Args:
        probes: a dict from name to Probe.
        train: Features of the training split, all labelled.
        test: Features of the test split.

    Returns:
        A dict from the probe's name to the predicted labels, int64 [M].

    Raises:
        UserError: a training sample has no label.
    """
    return {name: probe.classify(train.embeddings, train.labels, test.embeddings) for name, probe in probes.items()}


def fused(probe, train, train_labels, queries):
    """Late fusion: a probe of each modality, and the class of the largest mean of their probabilities.

    Reference: the sum rule of Kittler et al., On Combining Classifiers, PAMI 1998, section 2.

    Args:
        probe: a `Probe`.
        train: a list of float [N,D], features of the training samples, one of each modality.
        train_labels: int [N], ≥ 0.
        queries: a list of float [M,D], in the same order.

    Returns:
        (of each modality apart, a list of int64 [M]; of both, int64 [M]), the predicted classes.
    """
    found = [probe.probabilities(one, train_labels, asked) for one, asked in zip(train, queries, strict=True)]
    return [each.argmax(axis=1) for each in found], np.mean(found, axis=0).argmax(axis=1)


def chance(train_labels, labels, num_classes):
    """What no features at all give: always the training set's most frequent class, and a uniform guess.

    Args:
        train_labels: int64 [N], ≥ 0.
        labels: int64 [M], ≥ 0, the labels to be predicted.
        num_classes: the number of classes C.

    Returns:
        A dict from a description to a summary (`scores.summarise`; of the uniform guess only its expected `top1`).
    """
    constant = labels * 0 + scores.majority_class(train_labels)
    return {
        "always the most frequent class": scores.summarise(labels, constant, num_classes),
        f"uniform guess, 1/{num_classes}": {"top1": 1 / num_classes},
    }
