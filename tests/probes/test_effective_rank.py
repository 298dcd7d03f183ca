"""The effective rank of known spectra."""

import numpy as np
import pytest

from keras_simsiam.probes.effective_rank import effective_rank


def test_effective_rank_of_known_spectra():
    random = np.random.default_rng(0)
    basis = np.linalg.qr(random.normal(size=(64, 8)))[0]
    isotropic = basis - basis.mean(axis=0)
    assert effective_rank(isotropic) == pytest.approx(8, abs=0.3)
    line = np.outer(np.linspace(-1, 1, 50), np.ones(16))
    assert effective_rank(line) == pytest.approx(1, abs=1e-3)
    assert effective_rank(np.ones((50, 16))) == 0
