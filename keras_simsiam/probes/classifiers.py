"""The classifiers of frozen features, with what they print of themselves."""

import dataclasses
from collections.abc import Callable

from keras_simsiam.probes import knn, linear, linear_sgd, scores


@dataclasses.dataclass(frozen=True)
class Probe:
    """One way to classify frozen features."""

    title: str  # short, with the settings that change the score
    protocol: str  # the whole of it in one line
    classify: Callable  # (train features [N,D], their labels [N], queries [M,D]) -> predicted labels [M]


def nearest(k, temperature, num_classes):
    """The Probe of `knn.classify` with these settings."""

    def classify(bank, labels, queries):
        return knn.classify(bank, labels, queries, k, temperature, num_classes)

    return Probe(f"kNN (k={k}, T={temperature:g})", knn.PROTOCOL.format(k=k, temperature=temperature), classify)


def logistic():
    """The Probe of `linear.classify`."""
    return Probe(f"linear, L-BFGS (C={linear.C:g})", linear.PROTOCOL, linear.classify)


def stochastic(recipe, num_classes, seed):
    """The Probe of `linear_sgd.classify` by a recipe of `linear_sgd.RECIPES`."""

    def classify(train, labels, queries):
        return linear_sgd.classify(train, labels, queries, recipe, num_classes, seed)

    title = f"linear, {recipe.title} (rate {recipe.base_lr:g}, {recipe.epochs} epochs)"
    return Probe(title, f"{recipe.protocol}; seed {seed}", classify)


def available(k, temperature, num_classes):
    """The probes, by the name that asks for them.

    Args:
        k: the neighbours of kNN, ≥ 1.
        temperature: T of kNN, > 0.
        num_classes: the number of classes of the data set.

    Returns:
        A dict from name to Probe.
    """
    return {"knn": nearest(k, temperature, num_classes), "linear": logistic()}


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
