"""The linear probe: logistic regression on cached frozen features."""

import warnings

import numpy as np
from absl import logging
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from keras_simsiam.probes.scores import require_labels

C = 1.0
MAX_ITERATIONS = 1000
PROTOCOL = (
    "multinomial logistic regression on frozen pooled features without augmentation, each feature standardised by the "
    f"training split's mean and deviation; L-BFGS, inverse L2 strength C={C:g}, at most {MAX_ITERATIONS} iterations"
)


def classify(train, train_labels, queries):
    """Fit the probe on the training features and predict a class for each query.

    The problem is convex: there is no learning rate, no augmentation and no seed to choose, and the same features give
    the same numbers. Published linear accuracies train a layer by SGD on augmented crops instead (Chen & He 2021,
    appendix A), so compare with them only loosely. A class that the training labels lack is never predicted.

    Example:
        >>> train, labels = np.float32([[0.0], [0.1], [0.9], [1.0]]), np.array([0, 0, 1, 1])
        >>> ks.linear_probe(train, labels, np.float32([[0.2], [0.8]]))
        array([0, 1])

    Args:
        train: float [N,D], frozen features.
        train_labels: int [N], ≥ 0.
        queries: float [M,D].

    Returns:
        int64 [M], the predicted classes.

    Raises:
        UserError: there are no training samples, or some are unlabelled.
    """
    probe, classes = _fit(train, train_labels)
    if probe is None:
        return np.full(len(queries), classes[0])
    return probe.predict(np.asarray(queries, np.float64))


def probabilities(train, train_labels, queries, num_classes):
    """What the probe that `classify` fits gives each class.

    Args:
        train, train_labels, queries: as in `classify`.
        num_classes: C, above every label.

    Returns:
        float64 [M,C], rows of sum 1; 0 for a class that the training labels lack.

    Raises:
        UserError: as `classify`.
    """
    probe, classes = _fit(train, train_labels)
    found = np.zeros((len(queries), num_classes))
    found[:, classes] = 1 if probe is None else probe.predict_proba(np.asarray(queries, np.float64))
    return found


def _fit(train, train_labels):
    """The fitted pipeline, and the classes of its columns; None of one class, where nothing is to be separated."""
    train_labels = np.asarray(train_labels, np.int64)
    require_labels(train_labels, "the linear probe's training set")
    classes = np.unique(train_labels)
    if len(classes) == 1:
        return None, classes  # scikit-learn refuses to fit it
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=MAX_ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said below, in one line
        # float64: in float32 the line search of L-BFGS stops early on rounding
        probe.fit(np.asarray(train, np.float64), train_labels)
    if probe[-1].n_iter_[0] >= MAX_ITERATIONS:
        logging.warning("the linear probe stopped after %d iterations, before it converged", MAX_ITERATIONS)
    return probe, classes
