"""What every method shares: the train step and the collapse measure."""

from collections.abc import Sequence

import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core import keras_compat
from keras_simsiam.methods import replicas


class Method(keras.Model):
    """A self-supervised method: an encoder, and an objective on two views of each sample.

    A subclass adds its heads and defines `objective`, to be held against the paper's pseudocode. The objective hands the
    outputs that it compares to `watch`, for the loss does not show a collapse.

    A batch is a dict (`views.batches.view_batches`): `views`, a tuple of two views of the same samples, each a dict of
    `rgb` and/or `hha`, float32 [B,S,S,C]; `label`, int64 [B], -1 = unlabelled; `index`, int64 [B], places in the data set.
    A method reads what it needs of them. One with `multi_crop` takes any number of small views after the two, all of one size.

    Example:
        >>> method = SimSiam(encoder, projector(512), predictor())
        >>> method.compile(keras.optimizers.SGD(0.0125, momentum=0.9))
        >>> method.fit(batches, epochs=100, steps_per_epoch=150)
    """

    multi_crop = False  # whether `objective` takes small views after the two large ones

    def __init__(self, encoder: keras.Model, watched: Sequence[str], *, name: str | None = None):
        """
        Args:
            encoder: a model from a view to a dict with `embedding` [B,D] (keras_simsiam.models.encoder).
            watched: names of the outputs that `objective` hands to `watch`.
            name: the method's name.
        """
        super().__init__(name=name)
        self.built = True  # Keras 3 would call it on a batch, as if that were a view, to find out its variables
        self.encoder = encoder
        self.copies = ()  # of the network, which no gradient moves (keras_simsiam.methods.replicas)
        self.second_task = None  # a `rotation.RelativeRotation`, whose loss is added to the objective
        self.accumulate = 1
        self.distribute_reduction_method = "first"  # all replicas log the same, of which Keras would take the sum
        # made here and not at their first use: a checkpoint would restore those made later after Keras has reset them
        names = ["loss", "gradient_norm", *(f"std_{output}" for output in watched)]
        self._means = {name: keras.metrics.Mean(name) for name in names}

    def compile(self, optimizer="rmsprop", *, jit_compile=False, accumulate: int = 1, **kwargs):
        """As `keras.Model.compile`, but with XLA only where it is asked for, which Keras 3 is not: on CPUs it is slower.

        Args:
            optimizer: a Keras optimizer.
            jit_compile: whether XLA compiles the step.
            accumulate: N, the parts in which a batch is computed, one after the other, for one step of the optimizer; it
                divides the batch of a replica. Memory is that of a part. A part is what BatchNorm takes its statistics of,
                whose moving ones move N times a step, and what the loss compares, negatives included.
            **kwargs: of `keras.Model.compile`.
        """
        super().compile(optimizer, jit_compile=jit_compile, **kwargs)
        self.accumulate = accumulate

    def call(self, view, training=False):
        """The encoder's features of a view; heads are for training only."""
        return self.encoder(view, training=training)

    def objective(self, batch: dict) -> tf.Tensor:
        """What is minimised of a batch: a float32 scalar, the mean over this replica's share of the global batch."""
        raise NotImplementedError

    def train_step(self, batch: dict) -> dict:
        """One step of the optimizer on a batch; returns the running means of the epoch."""
        variables = self.trained_variables
        loss, gradients = self._loss_and_gradients(batch, variables)
        gradients = keras_compat.apply_gradients(self.optimizer, gradients, variables)
        self._means["gradient_norm"].update_state(*finite_norm(gradients))
        self.after_step()
        self._means["loss"].update_state(replicas.mean(loss))
        return {name: metric.result() for name, metric in self._all_means().items()}

    def _loss_and_gradients(self, batch, variables):
        """The objective of a batch and its gradients: means over the parts in which it is computed."""
        if self.accumulate == 1:
            return self._of_part(batch, variables)
        losses, sums = [], []
        for part in zip(*(tf.split(each, self.accumulate) for each in tf.nest.flatten(batch)), strict=True):
            # after the part before it, whose activations are gone by then
            with tf.control_dependencies([*losses, *filter(tf.is_tensor, sums)]):
                part = tf.nest.pack_sequence_as(batch, [tf.identity(each) for each in part])
            loss, gradients = self._of_part(part, variables)
            losses.append(loss)
            pairs = zip(sums or gradients, gradients, strict=True)
            sums = [one + each if sums and each is not None else each for one, each in pairs]
        return tf.add_n(losses) / self.accumulate, [None if each is None else each / self.accumulate for each in sums]

    def _of_part(self, batch, variables):
        with tf.GradientTape() as tape:
            loss = self.objective(batch)
            if self.second_task is not None:
                loss += self.second_task.loss(self.encoder, batch["views"][0], self.optimizer.iterations)
            # the optimizer sums gradients over replicas; each replica's loss is a mean over its share of the batch
            share = keras_compat.scaled(self.optimizer, loss / tf.distribute.get_strategy().num_replicas_in_sync)
        return loss, tape.gradient(share, variables)

    @property
    def trained_variables(self):
        """What gradients move: all but the copies of a network that a method moves itself."""
        copies = {id(variable) for copy in self.copies for variable in copy.trainable_variables}
        return [variable for variable in self.trainable_variables if id(variable) not in copies]

    @property
    def predictor_variables(self):
        """What a learning rate of the predictor is for, a list; empty without a predictor."""
        predictor = getattr(self, "predictor", None)
        return predictor.trainable_variables if predictor is not None else []

    def after_step(self):
        """What a method does once its weights have moved, such as to move a copy of the network along; here nothing."""
        return  # AutoGraph cannot transform a body of a docstring only, and says so

    def watch(self, **outputs):
        """Adds each output's `spread` over the global batch to the epoch's means, as `std_<name>`: 1 healthy, 0 collapse."""
        for name, output in outputs.items():
            self._means[f"std_{name}"].update_state(spread(replicas.gather(output)))

    @property
    def metrics(self):
        return list(self._all_means().values())

    def _all_means(self):
        return self._means if self.second_task is None else {**self._means, **self.second_task.means}


