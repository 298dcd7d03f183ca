"""SimSiam a modality: the positive of a view's colour is the other view's colour, of its depth the other's depth."""

import tensorflow as tf

from keras_simsiam.methods.simsiam import SimSiam


class IntraModal(SimSiam):
    """Two SimSiams side by side, each on its half of the encoder's embedding, with a projector and a predictor of its own.

    Where one loss judges colour and depth together, the modality that satisfies it sooner leaves the other untrained (Huang
    et al., Modality Competition: What Makes Joint Training of Multi-modal Network Fail in Deep Learning?, ICML 2022). Here
    neither sees the other's loss; with a backbone each (`two_tower`) they could have been trained one after the other. The
    embedding that is evaluated is that of both, concatenated.

    Example:
        >>> encoder = build_encoder("rgbd", "resnet18", 224)
        >>> method = IntraModal(
        ...     encoder, side_by_side(projector(512), projector(512)), side_by_side(predictor(), predictor())
        ... )
    """

    def __init__(self, encoder, projector, predictor, stop_gradient=True, symmetric=True, name="intra_modal"):
        """
        Args:
            encoder: a model from a view with `rgb` and `hha` to a dict with `embedding` [B,D], each modality's a half.
            projector: `side_by_side` heads, [B,D] to [B,2d].
            predictor: `side_by_side` heads, [B,2d] to [B,2d].
            stop_gradient, symmetric, name: as SimSiam's.
        """
        super().__init__(encoder, projector, predictor, stop_gradient, symmetric, name)

    def _project(self, view):
        """z and p, [B,2,d] each: a row a modality, so that the loss is the mean of both modalities' losses."""
        return [tf.reshape(output, [-1, 2, output.shape[-1] // 2]) for output in super()._project(view)]
