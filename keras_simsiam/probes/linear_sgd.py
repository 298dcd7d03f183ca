"""The linear probe as FAIR trains it, by SGD or LARS with momentum, here on cached features."""

import dataclasses
import math

import numpy as np

from keras_simsiam.optimization.schedules import scaled_rate
from keras_simsiam.probes.scores import require_labels

MOMENTUM = 0.9
TRUST = 1e-3  # of LARS


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A published way to train the classifier.

    Attributes:
        title: short, for a table's head.
        source: where it is published.
        base_lr: learning rate of a batch of 256; it grows with the batch.
        batch: samples a step; all of a smaller training set.
        epochs: passes over the training set.
        drops: epochs at which the rate falls to a tenth; none: half a cosine, which moves once an epoch.
        lars: whether each variable's gradient is scaled to TRUST times the norm of the variable.
    """

    title: str
    source: str
    base_lr: float
    batch: int
    epochs: int
    drops: tuple[int, ...] = ()
    lars: bool = False

    @property
    def protocol(self):
        """The whole of it in one line."""
        schedule = f"divided by 10 at epochs {', '.join(map(str, self.drops))}" if self.drops else "half a cosine"
        optimizer = f"LARS (trust {TRUST:g})" if self.lars else "SGD"
        return (
            f"softmax layer on frozen pooled features as they are, without augmentation (published: with random crops and "
            f"flips); {optimizer}, momentum {MOMENTUM:g}, rate {self.base_lr:g}·batch/256, {schedule}, batch {self.batch} "
            f"or the whole training split, {self.epochs} epochs, no weight decay, weights from N(0, 0.01); {self.source}"
        )

    def rate(self, epoch, batch):
        """The learning rate of an epoch, from 0, at that batch size."""
        initial = scaled_rate(self.base_lr, batch)
        if self.drops:
            return initial * 0.1 ** sum(epoch >= drop for drop in self.drops)
        return initial * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))


RECIPES = {
    "sgd": Recipe("SGD", "He et al., MoCo, CVPR 2020, section 4.1", 30.0, 256, 100, drops=(60, 80)),
    "lars": Recipe("LARS", "Chen & He 2021, appendix A, at the rate of their code", 0.1, 4096, 90, lars=True),
}


def classify(train, train_labels, queries, recipe, num_classes, seed=0):
    """Train the classifier on the training features and predict a class for each query.

    Args:
        train: float [N,D], frozen features; a memory map is read batch by batch.
        train_labels: int [N], in 0..num_classes−1.
        queries: float [M,D].
        recipe: a `Recipe`.
        num_classes: number of classes.
        seed: of the initial weights and the order.

    Returns:
        int64 [M], the predicted classes.

    Raises:
        UserError: there are no training samples, or some are unlabelled.
    """
    return np.argmax(logits(train, train_labels, queries, recipe, num_classes, seed), axis=1)


def logits(train, train_labels, queries, recipe, num_classes, seed=0):
    """The classifier's outputs before the softmax, float32 [M,C]; arguments and errors as of `classify`."""
    train_labels = np.asarray(train_labels, np.int64)
    require_labels(train_labels, "the linear probe's training set")
    weights, biases = fit(train, train_labels, recipe, num_classes, seed)
    return np.asarray(queries, np.float32) @ weights + biases


def fit(train, labels, recipe, num_classes, seed=0):
    """Train the classifier; arguments as of `classify`.

    Returns:
        (weights float32 [D,C], biases float32 [C]).
    """
    random = np.random.default_rng(seed)
    variables = [
        random.normal(0, 0.01, (train.shape[1], num_classes)).astype(np.float32),
        np.zeros(num_classes, np.float32),
    ]
    velocities = [np.zeros_like(variable) for variable in variables]
    batch = min(recipe.batch, len(train))
    for epoch in range(recipe.epochs):
        rate, order = np.float32(recipe.rate(epoch, batch)), random.permutation(len(train))
        for start in range(0, len(train), batch):
            rows = np.sort(order[start : start + batch])  # in the order of a file that may be behind
            gradients = _gradients(np.asarray(train[rows], np.float32), labels[rows], *variables)
            for variable, velocity, gradient in zip(variables, velocities, gradients, strict=True):
                velocity *= np.float32(MOMENTUM)
                velocity += _scaled(variable, gradient) if recipe.lars else gradient
                variable -= rate * velocity
    return variables


def _gradients(features, labels, weights, biases):
    """Gradients of the mean cross-entropy of a batch [B,D] with respect to weights and biases."""
    logits = features @ weights + biases
    errors = np.exp(logits - logits.max(axis=1, keepdims=True))
    errors /= errors.sum(axis=1, keepdims=True)
    errors[np.arange(len(labels)), labels] -= 1
    errors /= len(labels)
    return features.T @ errors, errors.sum(axis=0)


def _scaled(variable, gradient):
    """The gradient as FAIR's code takes it, by apex.parallel.LARC without clipping: the bias is scaled too, once not zero."""
    weight, update = np.linalg.norm(variable), np.linalg.norm(gradient)
    return gradient * (TRUST * weight / update) if weight and update else gradient
