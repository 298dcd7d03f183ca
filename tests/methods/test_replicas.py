"""Two replicas compute what one computes of the same global batch, both with synchronised BatchNorm, whatever the method."""

import json
import os
import pickle
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.methods import small

pytestmark = pytest.mark.slow  # tracing a step of two replicas takes seconds, of each method

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


@pytest.fixture(scope="module")
def alone():
    """What each method makes of the global batches on one device."""
    results = {}

    def train(name):
        if name not in results:
            method = small.build(name)
            start = [variable.numpy() for variable in method.trainable_variables]
            results[name] = small.trained(method, small.batches(name))
            moved = [np.abs(now - then).max() for now, then in zip(method.trainable_variables, start, strict=True)]
            assert max(moved) > 1e-2
        return results[name]

    return train


@pytest.mark.parametrize("name", small.METHODS)
def test_two_devices_step_as_one(name, alone, two_replicas):
    with two_replicas.scope():
        method = small.build(name)
    small.assert_same(alone(name), small.trained(method, small.batches(name)))


WORKER = """
import pickle, sys
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
tf.get_logger().setLevel("ERROR")
from tests.methods import small
results = {}
for name in small.METHODS:
    with strategy.scope():
        method = small.build(name)
        half = lambda place: small.batches(name, slice(place.input_pipeline_id * 4, place.input_pipeline_id * 4 + 4))
        results[name] = small.trained(method, strategy.distribute_datasets_from_function(half))
with open(sys.argv[1], "wb") as file:
    pickle.dump(results, file)
"""


def test_two_processes_step_as_one(alone, tmp_path):
    addresses = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            addresses.append(f"127.0.0.1:{free.getsockname()[1]}")
    environment = os.environ | {"PYTHONPATH": ROOT}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path / str(index))],
            env=environment
            | {"TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})},
        )
        for index in range(2)
    ]
    try:
        assert [process.wait(timeout=900) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    for index in range(2):
        results = pickle.loads((tmp_path / str(index)).read_bytes())
        assert set(results) == set(small.METHODS)
        for name, result in results.items():
            small.assert_same(alone(name), result)
