"""Extracting features against the two things it cannot do without: the pipeline alone and the encoder alone.

    python -m benchmarks.features --encoder=runs/rgbd --data_dir=data/washington

Pipeline: a pass over the split's clean batches. Encoder: the embeddings of as many batches, of eight that are in memory.
Extraction: a pass with both, written to disk as evaluate.py keeps it. The three take turns; the ratio is that of extraction to
the sum of the others.
"""

from keras_simsiam.core.command import run_command

import collections
import itertools
import os
import statistics
import tempfile

import tensorflow as tf
from absl import flags

from benchmarks import machine
from keras_simsiam.evaluation import feature_store
from keras_simsiam.evaluation.encoders.compared import compare
from keras_simsiam.evaluation.encoders.source import resolve
from keras_simsiam.views.batches import clean_batches
from tfrecords import Dataset

flags.DEFINE_string("encoder", None, "As for evaluate.py.", required=True)
flags.DEFINE_string("data_dir", None, "Data set, whose split test is embedded.", required=True)
flags.DEFINE_integer("copies", 8, "How often the split is read in a pass: building the graphs takes seconds of each.")
flags.DEFINE_integer("rounds", 5, "Turns of each of the three.")
flags.DEFINE_bool("busy", False, "Counts the seconds of the processor's cores, on a machine that others use too.")
flags.DEFINE_integer("batch_size", 64, "Images embedded at a time.")

HELD = 8  # batches in memory, embedded again and again


def main():
    settings = flags.FLAGS
    print(machine.describe())
    compared, dataset = compare(resolve(settings.encoder)), Dataset(settings.data_dir)
    name, count = compared.names[0], settings.copies * dataset.splits["test"].count
    samples = dataset.samples("test").repeat(settings.copies)
    batches = clean_batches(samples, compared.preprocessing, batch_size=settings.batch_size)
    held = list(batches.take(HELD))
    encoder = compared.encoders[name]  # read from its file here, not in the graph function below
    network = tf.function(lambda view: encoder(view, training=False)["embedding"], reduce_retracing=True)

    def encode():
        for batch in itertools.islice(itertools.cycle(held), -(-count // settings.batch_size)):
            network(batch[0]).numpy()

    with tempfile.TemporaryDirectory() as folder:
        numbers = itertools.count()

        def extract():
            keeper = feature_store.Store(os.path.join(folder, str(next(numbers))), 100)
            keeper.features({name: "new"}, count, lambda names: compared.embed(names, samples, settings.batch_size))

        calls = (lambda: collections.deque(batches, maxlen=0), encode, extract)
        seconds = machine.in_turns(settings.rounds, *calls, clock=machine.clock(settings.busy))
    ratio = statistics.median(whole / (bare + alone) for bare, alone, whole in zip(*seconds, strict=True))
    bare, alone, whole = (statistics.median(taken) for taken in seconds)
    print("| frames | pipeline, s | encoder, s | extraction, s | ratio |\n|---|---|---|---|---|")
    print(f"| {count} | {bare:.2f} | {alone:.2f} | {whole:.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    run_command(main)
