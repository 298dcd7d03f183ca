"""The embeddings of held-out samples, for TensorBoard's embedding projector."""

from tensorflow import keras

from keras_simsiam.core import files
from keras_simsiam.probes import features
from keras_simsiam.training.monitors import embedding_projector


class Embeddings(keras.callbacks.Callback):
    """After the last epoch the queries' embeddings, with their labels and pictures (`evaluation.projector`)."""

    def __init__(self, queries, classes, folder, epochs):
        """
        Args:
            queries: batches as `views.batches.clean_batches` makes them, labelled.
            classes: the name of each label.
            folder: where TensorBoard's events of the run are.
            epochs: number of epochs of the run.
        """
        super().__init__()
        self.queries = queries
        self.classes = classes
        self.folder = folder
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 != self.epochs:
            return
        thumbnails = []
        samples = features.extract(self.model.encoder, embedding_projector.with_thumbnails(self.queries, thumbnails))
        with files.writing(self.folder):
            embedding_projector.write(
                self.folder, samples, classes=self.classes, thumbnails=thumbnails, name="kNN queries"
            )
