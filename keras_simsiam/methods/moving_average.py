"""SimSiam with moving averages in place of the predictor: Chen & He, CVPR 2021, section 5.2, expectation over augmentations."""

import tensorflow as tf

from keras_simsiam.core.keras_compat import add_variable
from keras_simsiam.methods import replicas
from keras_simsiam.methods.base import Method, project
from keras_simsiam.methods.simsiam import negative_cosine


class MovingAverage(Method):
    """Each image has a vector η, the moving average of its projections; one view comes near to it.

    The paper's hypothesis: the predictor stands for an expectation over augmentations; where that is taken in another way,
    no predictor is needed. As its Eq. 10, not symmetrised: the first view learns, the second is averaged. Outputs are
    averaged with length 1, as the paper's squared error assumes. It does not say what η begins with: here with a random
    direction for each image, as the memory bank that it refers to (Wu et al., CVPR 2018); from nothing, the first epoch
    would be SimSiam without a predictor, which collapses (Table 1).

    Example:
        >>> encoder = build_encoder("rgb", "resnet18", 224)
        >>> method = MovingAverage(encoder, projector(512), samples=50000)
    """

    def __init__(self, encoder, projector, *, samples, momentum=0.8, name="moving_average"):
        """
        Args:
            encoder: a model from a view to a dict with `embedding` [B,D].
            projector: the MLP f's head, [B,D] to [B,d].
            samples: N, the number of training samples.
            momentum: m, in 0..1.
            name: the method's name.
        """
        super().__init__(encoder, ("projection",), name=name)
        self.projector = projector
        self.momentum = momentum
        directions = tf.math.l2_normalize(tf.random.normal([samples, projector.output_shape[-1]]), axis=1)
        # every replica writes the rows of the whole global batch, so all write the same
        self.averages = add_variable(self, "averages", directions)  # Nxd

    def objective(self, batch):
        """D(z1, η), η ← m · η + (1 − m) · z2/‖z2‖ first; in -1..1.

        Args:
            batch: `views`: two views of the same samples, each a dict of float32 [B,S,S,C]; `index`: int64 [B], the
                samples' places in the data set, 0..N−1, none of them twice.

        Returns:
            A float32 scalar, the mean over this replica's share of the batch.
        """
        z1, z2 = (project(self.encoder, self.projector, view) for view in batch["views"])  # Bxd
        self.watch(projection=z1)
        return negative_cosine(z1, self._averaged(batch["index"], z2))

    def _averaged(self, index, z):
        """The samples' averages with z in them, as constants; keeps them."""
        z = tf.stop_gradient(tf.math.l2_normalize(z, axis=1))
        eta = self.momentum * tf.gather(self.averages, index) + (1 - self.momentum) * z
        self.averages.scatter_update(tf.IndexedSlices(replicas.gather(eta), replicas.gather(index)))
        return eta
