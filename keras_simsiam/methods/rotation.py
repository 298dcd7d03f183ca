"""Relative rotation, a second task for any method: how far depth is turned against colour, in quarters of a circle."""

import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods import replicas


class RelativeRotation(keras.layers.Layer):
    """The image of colour and that of depth are turned apart, each by a multiple of 90°, and a head tells by how much.

    It sees the last maps of both, so it must find the same object in both. Reference: Loghmani et al., Unsupervised Domain
    Adaptation through Inter-modal Rotation for RGB-D Object Recognition, RA-L 2020, section III; there labels train the
    encoder, here a `methods.base.Method`.

    Example:
        >>> method = SimCLR(encoder, projector(1024))
        >>> method.second_task = RelativeRotation(rotation_head(encoder.output["map"].shape[1:]), weight=1.0)
    """

    def __init__(self, head, *, weight, seed=0, name="relative_rotation"):
        """
        Args:
            head: a model from the encoder's `map` [B,h,w,C] to logits float32 [B,4] (`models.heads.rotation_head`).
            weight: λ, what its loss is multiplied by before it is added to the method's.
            seed: of the turns that are drawn.
            name: the layer's name.
        """
        super().__init__(name=name)
        self.built = True  # it has no `call`, which Keras 3 would ask
        self.head = head
        self.weight = weight
        self.seed = seed
        self.means = {name: keras.metrics.Mean(name) for name in ("loss_rotation", "accuracy_rotation")}

    def loss(self, encoder, view, step):
        """λ times the cross-entropy of the relative rotation.

        Args:
            encoder: a model from a view to a dict with `map`; it is trained on the turned view, in a pass more.
            view: a dict with `rgb` and `hha`, float32 [B,S,S,C].
            step: an integer tensor that differs from step to step; the turns follow from it and the seed.

        Returns:
            A float32 scalar, the mean over this replica's share of the batch.
        """
        first, batch = replicas.first_row(view["rgb"]), tf.shape(view["rgb"])[0]
        everyone = batch * tf.distribute.get_strategy().num_replicas_in_sync
        seed = tf.stack([tf.constant(self.seed, tf.int64), tf.cast(step, tf.int64)])
        turns = tf.random.stateless_uniform([everyone, 2], seed, 0, 4, tf.int32)[first : first + batch]
        colour, depth = tf.unstack(turns, axis=1)
        turned = {"rgb": quarter_turns(view["rgb"], colour), "hha": quarter_turns(view["hha"], depth)}
        logits = self.head(encoder(turned, training=True)["map"], training=True)  # Bx4
        relative = (depth - colour) % 4
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(relative, logits))
        right = tf.cast(tf.argmax(logits, axis=1, output_type=tf.int32) == relative, tf.float32)
        self.means["loss_rotation"].update_state(replicas.mean(loss))
        self.means["accuracy_rotation"].update_state(replicas.mean(tf.reduce_mean(right)))
        return self.weight * loss


def quarter_turns(images, turns):
    """Images [B,S,S,C], each turned counterclockwise by its number of quarters of a circle, int32 [B] in 0..3."""
    every = tf.stack([tf.image.rot90(images, k) for k in range(4)], axis=1)  # Bx4xSxSxC
    return tf.gather(every, turns, axis=1, batch_dims=1)
