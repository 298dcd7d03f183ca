"""BYOL: Grill et al., Bootstrap Your Own Latent, NeurIPS 2020, Algorithm 1."""

import math

import tensorflow as tf

from keras_simsiam.methods import replicas
from keras_simsiam.methods.base import Method, project
from keras_simsiam.methods.simsiam import negative_cosine


class BYOL(Method):
    """Predicts, from one view, what a slowly moving copy of the network makes of the other: its Eq. 2.

    Example:
        >>> encoder = ks.build_encoder("rgb", "resnet18", 32, width=4)
        >>> head = ks.projector(32, hidden=4096, outputs=256, layers=2, last_batch_norm=False)
        >>> method = ks.BYOL(encoder, head, ks.predictor(256, hidden=4096), steps=10000)
    """

    def __init__(self, encoder, projector, predictor, *, steps, momentum=0.996, name="byol"):
        """
        Args:
            encoder: a model from a view to a dict with `embedding` [B,D].
            projector: the MLP g, [B,D] to [B,d].
            predictor: the MLP q, [B,d] to [B,d].
            steps: K, optimizer steps of the run, over which the target's momentum rises to 1.
            momentum: τ_base, the target's momentum at the first step.
            name: the method's name.
        """
        super().__init__(encoder, ("projection", "prediction"), name=name)
        self.projector = projector
        self.predictor = predictor
        self.target_encoder = replicas.copy_of(encoder, dropout=False)
        self.target_projector = replicas.copy_of(projector)
        self.copies = (self.target_encoder, self.target_projector)
        self.steps = steps
        self.base_momentum = momentum

    def objective(self, batch):
        """‖p̄₁ − z̄₂‖² + ‖p̄₂ − z̄₁‖² of l2-normalised outputs, z the target network's: Eq. 2, symmetrised; 0..8.

        Args:
            batch: `views`: two views of the same samples, each a dict of float32 [B,S,S,C].

        Returns:
            A float32 scalar, the mean over this replica's share of the batch.
        """
        (y1, p1), (_, p2) = (self._online(view) for view in batch["views"])  # Bxd
        z1, z2 = (self._target(view) for view in batch["views"])  # Bxd
        self.watch(projection=y1, prediction=p1)
        return 4 + 2 * negative_cosine(p1, z2) + 2 * negative_cosine(p2, z1)

    def after_step(self):
        momentum = ramp(self.base_momentum, self.optimizer.iterations, self.steps)
        replicas.move(self.copies, (self.encoder, self.projector), momentum)

    def _online(self, view):
        projection = project(self.encoder, self.projector, view)
        return projection, self.predictor(projection, training=True)

    def _target(self, view):
        return tf.stop_gradient(project(self.target_encoder, self.target_projector, view))


def ramp(base, step, steps):
    """τ = 1 − (1 − τ_base)·(cos(πk/K) + 1)/2 at step k of K (section 3.2): from `base` to 1, a float32 scalar."""
    share = tf.cast(step, tf.float32) / steps
    return 1 - (1 - base) * (tf.cos(math.pi * share) + 1) / 2
