"""What differs between Keras 2.15 (TensorFlow 2.15) and Keras 3 (TensorFlow 2.21): the only module that asks which it is."""

import io
import json
import zipfile
from collections.abc import Sequence

import h5py
import tensorflow as tf
from tensorflow import keras

KERAS_3 = hasattr(keras, "Variable")  # the lazy `keras` of TensorFlow 2.15 does not tell its version
symbolic = keras.ops if KERAS_3 else tf  # where the operations on tensors between layers are, such as `split` and `pad`
OTHER_STACK = f"by Keras {2 if KERAS_3 else 3}, on Python {'3.11' if KERAS_3 else '3.12 or 3.13'}"


def set_precision(policy: str) -> None:
    """Make `policy`, such as `mixed_bfloat16`, that of the layers to come."""
    if KERAS_3:
        keras.mixed_precision.set_dtype_policy(policy)
    else:
        keras.mixed_precision.set_global_policy(policy)


def precision() -> str:
    """The name of the policy of the layers to come."""
    return (keras.mixed_precision.dtype_policy() if KERAS_3 else keras.mixed_precision.global_policy()).name


def tf_variable(variable) -> tf.Variable:
    """The tf.Variable of a weight: Keras 3 wraps it in a keras.Variable."""
    return variable.value if KERAS_3 and isinstance(variable, keras.Variable) else variable


def add_variable(layer: keras.layers.Layer, name: str, value: tf.Tensor, *, trainable: bool = False):
    """Give a layer a weight that begins at `value`, and of which each replica assigns the same.

    Returns:
        The tf.Variable. Gradients and checkpoints know the weight as the layer's.
    """
    first = tf.VariableAggregation.ONLY_FIRST_REPLICA
    if not KERAS_3:
        return tf.Variable(value, name=name, trainable=trainable, aggregation=first)
    weight = layer.add_weight(
        name=name,
        shape=value.shape,
        dtype=value.dtype.name,
        initializer=lambda shape, dtype: value,
        trainable=trainable,
        aggregation="only_first_replica",
    )
    return tf_variable(weight)


def other_keras(path: str) -> str | None:
    """The version of Keras that saved a `.keras` file, where this one cannot read it: the other of 2 and 3; else None."""
    try:
        with zipfile.ZipFile(path) as archive:
            version = json.loads(archive.read("metadata.json"))["keras_version"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # whoever loads it says what is wrong with it
    return None if version.startswith("3.") == KERAS_3 else version


def holds_weights_of(path: str, model: keras.Model) -> bool:
    """Whether the weights in a `.keras` file have the shapes of a model's: Keras leaves out in silence what a model lacks."""
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
        shapes = []
        weights.visititems(lambda _, entry: shapes.append(entry.shape) if isinstance(entry, h5py.Dataset) else None)
    return sorted(shapes) == sorted(tuple(variable.shape) for variable in model.variables)


def is_of_other_keras(checkpoint: str) -> bool:
    """Whether a checkpoint of a `Store` was written under the other of Keras 2 and 3; False where it cannot be read."""
    try:
        names = [name for name, _ in tf.train.list_variables(checkpoint)]
    except Exception:  # of many kinds, by what of a file is damaged
        return False
    # where a checkpoint has the means of an epoch: `untracked` puts them there, Keras 2 finds them in the method
    return any(name.startswith("method/_means/" if KERAS_3 else "metrics/") for name in names)


def untracked(model: keras.Model) -> dict:
    """What tf.train.Checkpoint does not find in a model by itself, by names for its arguments: Keras 3 hides its metrics."""
    if not KERAS_3:
        return {}
    return {"metrics": [tf_variable(variable) for metric in model.metrics for variable in metric.variables]}


def inner(optimizer):
    """The optimizer that moves the weights: of one that scales the loss, as for float16, the one inside."""
    return optimizer.inner_optimizer if _scales(optimizer) else optimizer


def scaled(optimizer, loss: tf.Tensor) -> tf.Tensor:
    """The loss as the tape has to see it: scaled where the optimizer does that, as for float16."""
    if not _scales(optimizer):
        return loss
    return optimizer.scale_loss(loss) if KERAS_3 else optimizer.get_scaled_loss(loss)


def apply_gradients(optimizer, gradients: Sequence[tf.Tensor], variables: Sequence) -> list[tf.Tensor]:
    """One step of the optimizer, in a replica's context.

    Args:
        optimizer: a built one.
        gradients: this replica's, of the `scaled` loss.
        variables: what they are gradients of.

    Returns:
        The gradients that moved the weights: summed over the replicas, without the loss's scale.
    """
    if not KERAS_3:
        if _scales(optimizer):
            gradients = optimizer.get_unscaled_gradients(gradients)
        # summed here and not by `apply_gradients`, so that they can be returned
        summed = inner(optimizer).aggregate_gradients(list(zip(gradients, variables, strict=True)))
        optimizer.apply_gradients(summed, skip_gradients_aggregation=True)
        return [gradient for gradient, _ in summed]
    known = [gradient for gradient in gradients if gradient is not None]
    # Keras sums them once more inside `apply`, and does not return them
    summed = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, known)
    if not _scales(optimizer):
        optimizer.apply(gradients, variables)
        return summed
    scale = optimizer.dynamic_scale if optimizer.built else optimizer.initial_scale
    summed = [gradient / scale for gradient in summed]  # before the step, which may change the scale
    steps = optimizer.iterations + 1
    optimizer.apply(gradients, variables)
    # a step that overflows is left out, but counts: the schedule goes on, as in Keras 2
    optimizer.iterations.assign(steps)
    return summed


