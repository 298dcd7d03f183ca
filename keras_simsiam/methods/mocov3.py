"""MoCo v3: Chen, Xie & He, An Empirical Study of Training Self-Supervised Vision Transformers, ICCV 2021, Algorithm 1."""

import tensorflow as tf

from keras_simsiam.methods import replicas
from keras_simsiam.methods.byol import BYOL


class MoCoV3(BYOL):
    """BYOL's networks with a contrastive loss over the other views of the global batch.

    A prediction from one view finds its own sample among what a slowly moving copy makes of the others.

    Example:
        >>> encoder = ks.build_encoder("rgb", "resnet18", 32, width=4)
        >>> head = ks.projector(32, hidden=4096, outputs=256, layers=2)
        >>> method = ks.MoCoV3(encoder, head, ks.predictor(256, hidden=4096, last_bias=False), steps=10000)
    """

    def __init__(self, encoder, projector, predictor, *, steps, temperature=1.0, momentum=0.99, name="mocov3"):
        """
        Args:
            encoder: a model from a view to a dict with `embedding` [B,D].
            projector: the MLP, [B,D] to [B,d].
            predictor: the MLP, [B,d] to [B,d].
            steps: optimizer steps of the run, over which the key network's momentum rises to 1.
            temperature: τ; published: 1.0 for ResNets, 0.2 for ViTs.
            momentum: m of the key network at the first step.
            name: the method's name.
        """
        super().__init__(encoder, projector, predictor, steps=steps, momentum=momentum, name=name)
        self.temperature = temperature

    def objective(self, batch):
        """ctr(q1, k2) + ctr(q2, k1): both views' queries among the other views' keys.

        Args:
            batch: `views`: two views of the same samples, each a dict of float32 [B,S,S,C].

        Returns:
            A float32 scalar, the mean over this replica's share of the batch.
        """
        (z1, q1), (_, q2) = (self._online(view) for view in batch["views"])  # Bxd
        k1, k2 = (self._target(view) for view in batch["views"])  # Bxd
        self.watch(projection=z1, prediction=q1)
        return in_batch_nce(q1, k2, self.temperature) + in_batch_nce(q2, k1, self.temperature)


def in_batch_nce(query, key, temperature):
    """2τ · −log( exp(q·k₊/τ) / Σ exp(q·k/τ) ), k all keys of the global batch, mean over the queries (the paper's Eq. 1).

    Args:
        query, key: float32 [B,d], normalised here; key i is query i's positive.
        temperature: τ > 0.

    Returns:
        A float32 scalar.
    """
    query, key = tf.math.l2_normalize(query, axis=1), tf.math.l2_normalize(key, axis=1)
    logits = tf.matmul(query, replicas.gather(key), transpose_b=True) / temperature  # BxN
    own = replicas.first_row(key) + tf.range(tf.shape(key)[0])
    return 2 * temperature * tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(own, logits))
