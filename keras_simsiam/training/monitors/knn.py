"""What the encoder has learnt, by labels that training does not see."""

import numpy as np
from tensorflow import keras

from keras_simsiam.probes import features, knn, whitening
from keras_simsiam.probes.effective_rank import effective_rank
from keras_simsiam.training.monitors.log import FIRST


class KNN(keras.callbacks.Callback):
    """Every few epochs the kNN accuracy of held-out queries against a bank, and the effective rank of the queries.

    Adds `knn`, `knn_whitened` (features whitened by the bank's), `effective_rank` (of the encoder's embeddings) and, where
    the method has a projector, `effective_rank_projection` to the logs; all in inference mode, of clean views. What is trained
    does not depend on them; which encoder is kept as the best does, on `knn_whitened`.
    The first epoch's logs also get what they were before the first step, `first_knn` and so on: the random baseline.
    """

    def __init__(self, bank, queries, num_classes, every, k, temperature, epochs, position, parts):
        """
        Args:
            bank: batches as `views.batches.clean_batches` makes them, labelled.
            queries: the same, of samples that training does not see.
            num_classes: number of labels.
            every: epochs between two measurements; the last epoch is always measured.
            k: neighbours.
            temperature: of the votes.
            epochs: number of epochs of the run.
            position: the run's `checkpoints.Position`, which remembers what the untrained network had.
            parts: equal parts of the embedding that are whitened apart.
        """
        super().__init__()
        self.bank = bank
        self.queries = queries
        self.num_classes = num_classes
        self.every = every
        self.k = k
        self.temperature = temperature
        self.epochs = epochs
        self.position = position
        self.parts = parts

    def on_train_begin(self, logs=None):
        if self.position.epoch == self.position.step == 0:
            self.position.untrained = self._measure()

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0 and self.position.untrained:  # None: begun by a version that did not measure it
            logs.update({FIRST + name: value for name, value in self.position.untrained.items()})
        if (epoch + 1) % self.every == 0 or epoch + 1 == self.epochs:
            logs.update(self._measure())

    def _measure(self):
        bank, queries = (features.extract(self.model.encoder, batches) for batches in (self.bank, self.queries))
        whitened = whitening.fit(bank.embeddings, parts=self.parts)

        def accuracy(bank_features, query_features):
            settings = self.k, self.temperature, self.num_classes
            predicted = knn.classify(bank_features, bank.labels, query_features, *settings)
            return float(np.mean(predicted == queries.labels))

        measured = {
            "knn": accuracy(bank.embeddings, queries.embeddings),
            "knn_whitened": accuracy(whitened(bank.embeddings), whitened(queries.embeddings)),
            "effective_rank": effective_rank(queries.embeddings),
        }
        projector = getattr(self.model, "projector", None)
        if projector is not None:
            # the projector of pairs across modalities takes half an embedding: then each half is a row
            rows = queries.embeddings.reshape(-1, projector.input_shape[-1])
            projections = np.asarray(projector(rows, training=False), np.float32)
            measured["effective_rank_projection"] = effective_rank(projections)
        return measured
