"""Training of a depth network: probe, finetune or switch (Ray, section 3), the best epoch chosen on validation frames."""

import dataclasses
import itertools

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.core.settings import Checked, setting
from keras_simsiam.dense.monodepth import network
from keras_simsiam.dense.monodepth.decoder import DECODERS
from keras_simsiam.dense.monodepth.frames import Crops, Scale, training_batches

# strategy -> share of the epochs in which the encoder is frozen
STRATEGIES = {"probe": 1.0, "finetune": 0.0, "switch": 0.5}


@dataclasses.dataclass(frozen=True)
class Settings(Checked):
    """What decides a training, with the published values."""

    depth_decoder: str = setting("blocks", "Of the last map only, or of all stages.", choices=DECODERS)
    depth_epochs: int = setting(70, "Epochs of each.", low=1)
    depth_batch_size: int = setting(64, "Frames of a step, at most all.", low=1)
    depth_lr: float = setting(1e-4, "Learning rate of Adam.", above=0)


@dataclasses.dataclass(frozen=True)
class Material:
    """What is learnt from.

    Attributes:
        frames: of the training split, what `frames.prepared` gives, cached.
        scale: their `frames.Scale`.
        validation: `frames.Crops` to choose the epoch by, or None.
        image_size: S.
    """

    frames: tf.data.Dataset
    scale: Scale
    validation: Crops | None
    image_size: int


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained depth network.

    Attributes:
        model: with the weights of the chosen epoch, from rgb [B,S,S,3] in 0..1 to depth [B,S,S] in metres.
        epoch: the chosen one, from 1: that of the lowest validation error, or the last where there is no validation split.
        train: mean squared error of each epoch's batches as they were trained on, m².
        validation: mean squared error after each epoch, m²; empty without a validation split.
    """

    model: keras.Model
    epoch: int
    train: list[float]
    validation: list[float]


def train(encoder, strategy, material, settings, seed):
    """Train a decoder behind an encoder, and the encoder too where the strategy says so.

    The loss is the mean squared error of standardised depth over measured pixels. Adam as PyTorch has it: an encoder that was
    frozen starts without moments, the decoder keeps its own. A frozen encoder's BatchNorm keeps its moving statistics.

    Args:
        encoder: what `network.colour_encoder` gives; it is copied, not changed.
        strategy: a name of STRATEGIES.
        material: a `Material`.
        settings: a `Settings`.
        seed: of the decoder's weights, the order and the crops.

    Returns:
        A `Trained`.

    Raises:
        UserError: the error is no longer finite.
        RuntimeError: a frozen encoder has changed.
    """
    keras.utils.set_random_seed(seed)
    scale, image_size = material.scale, material.image_size
    built = network.build(encoder, settings.depth_decoder, image_size, scale)
    best = _Best(built.model, material.validation)
    batch_size, losses = min(settings.depth_batch_size, scale.count), []
    batches = iter(
        training_batches(material.frames, scale.count, image_size=image_size, batch_size=batch_size, seed=seed)
    )
    frozen_epochs = round(STRATEGIES[strategy] * settings.depth_epochs)
    optimizers = [_adam(settings), _adam(settings)]
    for epoch in range(settings.depth_epochs):
        if epoch in (0, frozen_epochs):
            step = _step(built, optimizers, scale.std, frozen=epoch < frozen_epochs)
        losses.append(_epoch(step, itertools.islice(batches, scale.count // batch_size)))
        best.see(epoch)
    if frozen_epochs == settings.depth_epochs:
        _require_unchanged(encoder, built.encoder)
    best.restore()
    return Trained(built.model, best.epoch + 1, losses, best.errors)


def predict(model, rgb, batch_size=64):
    """Depth of images, in inference mode.

    Args:
        model: of a `Trained`.
        rgb: float32 [N,S,S,3] in 0..1.
        batch_size: images at a time.

    Returns:
        float32 [N,S,S], metres, of any sign.
    """
    parts = [model(rgb[start : start + batch_size], training=False) for start in range(0, len(rgb), batch_size)]
    return np.concatenate([part.numpy() for part in parts])


def squared_error(prediction, truth):
    """Sum of the squared errors over measured pixels, and how many there are.

    Args:
        prediction: float32 tensor [B,S,S], metres.
        truth: float32 tensor [B,S,S], metres, 0 = missing.

    Returns:
        Two float32 scalars: m², and pixels.
    """
    measured = tf.cast(truth > 0, tf.float32)
    return tf.reduce_sum(measured * tf.square(prediction - truth)), tf.reduce_sum(measured)


def _adam(settings):
    return keras.optimizers.Adam(settings.depth_lr, epsilon=1e-8)  # PyTorch's ε


def _step(built, optimizers, std, frozen):
    """A graph function from (rgb, depth) to `squared_error` of a batch that it has trained on."""
    built.encoder.trainable = not frozen
    encoder_variables = built.encoder.trainable_variables
    known = {id(variable) for variable in encoder_variables}
    others = [variable for variable in built.model.trainable_variables if id(variable) not in known]
    groups = [pair for pair in zip(optimizers, (others, encoder_variables), strict=True) if pair[1]]
    for optimizer, variables in groups:
        optimizer.build(variables)  # outside of the graph function, which would else be traced twice

    @tf.function
    def step(rgb, depth):
        with tf.GradientTape() as tape:
            total, measured = squared_error(built.model(rgb, training=True), depth)
            loss = tf.math.divide_no_nan(total, measured) / std**2
        gradients = iter(tape.gradient(loss, others + encoder_variables))
        for optimizer, variables in groups:
            optimizer.apply_gradients([(next(gradients), variable) for variable in variables])
        return total, measured

    return step


def _epoch(step, batches):
    """Train on all batches; their mean squared error, m²."""
    totals = np.sum([[float(part) for part in step(rgb, depth)] for rgb, depth in batches], axis=0)
    error = float(totals[0] / max(1.0, totals[1]))
    if not np.isfinite(error):
        raise UserError("the depth network's error is not finite: lower `depth_lr`")
    return error


def _require_unchanged(before, after):
    pairs = zip(before.get_weights(), after.get_weights(), strict=True)
    if not all(np.array_equal(*pair) for pair in pairs):
        raise RuntimeError("the frozen encoder has changed while its decoder was trained")


class _Best:
    """The weights of the epoch of the lowest validation error; without validation frames those of the last one."""

    def __init__(self, model, validation):
        self.model, self.validation = model, validation
        self.epoch, self.errors, self._weights = 0, [], None

    def see(self, epoch):
        """Take note of the model as it is after an epoch, counted from 0."""
        if self.validation is None:
            self.epoch = epoch
            return
        predicted = tf.constant(predict(self.model, self.validation.rgb))
        total, measured = squared_error(predicted, tf.constant(self.validation.depth))
        self.errors.append(float(tf.math.divide_no_nan(total, measured)))
        if self._weights is None or self.errors[-1] < self.errors[self.epoch]:
            self.epoch, self._weights = epoch, self.model.get_weights()

    def restore(self):
        """Give the model the weights of the chosen epoch."""
        if self._weights is not None:
            self.model.set_weights(self._weights)
