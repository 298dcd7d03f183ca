"""All that watches a run, put together from its configuration."""

import dataclasses
import os

from keras_simsiam.core import settings
from keras_simsiam.probes import features
from keras_simsiam.training.monitors.collapse import CollapseWarning
from keras_simsiam.training.monitors.divergence import DivergenceWarning
from keras_simsiam.training.monitors.embeddings import Embeddings
from keras_simsiam.training.monitors.hparams import HParams
from keras_simsiam.training.monitors.knn import KNN
from keras_simsiam.training.monitors.log import Log, read
from keras_simsiam.training.monitors.memory import Memory
from keras_simsiam.training.monitors.progress import Progress
from keras_simsiam.training.monitors.views import Views
from keras_simsiam.views.batches import clean_batches

KNN_TEMPERATURE = 0.1


def run_callbacks(config, data, *, steps_per_epoch, position, draw, writer):
    """The callbacks that watch a run; each adds its numbers to an epoch's logs, and `Log`, the last, writes them.

    Args:
        config: a `RunConfig`.
        data: the run's `Data`.
        steps_per_epoch: optimizer steps of one epoch.
        position: the run's `checkpoints.Position`.
        draw: function from an epoch, from 0, to a tuple of views (`Views`).
        writer: a `tf.summary` writer.

    Returns:
        A list of Keras callbacks, in the order to call them.
    """
    metrics = os.path.join(config.workdir, "metrics.jsonl")
    earlier = read(metrics)
    flags = {
        name: settings.text(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(config).items()
        if name != "workdir"
    }
    return [
        Progress(config.batch_size, steps_per_epoch, config.epochs, position.epoch),
        Memory(),
        Views(draw, config.knn_every, os.path.join(config.workdir, "figures", "views.png"), writer, config.depth_input),
        # MoCo's loss begins low, on a queue of random keys, and rises as the queue fills; DINO's before its targets are centred
        DivergenceWarning(position, earlier, judges_loss=config.method not in ("mocov2", "dino")),
        *_label_monitors(config, data, position),
        CollapseWarning(earlier),
        HParams(writer, flags, config.workdir),
        Log(metrics, writer),
    ]


def _label_monitors(config, data, position):
    """The monitors that need labels to judge by; none where the data has no labels."""
    if data.bank is None or data.queries is None:
        return []
    bank, queries = (
        clean_batches(samples, config.preprocessing, batch_size=min(config.batch_size, features.BATCH))
        for samples in (data.bank, data.queries)
    )
    names = data.bank_classes or tuple(map(str, range(data.num_classes)))
    return [
        KNN(
            bank,
            queries,
            len(names),
            config.knn_every,
            config.knn_k,
            KNN_TEMPERATURE,
            config.epochs,
            position,
            config.parts,
        ),
        Embeddings(queries, names, os.path.join(config.workdir, "tensorboard"), config.epochs),
    ]
