"""SimSiam: Chen & He, Exploring Simple Siamese Representation Learning, CVPR 2021, Algorithm 1."""

import tensorflow as tf

from keras_simsiam.methods.base import Method


class SimSiam(Method):
    """SimSiam on any encoder: RGB, HHA, or both together (Zhu, Simple Siamese Representation Learning with RGB-D Images).

    Example:
        >>> encoder = ks.build_encoder("rgbd", "resnet18", 32, width=4)
        >>> method = ks.SimSiam(encoder, ks.projector(64), ks.predictor())
        >>> method.compile(ks.TorchSGD(0.0125, weight_decay=1e-4))
    """

    def __init__(self, encoder, projector, predictor, *, stop_gradient=True, symmetric=True, name="simsiam"):
        """
        Args:
            encoder: a model from a view to a dict with `embedding` [B,D].
            projector: the MLP f's head, [B,D] to [B,d].
            predictor: the MLP h, [B,d] to [B,d].
            stop_gradient: False shows the collapse of the paper's Figure 2.
            symmetric: False only predicts the second view from the first (the paper's section 4.6).
            name: the method's name.
        """
        super().__init__(encoder, ("projection", "prediction"), name=name)
        self.projector = projector
        self.predictor = predictor
        self.stop_gradient = stop_gradient
        self.symmetric = symmetric

    def objective(self, batch):
        """L = ½ D(p1, stopgrad(z2)) + ½ D(p2, stopgrad(z1)), the paper's Eq. 4, in -1..1; asymmetric: D(p1, stopgrad(z2)).

        Args:
            batch: `views`: two views of the same samples, each a dict of float32 [B,S,S,C].

        Returns:
            A float32 scalar, the mean over this replica's share of the batch.
        """
        # one forward a view: BatchNorm sees each view apart, as in the published code
        first, second = (self._project(view) for view in batch["views"])
        return self._compare(batch["views"], first, second)

    def compare(self, first, second):
        """As `objective`, of two views' embeddings, float32 [B,D]."""
        return self._compare(None, self._heads(first), self._heads(second))

    def _project(self, view):
        return self._heads(self.encoder(view, training=True)["embedding"])

    def _heads(self, embedding):
        """z = f(x) and p = h(z), float32 [B,d] each, of an embedding [B,D]."""
        z = self.projector(embedding, training=True)
        return z, self.predictor(z, training=True)

    def _compare(self, views, first, second):
        """L of two views' (z, p)."""
        (z1, p1), (z2, p2) = first, second
        self.watch(projection=z1, prediction=p1)
        z1, z2 = self._targets(views, (z1, z2))
        if not self.symmetric:
            return negative_cosine(p1, z2)
        return 0.5 * negative_cosine(p1, z2) + 0.5 * negative_cosine(p2, z1)

    def _targets(self, _views, projections):
        """What is predicted of each view, float32 [B,d] each: its projection, as a constant."""
        return [tf.stop_gradient(z) for z in projections] if self.stop_gradient else projections


def negative_cosine(p, z):
    """D(p, z) = −(p/‖p‖₂) · (z/‖z‖₂), the paper's Eq. 1, mean over the batch.

    Args:
        p: float32 [...,d], commonly [B,d].
        z: float32 [...,d].

    Returns:
        A float32 scalar in -1..1.
    """
    p, z = tf.math.l2_normalize(p, axis=-1), tf.math.l2_normalize(z, axis=-1)
    return -tf.reduce_mean(tf.reduce_sum(p * z, axis=-1))
