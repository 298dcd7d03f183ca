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
    train_labels = np.asarray(train_labels, np.int64)
    require_labels(train_labels, "the linear probe's training set")
    if np.all(train_labels == train_labels[0]):
        return np.full(len(queries), train_labels[0])  # nothing to separate, which scikit-learn refuses to fit
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=MAX_ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said below, in one line
        # float64: in float32 the line search of L-BFGS stops early on rounding
        probe.fit(np.asarray(train, np.float64), train_labels)
    if probe[-1].n_iter_[0] >= MAX_ITERATIONS:
        logging.warning("the linear probe stopped after %d iterations, before it converged", MAX_ITERATIONS)
    return probe.predict(np.asarray(queries, np.float64))
