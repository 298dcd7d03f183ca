"""How many dimensions features use."""

import numpy as np


def effective_rank(embeddings):
    """The effective rank of centred embeddings: exp of the entropy of their normalised singular values.

    Roy & Vetterli, The effective rank, EUSIPCO 2007, Definition 1. It catches dimensional collapse, which leaves the spread of
    single channels alone.

    Args:
        embeddings: float [N,D].

    Returns:
        A float from 1 to min(N, D); 0 where all embeddings are the same.
    """
    singular = np.linalg.svd(embeddings - embeddings.mean(axis=0), compute_uv=False)
    if singular[0] <= 1e-6 * max(1.0, float(np.abs(embeddings).max())):
        return 0.0
    shares = singular / singular.sum()
    shares = shares[shares > 0]
    return float(np.exp(-np.sum(shares * np.log(shares))))
