"""Several workers: together they read every record once, in streams of one length."""

import json
import os
import socket
import subprocess
import sys

import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from tfrecords import Dataset


def _names(dataset):
    return [dataset.decode(record)["frame"].numpy().decode() for record in dataset.records("train")]


def _shares(dataset, number):
    return [dataset.share("train", tf.distribute.InputContext(number, worker)) for worker in range(number)]


@pytest.mark.parametrize("counts", [[4, 4], [1, 7, 3], [9], [2, 2, 2, 2, 2]])
@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_disjoint_complete_and_equally_long(write_shards, counts, number):
    dataset = Dataset(write_shards(counts))
    shares = [_names(share) for share in _shares(dataset, number)]
    everything = [name for names in shares for name in names]
    assert sorted(everything) == sorted(_names(dataset))
    assert {len(names) for names in shares} <= {sum(counts) // number, -(-sum(counts) // number)}
    assert [len(names) for names in shares] == [share.splits["train"].count for share in _shares(dataset, number)]


def test_a_worker_opens_its_own_shards_only(write_shards):
    dataset = Dataset(write_shards([2, 2, 2, 2]))
    opened = [[os.path.basename(shard) for shard in share.splits["train"].shards] for share in _shares(dataset, 2)]
    assert opened == [["0.tfrecord", "1.tfrecord"], ["2.tfrecord", "3.tfrecord"]]


def test_more_workers_than_frames(write_shards):
    dataset = Dataset(write_shards([2]))
    with pytest.raises(UserError, match="has 2 frames for 3 workers: use at most 2"):
        dataset.share("train", tf.distribute.InputContext(3, 0))


WORKER = """
import json, sys
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
from tfrecords import Dataset
dataset = Dataset(sys.argv[1])
def make_batches(context):
    share = dataset.share("train", context)
    per_worker = dataset.splits["train"].count // context.num_input_pipelines
    names = share.records("train").take(per_worker).map(lambda record: dataset.decode(record)["frame"])
    return names.batch(context.get_per_replica_batch_size(4), drop_remainder=True)
names, steps = [], 0
@tf.function
def step(batch):
    context = tf.distribute.get_replica_context()
    return context.all_reduce("SUM", tf.size(batch))
for batch in strategy.distribute_datasets_from_function(make_batches):
    names += [name.decode() for name in strategy.experimental_local_results(batch)[0].numpy()]
    assert int(strategy.experimental_local_results(strategy.run(step, args=(batch,)))[0]) == 4
    steps += 1
print(json.dumps([steps, names]))
"""


@pytest.mark.slow
def test_two_processes_under_the_strategy(write_shards):
    """Every step takes an all-reduce of both: streams of unequal length would hang or fail."""
    data = write_shards([3, 7, 3])  # 13: 6 each in 3 steps of 2 + 2, the odd one is left out
    addresses = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            addresses.append(f"127.0.0.1:{free.getsockname()[1]}")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, data],
            env=os.environ
            | {"TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})},
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    outputs = [process.communicate(timeout=240)[0] for process in processes]
    (steps, first), (other_steps, second) = (json.loads(output.splitlines()[-1]) for output in outputs)
    assert steps == other_steps == 3
    assert len({*first, *second}) == 12
