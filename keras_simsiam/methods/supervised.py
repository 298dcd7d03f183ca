"""Classification pre-training, the other arm of the depth paper (Ray): what labels buy, by the same encoder and views."""

import tensorflow as tf

from keras_simsiam.methods.base import Method


class Supervised(Method):
    """Cross-entropy of a linear classifier on the encoder's embedding.

    Example:
        >>> encoder = build_encoder("rgb", "resnet18", 224)
        >>> method = Supervised(encoder, keras.layers.Dense(51, dtype="float32"))
    """

    def __init__(self, encoder, classifier, *, name="supervised"):
        """
        Args:
            encoder: a model from a view to a dict with `embedding` [B,D].
            classifier: from [B,D] to the logits of the classes, float32 [B,C].
            name: the method's name.
        """
        super().__init__(encoder, ("embedding",), name=name)
        if not classifier.built:  # the optimizer is built, and a checkpoint restored, before the first step
            classifier.build([None, encoder.output["embedding"].shape[-1]])
        self.classifier = classifier

    def objective(self, batch):
        """−log softmax(logits)[label], mean over the two views and the batch.

        Args:
            batch: `views`: two views of the same samples, each a dict of float32 [B,S,S,C]; `label`: int64 [B] in 0..C−1.

        Returns:
            A float32 scalar, the mean over this replica's share of the batch.
        """
        first, second = (self.encoder(view, training=True)["embedding"] for view in batch["views"])  # BxD
        self.watch(embedding=first)
        losses = [
            tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label"], self.classifier(embedding))
            for embedding in (first, second)
        ]
        return tf.reduce_mean(losses)
