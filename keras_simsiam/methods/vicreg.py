"""VICReg: Bardes, Ponce & LeCun, Variance-Invariance-Covariance Regularization, ICLR 2022, Algorithm 1."""

import tensorflow as tf

from keras_simsiam.methods import replicas
from keras_simsiam.methods.base import Method, project

_EPSILON = 1e-4  # ε, under the root of the variance


class VICReg(Method):
    """Two views come near to each other, each channel keeps its deviation, and no two channels say the same.

    Example:
        >>> encoder = ks.build_encoder("rgb", "resnet18", 32, width=4)
        >>> head = ks.projector(32, hidden=512, outputs=512, last_batch_norm=False, last_bias=False)
        >>> method = ks.VICReg(encoder, head)
    """

    def __init__(self, encoder, projector, *, invariance=25.0, variance=25.0, covariance=1.0, name="vicreg"):
        """
        Args:
            encoder: a model from a view to a dict with `embedding` [B,D].
            projector: the MLP ("expander"), [B,D] to [B,d], without BatchNorm after its last layer.
            invariance: λ, the weight of the distance of two views.
            variance: μ, the weight of deviations below 1.
            covariance: ν, the weight of covariances between channels.
            name: the method's name.
        """
        super().__init__(encoder, ("projection",), name=name)
        self.projector = projector
        self.invariance = invariance
        self.variance = variance
        self.covariance = covariance

    def objective(self, batch):
        """λ s(Z, Z') + μ (v(Z) + v(Z')) / 2 + ν (c(Z) + c(Z')), as in the published code.

        Args:
            batch: `views`: two views of the same samples, each a dict of float32 [B,S,S,C].

        Returns:
            A float32 scalar; over the replicas its mean is that of the global batch.
        """
        z1, z2 = (project(self.encoder, self.projector, view) for view in batch["views"])  # Bxd
        self.watch(projection=z1)
        (v1, c1), (v2, c2) = variance_and_covariance(z1), variance_and_covariance(z2)
        distance = tf.reduce_mean((z1 - z2) ** 2)
        return self.invariance * distance + self.variance * (v1 + v2) / 2 + self.covariance * (c1 + c2)


def variance_and_covariance(z):
    """v = mean_j max(0, 1 − √(Var z_j + ε)) and c = Σ_{i≠j} Cov(z_i, z_j)² / d (the paper's Eq. 1 to 4, γ = 1).

    The d×d covariances are not computed: their squares sum to Σ_ab (z_a · z_b)² / (N − 1)² over pairs of samples of the
    centred batch, which is cheaper where a batch is smaller than a projection.

    Args:
        z: float32 [B,d]; variance and covariance are of the global batch of N.

    Returns:
        Two float32 scalars.
    """
    z -= replicas.mean(tf.reduce_mean(z, axis=0))
    everything = replicas.gather(z)  # Nxd
    count = tf.cast(tf.shape(everything)[0], tf.float32)
    variances = replicas.mean(tf.reduce_mean(z**2, axis=0)) * count / (count - 1)  # d
    squares = (
        replicas.mean(tf.reduce_mean(tf.matmul(z, everything, transpose_b=True) ** 2)) * (count / (count - 1)) ** 2
    )
    below = tf.nn.relu(1 - tf.sqrt(variances + _EPSILON))
    return tf.reduce_mean(below), (squares - tf.reduce_sum(variances**2)) / z.shape[-1]
