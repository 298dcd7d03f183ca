"""SwAV: Caron et al., Unsupervised Learning of Visual Features by Contrasting Cluster Assignments, NeurIPS 2020."""

import tensorflow as tf

from keras_simsiam.core.keras_compat import add_variable
from keras_simsiam.methods import replicas
from keras_simsiam.methods.base import Method, joined, project


class SwAV(Method):
    """Predicts, from one view, the cluster that the other was assigned to, clusters being of equal size in each batch.

    Small views after the two large ones (multi-crop, section 3.2) are predicted from, but not assigned; they go through the
    network together. Without them as in the comparison of Chen & He (Table 4). Prototypes have length one, to which each step
    brings them back, as in the published code: the loss does not normalise them, so a step turns them as far as there.

    Example:
        >>> encoder = ks.build_encoder("rgb", "resnet18", 32, width=4)
        >>> method = ks.SwAV(encoder, ks.projector(32, outputs=128, layers=2, last_batch_norm=False))
    """

    multi_crop = True

    def __init__(self, encoder, projector, *, prototypes=3000, temperature=0.1, frozen_steps=0, name="swav"):
        """
        Args:
            encoder: a model from a view to a dict with `embedding` [B,D]; with small views, of any size.
            projector: the MLP, [B,D] to [B,d].
            prototypes: K, the number of clusters.
            temperature: τ.
            frozen_steps: first steps in which the prototypes do not move (published: those of the first epoch).
            name: the method's name.
        """
        super().__init__(encoder, ("projection",), name=name)
        self.projector = projector
        self.temperature = temperature
        self.frozen_steps = frozen_steps
        directions = tf.math.l2_normalize(tf.random.normal([projector.output_shape[-1], prototypes]), axis=0)
        # dxK, of which all replicas assign the same in `after_step`
        self.prototypes = add_variable(self, "prototypes", directions, trainable=True)

    def objective(self, batch):
        """½ ℓ(z1, q2) + ½ ℓ(z2, q1), the mean cross-entropy of each view's prediction with the other's code (Eq. 1, 2).

        With small views: of each large view's code, the mean over all other views' predictions (Eq. 6).

        Args:
            batch: `views`: two large views of the same samples, and any number of small ones of one size; each a dict of
                float32 [B,S,S,C].

        Returns:
            A float32 scalar, the mean over this replica's share of the batch.
        """
        z1, z2 = (project(self.encoder, self.projector, view) for view in batch["views"][:2])  # Bxd
        self.watch(projection=z1)
        prototypes = self.prototypes
        if self.frozen_steps:
            moving = self.optimizer.iterations >= self.frozen_steps
            prototypes = tf.where(moving, prototypes, tf.stop_gradient(prototypes))
        s1, s2 = (tf.matmul(tf.math.l2_normalize(z, axis=1), prototypes) for z in (z1, z2))  # BxK
        q1, q2 = self._codes(s1), self._codes(s2)
        loss = 0.5 * self._cross_entropy(q2, s1) + 0.5 * self._cross_entropy(q1, s2)
        small = batch["views"][2:]
        if not small:
            return loss
        z = project(self.encoder, self.projector, joined(small))  # V·Bxd
        scores = tf.matmul(tf.math.l2_normalize(z, axis=1), prototypes)
        codes = tf.tile((q1 + q2) / 2, [len(small), 1])  # the cross-entropy is linear in the codes
        return (loss + len(small) * self._cross_entropy(codes, scores)) / (1 + len(small))

    def after_step(self):
        self.prototypes.assign(tf.math.l2_normalize(self.prototypes, axis=0))

    def _codes(self, scores):
        """This replica's rows of the codes of the whole global batch."""
        first = replicas.first_row(scores)
        return tf.stop_gradient(sinkhorn(replicas.gather(scores)))[first : first + tf.shape(scores)[0]]

    def _cross_entropy(self, codes, scores):
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(codes, scores / self.temperature))


def sinkhorn(scores, epsilon=0.05, iterations=3):
    """Codes: exp(scores/ε) scaled so that each cluster has the same share of the batch (Sinkhorn-Knopp; section 3.1, Eq. 3-5).

    Args:
        scores: float32 [N,K], cosines of samples and prototypes.
        epsilon: ε, the weight of the codes' entropy.
        iterations: of normalising columns, then rows.

    Returns:
        float32 [N,K], rows sum to 1; after enough iterations columns sum to N/K.
    """
    # in logarithms, for exp(1/0.05) to the power of some iterations leaves float16, and comes near to float32's end
    log_codes = tf.cast(scores, tf.float32) / epsilon
    for _ in range(iterations):
        log_codes -= tf.reduce_logsumexp(log_codes, axis=0, keepdims=True)
        log_codes -= tf.reduce_logsumexp(log_codes, axis=1, keepdims=True)
    return tf.exp(log_codes)
