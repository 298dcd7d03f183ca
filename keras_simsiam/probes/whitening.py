"""Whitening: features that are compared by cosine, with the same variance along all their principal axes."""

import dataclasses
from collections.abc import Sequence

import numpy as np

KINDS = ("whitened", "standardized", "none")
_CHUNK = 4096  # rows that are read at a time: features may be a memory map larger than memory
_CUT = 1e-6  # of the largest variance: axes below it hold nothing that is known well, and get 0
_ESTIMATED = 20_000  # rows that the shrinkage is estimated from, at most
SHORTEST = 1e-12  # what a part is divided by at least: one of zeros stays so


@dataclasses.dataclass(frozen=True)
class Scaling:
    """A map of features: x ↦ (x − mean) · matrix, and then, of several parts, each part to length 1.

    Attributes:
        mean: float32 [D].
        matrix: float32 [D,D], symmetric, so that a feature keeps its place; of several parts a block each.
        shrinkage: s of each part, of whitening; else empty.
        parts: P, equal parts of a feature.
    """

    mean: np.ndarray
    matrix: np.ndarray
    shrinkage: tuple[float, ...] = ()
    parts: int = 1

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Features [...,D] as float32 [...,D]."""
        scaled = (np.asarray(features, np.float32) - self.mean) @ self.matrix
        if self.parts == 1:
            return scaled
        parts = scaled.reshape(*scaled.shape[:-1], self.parts, -1)
        lengths = np.linalg.norm(parts, axis=-1, keepdims=True)
        return (parts / np.maximum(lengths, SHORTEST)).reshape(scaled.shape)


class Scaled:
    """Features [N,D] that are scaled where they are read: they may be a memory map larger than memory."""

    def __init__(self, features, scaling):
        """
        Args:
            features: float [N,D].
            scaling: a `Scaling`.
        """
        self.features, self.scaling, self.shape = features, scaling, features.shape

    def __len__(self):
        return len(self.features)

    def __getitem__(self, rows):
        return self.scaling(self.features[rows])


def fit(features: Sequence, kind: str = "whitened", *, parts: int = 1, shrinkage: float | None = None) -> Scaling:
    """Fits the scaling of features that no label is needed for.

    `standardized`: each feature has mean 0 and variance 1. `whitened`: so has every direction. With the covariance's
    eigenvalues λ, their mean μ and its eigenvectors V, matrix = V · diag(1/√((1 − s)·λ + s·μ)) · Vᵀ, s the shrinkage
    (Ledoit & Wolf, A well-conditioned estimator for large-dimensional covariance matrices, 2004): the fewer the rows for a
    dimension, the more of what tells the axes apart is noise. An axis without a millionth of the largest
    variance, shrinkage included, gets 0. `none` changes nothing.

    A few directions of large variance decide a cosine and hide what the others hold: an effective rank
    (`effective_rank`) far below D says so. Of features that were joined, as colour's and depth's are, the part of larger norm
    decides; with `parts` each is scaled apart and then has length 1, so that the cosine is the mean of theirs.

    Example:
        >>> bank = np.float32([[0, 0], [10, 1], [0, 1], [10, 0]])
        >>> whitening.fit(bank, shrinkage=0)(bank).round(3).tolist()
        [[-1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]]

    Args:
        features: float [N,D], N > 0, read once in chunks.
        kind: one of KINDS.
        parts: P, which divides D: equal parts of a feature that are scaled apart; `none` leaves them.
        shrinkage: s in 0..1; None: as Ledoit & Wolf estimate it, of the first 20,000 rows at most.

    Returns:
        A `Scaling`.
    """
    size = features.shape[1]
    if kind == "none":
        return Scaling(np.zeros(size, np.float32), np.eye(size, dtype=np.float32))
    mean, covariance = _moments(features)
    if kind == "standardized":
        matrix = np.diag(_inverse_root(np.diag(covariance)))
        return Scaling(np.float32(mean), np.float32(matrix), parts=parts)
    matrix, shrinkages = np.zeros((size, size), np.float32), []
    for first in range(0, size, size // parts):
        part = slice(first, first + size // parts)
        shrinkages.append(_estimated(features[:_ESTIMATED][:, part]) if shrinkage is None else shrinkage)
        matrix[part, part] = _whitening(covariance[part, part], shrinkages[-1])
    return Scaling(np.float32(mean), matrix, tuple(shrinkages), parts)


def _estimated(features):
    from sklearn.covariance import ledoit_wolf_shrinkage  # slow to load, and training imports this module

    return float(ledoit_wolf_shrinkage(np.asarray(features)))


def _whitening(covariance, shrinkage):
    variances, axes = np.linalg.eigh(covariance)
    scales = _inverse_root((1 - shrinkage) * variances + shrinkage * variances.mean())
    return (axes * scales) @ axes.T


def _moments(features):
    """Mean [D] and covariance [D,D], float64; about the first chunk's mean, so that no large numbers cancel."""
    origin = np.asarray(features[:_CHUNK], np.float64).mean(axis=0)
    total, products = np.zeros(len(origin)), np.zeros((len(origin), len(origin)))
    for first in range(0, len(features), _CHUNK):
        chunk = np.asarray(features[first : first + _CHUNK], np.float64) - origin
        total += chunk.sum(axis=0)
        products += chunk.T @ chunk
    mean = total / len(features)
    return origin + mean, products / len(features) - np.outer(mean, mean)


def _inverse_root(variances):
    """1/√v, and 0 where the variance is zero."""
    held = variances > _CUT * variances.max(initial=0)
    return np.where(held, 1 / np.sqrt(np.where(held, variances, 1)), 0)