def train_function(model: keras.Model):
    """A function from an iterator of batches to a step's numbers, by `train_step` on each replica; those of the first count.

    Keras 3's own takes their mean over the replicas, which fails where this process has one of several workers.
    """
    if not KERAS_3:
        return model.make_train_function()
    step = tf.function(model.train_step, jit_compile=True) if model.jit_compile else model.train_step
    strategy = model.distribute_strategy

    @tf.function
    def function(iterator):
        logs = strategy.run(step, args=(next(iterator),))
        return {name: strategy.experimental_local_results(value)[0] for name, value in logs.items()}

    return function


def _scales(optimizer):
    return isinstance(optimizer, keras.mixed_precision.LossScaleOptimizer)


class _FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras 3's layer, computed on feature maps as Keras 2 does: by TensorFlow's kernel, whose moving variance is unbiased.

    It is also faster, as a map is read once. Keras 3 has moments and a normalisation, and the biased variance.
    """

    def call(self, inputs, training=None, mask=None):
        if self.synchronized or len(inputs.shape) not in (4, 5):
            return super().call(inputs, training=training, mask=mask)
        training = bool(training) and self.trainable
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            tf.convert_to_tensor(self.gamma) if self.scale else tf.ones_like(self.moving_mean),
            tf.convert_to_tensor(self.beta) if self.center else tf.zeros_like(self.moving_mean),
            mean=None if training else tf.convert_to_tensor(self.moving_mean),
            variance=None if training else tf.convert_to_tensor(self.moving_variance),
            epsilon=self.epsilon,
            is_training=training,
            data_format="NHWC" if len(inputs.shape) == 4 else "NDHWC",
        )
        if training:
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(self.momentum * moving + (1 - self.momentum) * batch)
        return outputs


BatchNormalization = keras.layers.BatchNormalization
if KERAS_3:
    _FusedBatchNormalization.__name__ = "BatchNormalization"  # by which the weights in a .keras file are found
    BatchNormalization = keras.utils.register_keras_serializable("keras_simsiam")(_FusedBatchNormalization)


def portable(model: keras.Model) -> keras.Model:
    """The model of Keras's own layers, for a `.keras` file that can be loaded without this package where Keras suffices."""
    return _with_batch_norm(model, keras.layers.BatchNormalization) if KERAS_3 else model


def load_model(path: str) -> keras.Model:
    """The model of a `.keras` file, uncompiled; the opposite of `portable`.

    Raises:
        OSError, ValueError: it is damaged.
    """
    model = keras.models.load_model(path, compile=False)
    functional = KERAS_3 and isinstance(model, keras.Model) and not isinstance(model, keras.Sequential)
    return _with_batch_norm(model, BatchNormalization) if functional else model


def _with_batch_norm(model, batch_norm):
    """A copy of a functional model, weights included, with another class of BatchNorm."""

    def clone(layer):
        if isinstance(layer, keras.Model):
            return keras.models.clone_model(layer, clone_function=clone)
        kind = batch_norm if isinstance(layer, keras.layers.BatchNormalization) else type(layer)
        return kind.from_config(layer.get_config())

    copy = clone(model)
    copy.set_weights(model.get_weights())
    return copy


class MomentumOptimizer(keras.optimizers.Optimizer):
    """Base of an optimizer with one velocity a variable, whose variables may follow learning rates of their own.

    A subclass defines `move(velocity, gradient, variable, rate)`, all tf.Variables and tensors.
    """

    def __init__(self, learning_rate, overrides=(), name=None):
        """
        Args:
            learning_rate: a float or a schedule.
            overrides: pairs (variables, learning rate or schedule) for those that do not follow `learning_rate`, found by
                identity, not by name. They are part of this object only: `get_config` does not hold them.
            name: the optimizer's name.
        """
        # Keras's own weight_decay stays unset: it is decoupled from the gradient
        if KERAS_3:
            super().__init__(learning_rate, name=name)
        else:
            super().__init__(name=name, jit_compile=False)
            self._learning_rate = self._build_learning_rate(learning_rate)
        # the bound method rather than the dict, which Keras would wrap and try to checkpoint
        self._override = {self._var_key(variable): rate for variables, rate in overrides for variable in variables}.get

    def build(self, var_list):
        super().build(var_list)
        if hasattr(self, "velocities"):
            return
        self.velocities = [self.add_variable_from_reference(variable, "velocity") for variable in var_list]

    def rate_of(self, variable):
        """The learning rate that a variable follows, a scalar or a schedule: the optimizer's, or its override."""
        return self._override(self._var_key(variable), self._learning_rate)

    def update_step(self, gradient, variable, learning_rate=None):
        """Called by Keras; its third argument is Keras 3's."""
        key = self._var_key(variable)
        rate = self._override(key, self.learning_rate)
        if callable(rate):
            rate = rate(self.iterations)
        index = self._get_variable_index(variable) if KERAS_3 else self._index_dict[key]
        self.move(tf_variable(self.velocities[index]), gradient, variable, tf.cast(rate, variable.dtype))

    def move(self, velocity, gradient, variable, rate):
        """Make the velocity and the variable the next ones."""
        raise NotImplementedError

    def learning_rate_config(self):
        """The learning rate or schedule, as `get_config` returns it."""
        if KERAS_3:
            return super().get_config()["learning_rate"]
        return self._serialize_hyperparameter(self._learning_rate)
