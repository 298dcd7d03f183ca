"""Encoder and classifier trained together on a few labels, after Chen et al. (SimCLR), ICML 2020, appendix B.5.

docs/evaluation_tasks.md says how it differs.
"""

import dataclasses

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.methods.supervised import Supervised
from keras_simsiam.optimization.optimizers import TorchSGD
from keras_simsiam.optimization.schedules import HalfCosine, scaled_rate
from keras_simsiam.probes.scores import top1
from keras_simsiam.views import cache
from keras_simsiam.views.batches import view_batches
from keras_simsiam.views.preprocessing import Preprocessing, clean_view

BATCH = 32  # at most; small, so that a few labels are several steps an epoch


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained: SGD with momentum 0.9, half a cosine of the rate, neither warm-up nor weight decay.

    Attributes:
        epochs: of the labelled frames.
        base_lr: the rate is base_lr · B/256, of encoder and classifier alike.
        seed: of the classifier's first weights, the order and the views.
    """

    epochs: int
    base_lr: float
    seed: int


@dataclasses.dataclass(frozen=True)
class Frames:
    """Labelled frames by row, decoded and encoded once and kept in memory.

    Attributes:
        decode: graph function from a row to a sample of images and label (keras_simsiam.views.cache).
        labels: int64 [N].
        preprocessing: the encoder's.
    """

    decode: object
    labels: np.ndarray
    preprocessing: Preprocessing

    def views(self, rows, augmentation, *, batch_size, seed):
        """Batches of two views of these rows, as training draws them, without end."""
        return view_batches(
            tf.data.Dataset.from_tensor_slices(np.asarray(rows, np.int64)),
            self.decode,
            count=len(rows),
            preprocessing=self.preprocessing,
            augmentation=augmentation,
            batch_size=batch_size,
            seed=seed,
        )

    def clean(self, rows, batch_size):
        """Batches of clean views of these rows, in their order."""
        frames = tf.data.Dataset.from_tensor_slices(np.asarray(rows, np.int64)).map(self.decode)
        views = frames.map(lambda frame: clean_view(frame, self.preprocessing), tf.data.AUTOTUNE)
        return views.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def keep(samples, places, labels, *, preprocessing, limit_gb):
    """Reads some frames of a data set into memory.

    Args:
        samples: a tf.data.Dataset of Samples.
        places: int [n], ascending, of the frames in it; row i is the frame at places[i].
        labels: int64 [N], of the whole data set.
        preprocessing: the encoder's.
        limit_gb: the most that may be kept, in units of 10⁹ bytes.

    Returns:
        `Frames`.

    Raises:
        UserError: more memory is needed than that.
    """
    chosen = np.zeros(len(labels), bool)
    chosen[places] = True
    wanted = samples.enumerate().filter(lambda place, _: tf.gather(tf.constant(chosen), place))
    try:
        _, decode = cache.in_memory(
            wanted.map(lambda _, sample: sample),
            lambda sample: sample,
            preprocessing=preprocessing,
            limit_gb=limit_gb,
        )
    except UserError as error:
        raise UserError(
            f"`cache_gb={limit_gb:g}`: {len(places)} frames to learn from and validate by do not fit into memory; "
            "allow more, or lower `finetune_fractions` or `draws`"
        ) from error
    return Frames(decode, labels[places], preprocessing)


def train(encoder, num_classes, *, frames, rows, validation, augmentation, recipe):
    """Trains a copy of an encoder, and a linear classifier on its embedding, and keeps the epoch that validates best.

    Args:
        encoder: a functional model from a view to a dict with `embedding` [B,D]; its weights stay as they are.
        num_classes: C.
        frames: `Frames`.
        rows: int [n], those with labels to learn from.
        validation: int [v], those that choose the epoch, the last of several that are equally right.
        augmentation: an `Augmentation`.
        recipe: a `Recipe`.

    Returns:
        (network, accuracies): a functional model from a view to a dict, `embedding` the logits float32 [B,C], so that
        `features.extract_each` takes it; and the validation accuracy after each epoch, a list.

    Raises:
        UserError: the loss is not finite.
    """
    keras.utils.set_random_seed(recipe.seed)
    network, method = _build(encoder, num_classes)
    batch = min(BATCH, len(rows))
    steps = len(rows) // batch
    rate = scaled_rate(recipe.base_lr, batch)
    method.compile(TorchSGD(HalfCosine(rate, recipe.epochs, steps, cosine_per="step")))
    best = _Best(network, frames.clean(validation, 2 * BATCH), frames.labels[validation])
    batches = frames.views(rows, augmentation, batch_size=batch, seed=recipe.seed)
    method.fit(batches, epochs=recipe.epochs, steps_per_epoch=steps, verbose=0, callbacks=[best])
    network.set_weights(best.weights)
    return network, best.accuracies


def best_epoch(accuracies):
    """The epoch, from 1, that validates best; the last of several."""
    return len(accuracies) - accuracies[::-1].index(max(accuracies))


def _build(encoder, num_classes):
    copy = keras.models.clone_model(encoder)
    copy.set_weights(encoder.get_weights())
    copy.trainable = True
    classifier = keras.layers.Dense(num_classes, dtype="float32", name="classifier")
    network = keras.Model(copy.input, {"embedding": classifier(copy.output["embedding"])})
    return network, Supervised(copy, classifier)


class _Best(keras.callbacks.Callback):
    """Keeps the weights of the epoch whose clean views of the validation frames are classified best."""

    def __init__(self, network, views, labels):
        super().__init__()
        self.views = views
        self.labels = labels
        self.network = network
        self.accuracies = []
        self._predict = tf.function(lambda view: tf.argmax(network(view, training=False)["embedding"], -1))

    def on_epoch_end(self, epoch, logs=None):
        if not np.isfinite(logs["loss"]):
            raise UserError("fine-tuning diverges: its loss is not finite; lower `finetune_lr`")
        predicted = np.concatenate([self._predict(view).numpy() for view in self.views])
        self.accuracies.append(top1(self.labels, predicted))
        if self.accuracies[-1] >= max(self.accuracies):
            self.weights = self.network.get_weights()
