"""Barlow Twins: Zbontar et al., Barlow Twins: Self-Supervised Learning via Redundancy Reduction, ICML 2021, Algorithm 1."""

import tensorflow as tf

from keras_simsiam.methods import replicas
from keras_simsiam.methods.base import Method, project

_EPSILON = 1e-5  # of the BatchNorm that the published code normalises with


class BarlowTwins(Method):
    """Each channel of a projection correlates with itself over the two views, and with no other channel.

    Example:
        >>> encoder = ks.build_encoder("rgb", "resnet18", 32, width=4)
        >>> head = ks.projector(32, hidden=512, outputs=512, last_batch_norm=False, last_bias=False)
        >>> method = ks.BarlowTwins(encoder, head)
    """

    def __init__(self, encoder, projector, *, redundancy=0.0051, scale=0.024, name="barlow"):
        """
        Args:
            encoder: a model from a view to a dict with `embedding` [B,D].
            projector: the MLP, [B,D] to [B,d], without BatchNorm after its last layer.
            redundancy: λ, the weight of the correlations between channels.
            scale: what the loss is multiplied by. LARS divides it out of the weights' steps; those of biases and BatchNorm
                keep it: the published rates are 0.2 and 0.024 · 0.2 = 0.0048.
            name: the method's name.
        """
        super().__init__(encoder, ("projection",), name=name)
        self.projector = projector
        self.redundancy = redundancy
        self.scale = scale

    def objective(self, batch):
        """`scale` times the paper's Eq. 1.

        Args:
            batch: `views`: two views of the same samples, each a dict of float32 [B,S,S,C].

        Returns:
            A float32 scalar, the same on each replica: it is one of the whole global batch.
        """
        z1, z2 = (project(self.encoder, self.projector, view) for view in batch["views"])  # Bxd
        self.watch(projection=z1)
        return self.scale * redundancy_reduction(z1, z2, self.redundancy)


def redundancy_reduction(z1, z2, redundancy):
    """Σ_i (1 − C_ii)² + λ Σ_i Σ_{j≠i} C_ij², C the cross-correlation of the channels of z1 and z2 (the paper's Eq. 1, 2).

    The d×d matrix C is not computed: its squares sum to Σ_ab (z1_a · z1_b)(z2_a · z2_b) / N² over pairs of samples of the
    normalised batch, which is cheaper where a batch is smaller than a projection.

    Args:
        z1, z2: float32 [B,d], row i of both from sample i; mean, variance and C are of the global batch of N.
        redundancy: λ.

    Returns:
        A float32 scalar.
    """
    z1, z2 = _normalised(z1), _normalised(z2)
    diagonal = replicas.mean(tf.reduce_mean(z1 * z2, axis=0))  # d
    samples1, samples2 = (tf.matmul(z, replicas.gather(z), transpose_b=True) for z in (z1, z2))  # BxN
    squares = replicas.mean(tf.reduce_mean(samples1 * samples2))
    return tf.reduce_sum((1 - diagonal) ** 2) + redundancy * (squares - tf.reduce_sum(diagonal**2))


def _normalised(z):
    z -= replicas.mean(tf.reduce_mean(z, axis=0))
    return z * tf.math.rsqrt(replicas.mean(tf.reduce_mean(z**2, axis=0)) + _EPSILON)
