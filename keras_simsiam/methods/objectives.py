"""Several objectives on one pass of the encoder: on the joint embedding, within colour, within depth, and across the two."""

import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods import replicas
from keras_simsiam.methods.base import Method


class Objectives(Method):
    """A weighted sum of a method's loss on parts of the embedding, each part with its own heads.

    `joint`: the embeddings of the two views. `rgb`, `hha`: the halves that are of colour, or of depth, of both views.
    `cross`: the half of colour of one view and that of depth of the other, the mean of both ways, with one head for both
    modalities (Tian et al., Contrastive Multiview Coding, ECCV 2020, section 3). The encoder sees each view once.

    The logs have each term's loss, not weighted, as `loss_<term>`, and its spreads as `std_<output>_<term>`; `loss` is the sum
    that is minimised.

    Example:
        >>> encoder = build_encoder("rgbd", "resnet18", 224)
        >>> terms = {"joint": SimCLR(encoder, projector(1024)), "hha": SimCLR(encoder, projector(512))}
        >>> method = Objectives(encoder, terms, {"joint": 1.0, "hha": 0.5})
    """

    def __init__(self, encoder, terms, weights, *, name="objectives"):
        """
        Args:
            encoder: a model from a view to a dict with `embedding` [B,D], whose first half is of colour, the second of depth.
            terms: a dict from `joint`, `rgb`, `hha`, `cross`, or some of them, to methods with `compare`: `SimSiam`, `SimCLR`.
                They have this encoder, and heads for [B,D] (`joint`) or [B,D/2].
            weights: a dict from the same names to what each loss is multiplied by.
            name: the method's name.
        """
        super().__init__(encoder, (), name=name)
        self.terms = terms
        self.factors = weights  # Keras calls the variables `weights`
        losses = {f"loss_{term}": keras.metrics.Mean(f"loss_{term}") for term in terms}
        spreads = {
            f"{metric.name}_{term}": metric
            for term, method in terms.items()
            for metric in method.metrics
            if metric.name.startswith("std_")
        }
        self._means = {**self._means, **losses, **spreads}

    @property
    def predictor_variables(self):
        return [variable for method in self.terms.values() for variable in method.predictor_variables]

    def objective(self, batch):
        """Σ w · L over the terms, L the mean of the method's loss over the pairs of a term.

        Args:
            batch: `views`: two views of the same samples, each a dict with `rgb` and `hha`, float32 [B,S,S,C].

        Returns:
            A float32 scalar, the mean over this replica's share of the batch.
        """
        # one forward a view: BatchNorm sees each view apart, as in the published code
        compared = pairs(*(self.encoder(view, training=True)["embedding"] for view in batch["views"]))
        weighted = []
        for term, method in self.terms.items():
            loss = tf.add_n([method.compare(*pair) for pair in compared[term]]) / len(compared[term])
            self._means[f"loss_{term}"].update_state(replicas.mean(loss))
            weighted.append(self.factors[term] * loss)
        return tf.add_n(weighted)


def pairs(first, second):
    """What each term compares of two views' embeddings.

    Args:
        first, second: float32 [B,D], the first half of the channels of colour, the second of depth.

    Returns:
        A dict from the name of a term to a list of pairs, float32 [B,D] of `joint`, [B,D/2] of the others.
    """
    (rgb1, hha1), (rgb2, hha2) = (tf.split(embedding, 2, axis=1) for embedding in (first, second))
    return {
        "joint": [(first, second)],
        "rgb": [(rgb1, rgb2)],
        "hha": [(hha1, hha2)],
        "cross": [(rgb1, hha2), (hha1, rgb2)],
    }