def finite_norm(gradients):
    """The global l2 norm of gradients, and its weight in the epoch's mean.

    Args:
        gradients: a list of tensors.

    Returns:
        Two float32 scalars: √Σ g² and 1; 0 and 0 where that is not finite, as in the steps that loss scaling leaves out.
    """
    norm = tf.cast(tf.linalg.global_norm(gradients), tf.float32)
    finite = tf.math.is_finite(norm)
    return tf.where(finite, norm, 0.0), tf.cast(finite, tf.float32)


def project(encoder, projector, view):
    """The projection of a view in training: float32 [B,d], of an encoder's `embedding` [B,D] through a head [B,D] to [B,d]."""
    return projector(encoder(view, training=True)["embedding"], training=True)


def joined(views):
    """Views of one size as one view: a dict of float32 [V·B,S,S,C], the first view's samples first."""
    return {name: tf.concat([view[name] for view in views], axis=0) for name in views[0]}


def spread(outputs):
    """The collapse measure: standard deviation of the l2-normalised output, mean over channels, times √d.

    Chen & He, section 4.1: 1/√d for outputs spread over the sphere, 0 for constant ones; times √d it does not depend on d.

    Args:
        outputs: float [B,d], or [B,n,d] of n outputs a sample: then the mean of their spreads.

    Returns:
        A float32 scalar, about 1 where the outputs are isotropic, 0 where all are the same.
    """
    normalised = tf.math.l2_normalize(tf.cast(outputs, tf.float32), axis=-1)
    return tf.reduce_mean(tf.math.reduce_std(normalised, axis=0)) * float(outputs.shape[-1]) ** 0.5
