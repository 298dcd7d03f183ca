"""Which precision this machine can compute in."""

import pytest
import tensorflow as tf

from keras_simsiam import distribution
from keras_simsiam.errors import UserError


def test_float16_needs_a_gpu(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    with pytest.raises(UserError, match="--precision=mixed_float16: there is no GPU here; use mixed_bfloat16"):
        distribution.check_precision("mixed_float16")
    distribution.check_precision("mixed_bfloat16")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    distribution.check_precision("mixed_float16")
