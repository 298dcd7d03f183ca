"""SimSiam per modality: the positive of a view's colour is the other view's colour, of its depth the other's depth."""

import tensorflow as tf

from keras_simsiam.methods.simsiam import SimSiam


class IntraModal(SimSiam):
    """Two SimSiams, each on its half of the encoder's embedding, with its own projector and predictor.

    Where one loss judges colour and depth together, the modality that satisfies it sooner may leave the other unlearnt (Huang
    et al., Modality Competition, ICML 2022). Here neither depends on the other's loss; with a backbone each (`two_tower`)
    they could be trained one after the other. The embedding that is evaluated is that of both, concatenated.

    The objective is SimSiam's Eq. 4 of each modality, the mean of both. Its projector, [B,D] to [B,2d], and predictor,
    [B,2d] to [B,2d], are `models.heads.side_by_side`; its other arguments are those of `SimSiam`.

    Example:
        >>> encoder = build_encoder("rgbd", "resnet18", 224)
        >>> method = IntraModal(
        ...     encoder, side_by_side(projector(512), projector(512)), side_by_side(predictor(), predictor())
        ... )
    """

    def _heads(self, embedding):
        """z and p, float32 [B,2,d] each: a row per modality, so that the loss is the mean of both modalities' losses."""
        return [tf.reshape(output, [-1, 2, output.shape[-1] // 2]) for output in super()._heads(embedding)]
