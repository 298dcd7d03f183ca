"""SimCLR: Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020, Algorithm 1."""

import tensorflow as tf

from keras_simsiam.methods import replicas
from keras_simsiam.methods.base import Method, project


class SimCLR(Method):
    """Two views of a sample are to be found among the views of all samples of the global batch.

    Example:
        >>> encoder = ks.build_encoder("rgb", "resnet18", 32, width=4)
        >>> method = ks.SimCLR(encoder, ks.projector(32, outputs=128, layers=2))
    """

    def __init__(self, encoder, projector, *, temperature=0.5, name="simclr"):
        """
        Args:
            encoder: a model from a view to a dict with `embedding` [B,D].
            projector: the MLP g, [B,D] to [B,d].
            temperature: τ.
            name: the method's name.
        """
        super().__init__(encoder, ("projection",), name=name)
        self.projector = projector
        self.temperature = temperature

    def objective(self, batch):
        """NT-Xent of the two views (Eq. 1), the mean over both directions.

        Args:
            batch: `views`: two views of the same samples, each a dict of float32 [B,S,S,C].

        Returns:
            A float32 scalar, the mean over this replica's share of the batch.
        """
        z1, z2 = (project(self.encoder, self.projector, view) for view in batch["views"])  # Bxd
        return self._contrast(z1, z2)

    def compare(self, first, second):
        """As `objective`, of two views' embeddings, float32 [B,D]."""
        return self._contrast(self.projector(first, training=True), self.projector(second, training=True))

    def _contrast(self, z1, z2):
        self.watch(projection=z1)
        return nt_xent(z1, z2, self.temperature)


def nt_xent(z1, z2, temperature):
    """ℓ(i, j) = −log( exp(s(i,j)/τ) / Σ_{k≠i} exp(s(i,k)/τ) ), s the cosine, mean over all i; the paper's Eq. 1.

    Args:
        z1, z2: float32 [B,d], row i of both from sample i; the other rows, of other replicas too, are negatives.
        temperature: τ > 0.

    Returns:
        A float32 scalar.
    """
    z1, z2 = tf.math.l2_normalize(z1, axis=1), tf.math.l2_normalize(z2, axis=1)
    everything = tf.concat([replicas.gather(z1), replicas.gather(z2)], axis=0)  # 2Nxd, N = R·B
    batch, total = tf.shape(z1)[0], tf.shape(everything)[0]
    rows = replicas.first_row(z1) + tf.range(batch)
    itself = tf.concat([rows, rows + total // 2], axis=0)
    partner = tf.concat([rows + total // 2, rows], axis=0)
    logits = tf.matmul(tf.concat([z1, z2], axis=0), everything, transpose_b=True) / temperature  # 2Bx2N
    logits = tf.where(tf.one_hot(itself, total) > 0, -1e9, logits)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(partner, logits))
