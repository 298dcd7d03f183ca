"""Keras callbacks that watch a run: progress, throughput, kNN, collapse, and the log that keeps it all."""

import json
import sys
import time

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tqdm import tqdm

from keras_simsiam.evaluation import features, knn

# below this share of an isotropic output's spread a run counts as collapsed (Chen & He, Figure 2: 0 without stop-gradient)
COLLAPSED = 0.05


class Progress(keras.callbacks.Callback):
    """A progress bar with images/s and the time left; adds `images_per_second` to each epoch's logs.

    The rate counts the time between an epoch's first and last step, so that graph building and the other callbacks, which
    work between epochs, do not blur it.
    """

    def __init__(self, batch_size, steps_per_epoch, epochs, first_epoch):
        super().__init__()
        self.batch_size = batch_size
        self.epoch_images = batch_size * steps_per_epoch
        self.epochs = epochs
        self.first_epoch = first_epoch

    def on_train_begin(self, logs=None):
        total, done = self.epochs * self.epoch_images, self.first_epoch * self.epoch_images
        self.bar = tqdm(total=total, initial=done, unit="img", desc="training", mininterval=1, dynamic_ncols=True)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.first_step_ended = epoch, None
        self.bar.set_description(f"epoch {epoch + 1}/{self.epochs}", refresh=False)

    def on_train_batch_end(self, batch, logs=None):
        if self.first_step_ended is None:
            self.first_step_ended, self.first_step = time.perf_counter(), batch
        spread = next(value for name, value in logs.items() if name.startswith("std_"))
        self.bar.set_postfix(loss=f"{logs['loss']:.3f}", std=f"{spread:.2f}", refresh=False)
        # a resumed epoch begins with another step than its first
        self.bar.update(self.epoch * self.epoch_images + (batch + 1) * self.batch_size - self.bar.n)

    def on_epoch_end(self, epoch, logs=None):
        images = self.epoch_images - (self.first_step + 1) * self.batch_size
        if images:
            logs["images_per_second"] = images / (time.perf_counter() - self.first_step_ended)

    def on_train_end(self, logs=None):
        self.bar.close()


class KNN(keras.callbacks.Callback):
    """Every few epochs the kNN accuracy of held-out queries against a bank; adds `knn` and `effective_rank` to the logs.

    It only watches: no choice in training depends on it.
    """

    def __init__(self, bank, queries, num_classes, every, k, temperature, epochs):
        """
        Args:
            bank: batches as `pipeline.clean_batches` makes them, labelled.
            queries: the same, of samples that training does not see.
            num_classes: number of labels.
            every: epochs between two measurements; the last epoch is always measured.
            k: neighbours.
            temperature: of the votes.
            epochs: number of epochs of the run.
        """
        super().__init__()
        self.bank = bank
        self.queries = queries
        self.num_classes = num_classes
        self.every = every
        self.k = k
        self.temperature = temperature
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every and epoch + 1 != self.epochs:
            return
        bank, queries = (features.extract(self.model.encoder, batches) for batches in (self.bank, self.queries))
        predicted = knn.classify(
            bank.embeddings, bank.labels, queries.embeddings, self.k, self.temperature, self.num_classes
        )
        logs["knn"] = float(np.mean(predicted == queries.labels))
        logs["effective_rank"] = effective_rank(queries.embeddings)


class CollapseWarning(keras.callbacks.Callback):
    """Says once, loudly, that a run has collapsed: the loss alone does not show it."""

    warned = False

    def on_epoch_end(self, epoch, logs=None):
        spreads = {name: value for name, value in logs.items() if name.startswith("std_")}
        collapsed = {name: value for name, value in spreads.items() if value < COLLAPSED}
        if collapsed and not self.warned:
            self.warned = True
            values = ", ".join(f"{name}={value:.3f}" for name, value in collapsed.items())
            tqdm.write(
                f"WARNING: collapsed in epoch {epoch + 1} ({values}; healthy is near 1): all samples get the same output. "
                "Likely causes: --stop_gradient=false, a --base_lr or --weight_decay too large, heads without BatchNorm.",
                file=sys.stderr,
            )


class Log(keras.callbacks.Callback):
    """Writes each epoch's numbers to metrics.jsonl and to TensorBoard, with the learning rate."""

    def __init__(self, jsonl, writer):
        """
        Args:
            jsonl: path of the file that gets a line an epoch.
            writer: a `tf.summary` writer.
        """
        super().__init__()
        self.jsonl = jsonl
        self.writer = writer

    def on_epoch_begin(self, epoch, logs=None):
        optimizer = self.model.optimizer
        rate = optimizer.learning_rate
        # a schedule's rate is only known to the optimizer after its next step
        schedule = getattr(optimizer, "_learning_rate", rate)
        self.rate = float(schedule(optimizer.iterations) if callable(schedule) else rate)

    def on_epoch_end(self, epoch, logs=None):
        logs["learning_rate"] = self.rate
        with self.writer.as_default(step=epoch + 1):
            for name, value in logs.items():
                tf.summary.scalar(name, value)
        self.writer.flush()
        numbers = {"epoch": epoch + 1, **{name: float(value) for name, value in logs.items()}}
        with open(self.jsonl, "a") as file:
            file.write(json.dumps(numbers) + "\n")


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


def view_grid(views, samples=8):
    """A picture of view pairs: a row a sample; its first view's images, then its second's.

    Args:
        views: a tuple of two views, each a dict of float32 [B,S,S,C] in 0..1, of which three channels are shown.
        samples: number of rows.

    Returns:
        uint8 [rows·S, columns·S, 3], with two columns for RGB or HHA alone and four for both.
    """
    columns = [
        images[:samples, ..., :3].numpy()
        for view in views
        for images in (view[name] for name in ("rgb", "hha") if name in view)
    ]
    rows = [np.concatenate(row, axis=1) for row in zip(*columns, strict=True)]
    return np.round(np.concatenate(rows, axis=0) * 255).astype(np.uint8)
