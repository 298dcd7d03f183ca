"""DINO: Caron et al., Emerging Properties in Self-Supervised Vision Transformers, ICCV 2021, Algorithm 1."""

import tensorflow as tf

from keras_simsiam.core.keras_compat import add_variable
from keras_simsiam.methods import replicas
from keras_simsiam.methods.base import Method, joined, project
from keras_simsiam.methods.byol import ramp


class DINO(Method):
    """A student predicts, from each view, the distribution that a slowly moving teacher makes of another view.

    The teacher takes the two large views, the student the small ones too. Views of one size go through a network together,
    as in the published code: BatchNorm, where an encoder has it, sees them as one batch. The teacher has no stochastic
    depth. The last layer's columns have length one.

    Example:
        >>> encoder = ks.build_encoder("rgb", "resnet18", 32, width=4)
        >>> head = ks.dino_projector(32, batch_norms=True)
        >>> method = ks.DINO(encoder, head, prototypes=1024, steps=10000, warmup_steps=3000, frozen_steps=100)
    """

    multi_crop = True

    def __init__(
        self,
        encoder,
        projector,
        *,
        steps,
        prototypes=65536,
        temperature=0.1,
        teacher_temperatures=(0.04, 0.07),
        warmup_steps=0,
        frozen_steps=0,
        momentum=0.996,
        centre_momentum=0.9,
        name="dino",
    ):
        """
        Args:
            encoder: a model from a view to a dict with `embedding` [B,D]; with small views, of any size.
            projector: the MLP up to the bottleneck, [B,D] to [B,d].
            steps: optimizer steps of the run, over which the teacher's momentum rises to 1.
            prototypes: K, outputs of the last layer.
            temperature: τ_s, the student's.
            teacher_temperatures: τ_t at the first step and from `warmup_steps` on.
            warmup_steps: steps over which τ_t rises (published: those of 30 epochs).
            frozen_steps: first steps in which the last layer does not move (published: those of the first epoch).
            momentum: λ of the teacher at the first step.
            centre_momentum: m of the centre.
            name: the method's name.
        """
        super().__init__(encoder, ("projection",), name=name)
        self.projector = projector
        self.teacher_encoder = replicas.copy_of(encoder, dropout=False)
        self.teacher_projector = replicas.copy_of(projector)
        self.copies = (self.teacher_encoder, self.teacher_projector)
        self.steps = steps
        self.temperature = temperature
        self.teacher_temperatures = teacher_temperatures
        self.warmup_steps = warmup_steps
        self.frozen_steps = frozen_steps
        self.base_momentum = momentum
        self.centre_momentum = centre_momentum
        limit = projector.output_shape[-1] ** -0.5  # PyTorch's initialiser
        columns = tf.random.uniform([projector.output_shape[-1], prototypes], -limit, limit)
        # dxK; all replicas assign the same to the teacher's and to the centre
        self.prototypes = add_variable(self, "prototypes", columns, trainable=True)
        self.teacher_prototypes = add_variable(self, "teacher_prototypes", columns)
        self.centre = add_variable(self, "centre", tf.zeros([prototypes]))

    def objective(self, batch):
        """The mean over pairs (large view i of the teacher, other view v of the student) of H(P_t(i), P_s(v)), its Eq. 3.

        Args:
            batch: `views`: two large views of the same samples, and any number of small ones of one size; each a dict of
                float32 [B,S,S,C].

        Returns:
            A float32 scalar, the mean over this replica's share of the batch.
        """
        large, small = batch["views"][:2], batch["views"][2:]
        teacher = self._scores(self.teacher_encoder, self.teacher_projector, self.teacher_prototypes, large)[1]
        projections, student = self._scores(self.encoder, self.projector, self._moving_prototypes(), large)  # 2xBxK
        if small:
            of_small = self._scores(self.encoder, self.projector, self._moving_prototypes(), small)[1]
            student = tf.concat([student, of_small], axis=0)  # VxBxK
        self.watch(projection=projections[0])
        targets = tf.stop_gradient(tf.nn.softmax((teacher - self.centre) / self._teacher_temperature()))
        self._move_centre(teacher)
        return distillation(targets, student / self.temperature)

    def after_step(self):
        momentum = ramp(self.base_momentum, self.optimizer.iterations, self.steps)
        replicas.move(self.copies, (self.encoder, self.projector), momentum)
        self.teacher_prototypes.assign(momentum * self.teacher_prototypes + (1 - momentum) * self.prototypes)

    def _scores(self, encoder, projector, prototypes, views):
        """Projections [V,B,d] of views of one size, and their cosines with the prototypes [V,B,K]."""
        z = project(encoder, projector, joined(views))  # V·Bxd
        scores = tf.matmul(tf.math.l2_normalize(z, axis=1), tf.math.l2_normalize(prototypes, axis=0))
        return [tf.reshape(x, [len(views), -1, x.shape[-1]]) for x in (z, scores)]

    def _moving_prototypes(self):
        if not self.frozen_steps:
            return self.prototypes
        moving = self.optimizer.iterations >= self.frozen_steps
        return tf.where(moving, self.prototypes, tf.stop_gradient(self.prototypes))

    def _teacher_temperature(self):
        first, last = self.teacher_temperatures
        if not self.warmup_steps:
            return last
        share = tf.cast(self.optimizer.iterations, tf.float32) / self.warmup_steps
        return first + (last - first) * tf.minimum(share, 1.0)

    def _move_centre(self, teacher):
        """c ← m · c + (1 − m) · mean of the teacher's scores over the global batch (the paper's Eq. 4)."""
        mean = replicas.mean(tf.reduce_mean(teacher, axis=[0, 1]))
        momentum = self.centre_momentum ** (1 / self.accumulate)  # a step's, whose parts each move the centre
        self.centre.assign(momentum * self.centre + (1 - momentum) * mean)


def distillation(targets, logits):
    """The mean over pairs i ≠ v of the cross-entropy −Σ_k q_i log softmax(s_v), and over the batch (the paper's Eq. 3).

    Args:
        targets: float32 [2,B,K], q, the teacher's distributions of the first views.
        logits: float32 [V,B,K], s, the student's of all V views in the same order.

    Returns:
        A float32 scalar.
    """
    # the sum over k of q_i is 1: −Σ q log softmax(s) = logsumexp(s) − Σ q s, without a VxBxK tensor for each i
    entropies = tf.reduce_logsumexp(logits, axis=2) - tf.einsum("ibk,vbk->ivb", targets, logits)  # 2xVxB
    others = 1 - tf.eye(targets.shape[0], logits.shape[0])
    return tf.reduce_sum(others * tf.reduce_mean(entropies, axis=2)) / tf.reduce_sum(others)
