"""SimSiam's multi-step alternation: Chen & He, Exploring Simple Siamese Representation Learning, CVPR 2021, section 5.2."""

import tensorflow as tf

from keras_simsiam.methods import replicas
from keras_simsiam.methods.base import project
from keras_simsiam.methods.simsiam import SimSiam


class Alternating(SimSiam):
    """SimSiam whose targets come, for k steps at a time, from the weights at the beginning of those steps.

    The paper's hypothesis: SimSiam alternates between η, a representation of each image (Eq. 8, 10), and the weights θ
    (Eq. 7), with one step of SGD for θ; then k steps should do as well. The paper computes the η of k batches in advance and
    keeps them. Here a copy of the network that stands still for k steps makes the same ones as they are needed. With 1 step
    this is SimSiam (with dropout in the heads a SimSiam whose targets draw their own).

    Example:
        >>> encoder = build_encoder("rgb", "resnet18", 224)
        >>> method = Alternating(encoder, projector(512), predictor(), steps=100)
    """

    def __init__(self, encoder, projector, predictor, *, steps, symmetric=True, name="alternating"):
        """
        Args:
            encoder: a model from a view to a dict with `embedding` [B,D].
            projector: the MLP f's head, [B,D] to [B,d].
            predictor: the MLP h, [B,d] to [B,d].
            steps: k, optimizer steps between two updates of the copy that makes the targets.
            symmetric: as in `SimSiam`.
            name: the method's name.
        """
        super().__init__(encoder, projector, predictor, symmetric=symmetric, name=name)
        self.target_encoder = replicas.copy_of(encoder)
        self.target_projector = replicas.copy_of(projector)
        self.copies = (self.target_encoder, self.target_projector)
        self.steps = steps

    def after_step(self):
        begins = self.optimizer.iterations % self.steps == 0
        # no branch: the replicas' updates meet, which they cannot within a tf.cond
        replicas.move(self.copies, (self.encoder, self.projector), tf.where(begins, 0.0, 1.0))

    def _targets(self, views, _projections):
        return [tf.stop_gradient(project(self.target_encoder, self.target_projector, view)) for view in views]
