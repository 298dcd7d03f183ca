"""What methods do across the replicas of a step: see all of the global batch, and move a copy of a network along."""

import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.keras_compat import tf_variable
from keras_simsiam.models.dropout import ResumableDropout


def gather(x):
    """The replicas' `[B,...]` one after the other, `[R·B,...]`; gradients flow back to where each row came from."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return x
    gathered = tf.distribute.get_replica_context().all_gather(x, axis=0)
    return tf.ensure_shape(gathered, [None, *x.shape[1:]])  # which the operation forgets


def mean(x):
    """The mean of the replicas' `x`, of any shape, on each of them: of the means over their shares that over the batch."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return x
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, x)


def first_row(x):
    """Where this replica's rows of `[B,...]` begin in what `gather` gives: int32 scalar."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return tf.constant(0)
    return tf.distribute.get_replica_context().replica_id_in_sync_group * tf.shape(x)[0]


def copy_of(model, dropout=True):
    """A model of the same layers and the same weights, for `move`.

    It stays trainable, for a BatchNorm that is not uses its moving statistics even in training: the method that owns it
    leaves it out of its `trained_variables`.

    Args:
        model: a functional keras.Model.
        dropout: False: the copy has no dropout and no stochastic depth.

    Returns:
        A keras.Model whose weights come in the same order.
    """
    copy = _clone(model, dropout)
    copy.set_weights(model.get_weights())
    return copy


def _clone(layer, dropout):
    if isinstance(layer, keras.Model):
        return keras.models.clone_model(layer, clone_function=lambda inner: _clone(inner, dropout))
    config = layer.get_config()
    if not dropout and isinstance(layer, ResumableDropout):
        config["rate"] = 0.0
    if isinstance(layer, keras.layers.BatchNormalization):
        config["synchronized"] = layer.synchronized  # which Keras leaves out of a layer's configuration
    return type(layer).from_config(config)


def move(copies, models, momentum):
    """Moves each copy's parameters toward its model's: copy ← m · copy + (1 − m) · model.

    BatchNorm's moving statistics are not parameters: a copy that runs with training=True makes its own, as published.

    Args:
        copies: models as `copy_of` makes them.
        models: what they are copies of.
        momentum: m in 0..1, a number or scalar tensor.
    """
    targets = [tf_variable(variable) for copy in copies for variable in copy.trainable_variables]
    sources = [tf_variable(variable) for model in models for variable in model.trainable_variables]

    def step(strategy, momentum):
        for target, source in zip(targets, sources, strict=True):
            strategy.extended.update(target, _mix, args=(source, momentum))

    tf.distribute.get_replica_context().merge_call(step, args=(tf.cast(momentum, tf.float32),))


def _mix(target, source, momentum):
    return target.assign(momentum * target + (1 - momentum) * source)
