"""SimSiam across modalities: the positive of a view's colour is another view's depth."""

import tensorflow as tf

from keras_simsiam.methods.simsiam import SimSiam


class CrossModal(SimSiam):
    """SimSiam whose two branches see different modalities of different views, and share projector and predictor.

    That colour and depth of one scene are each other's positives is of Tian et al., Contrastive Multiview Coding, ECCV
    2020, section 3; the loss is Chen & He's. The embedding that is evaluated stays that of both modalities, concatenated.

    Example:
        >>> encoder = build_encoder("rgbd", "resnet18", 224)
        >>> method = CrossModal(encoder, projector(512), predictor())
    """

    def objective(self, batch):
        """½ L(colour of view 1, depth of view 2) + ½ L(depth of view 1, colour of view 2), L as SimSiam's Eq. 4, in -1..1.

        The first view always is the one that predicts where SimSiam is asymmetric.

        Args:
            batch: `views`: two views of the same samples, each a dict with `rgb` and `hha`, float32 [B,S,S,C].

        Returns:
            A float32 scalar, the mean over this replica's share of the batch.
        """
        first, second = views = batch["views"]
        rgb1, hha2 = self._embeddings(first["rgb"], second["hha"])  # BxD/2
        rgb2, hha1 = self._embeddings(second["rgb"], first["hha"])
        # one modality at a time: BatchNorm in the heads sees each apart, as it sees each view apart
        one = self._compare(views, self._heads(rgb1), self._heads(hha2))
        return 0.5 * one + 0.5 * self._compare(views, self._heads(hha1), self._heads(rgb2))

    def _embeddings(self, rgb, hha):
        """Each modality's half of the encoder's embedding, float32 [B,D/2]."""
        return tf.split(self.encoder({"rgb": rgb, "hha": hha}, training=True)["embedding"], 2, axis=1)
