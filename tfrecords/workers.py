"""The records of one worker out of several, as tf.distribute.MultiWorkerMirroredStrategy needs them."""

import tensorflow as tf

from keras_simsiam.core.errors import UserError
from tfrecords import corrupt_shards, reader


def share(info: reader.Info, split: str, context: tf.distribute.InputContext) -> reader.Info:
    """The data set with one worker's stretch of a split: every record falls to exactly one worker.

    The stretches follow each other in the order written and differ by at most one record, whatever the shards hold; a
    worker opens only those shards that its stretch lies in. Where that is, dataset.json does not say: each worker reads
    the split once to count. Meant for `strategy.distribute_datasets_from_function`, which never shards by itself.

    Args:
      info: the data set.
      split: name of the split.
      context: which worker of how many, as tf.distribute passes it to the dataset function.

    Raises:
      UserError: there is no such split, a shard is damaged or cannot be read, or there are more workers than records.
    """
    workers, worker = context.num_input_pipelines, context.input_pipeline_id
    count = reader.get_split(info, split).count
    if count < workers:
        raise UserError(f"split {split} of {info.path} has {count} frames for {workers} workers: use at most {count}")
    if workers == 1:
        return info
    return reader.only(info, split, _overlaps(corrupt_shards.counts(info, split), worker, workers))


def start(count: int, worker: int, workers: int) -> int:
    """The place, from 0, of the first record of a worker's stretch in a split of `count` records."""
    return count * worker // workers


def _overlaps(counts, worker, workers):
    """The part of each shard that lies in a worker's stretch: first record, number of records."""
    total = sum(counts)
    begin, end = start(total, worker, workers), start(total, worker + 1, workers)
    ranges, before = [], 0
    for count in counts:
        first, last = max(begin - before, 0), min(end - before, count)
        ranges.append((first, max(last - first, 0)))
        before += count
    return tuple(ranges)
