"""The embeddings of held-out samples, for TensorBoard's embedding projector."""

import math
import os

import cv2
import numpy as np
from tensorboard.plugins import projector
from tensorflow import keras

from keras_simsiam import disk
from keras_simsiam.evaluation import features
from keras_simsiam.monitors.views import write_png

THUMBNAIL = 32  # pixels; 2,000 samples make a sprite of 45 x 45


class Embeddings(keras.callbacks.Callback):
    """After the last epoch the queries' embeddings, with their labels and pictures, as the projector reads them.

    folder/projector_config.pbtxt   what belongs together
           embeddings.tsv           a row a sample, of the encoder's D numbers
           metadata.tsv             its label and frame, under a head line
           sprite.png               its thumbnail, row by row in a square
    """

    def __init__(self, queries, classes, folder, epochs):
        """
        Args:
            queries: batches as `pipeline.clean_batches` makes them, labelled.
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
        found = features.extract(self.model.encoder, _with_thumbnails(self.queries, thumbnails))
        with disk.writing(self.folder):
            self._write(found, thumbnails)

    def _write(self, found, thumbnails):
        np.savetxt(os.path.join(self.folder, "embeddings.tsv"), found.embeddings, "%.4g", "\t")
        rows = [f"{self.classes[label]}\t{frame}\n" for label, frame in zip(found.labels, found.frames, strict=True)]
        with open(os.path.join(self.folder, "metadata.tsv"), "w") as file:
            file.writelines(["label\tframe\n", *rows])
        write_png(os.path.join(self.folder, "sprite.png"), sprite(thumbnails))
        projector.visualize_embeddings(self.folder, _config())


def _with_thumbnails(batches, thumbnails):
    """The batches as they are; on their way a small picture of each sample is added to the list."""
    for view, facts in batches:
        images = (view["rgb"] if "rgb" in view else view["hha"])[..., :3].numpy()
        thumbnails.extend(cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA) for image in images)
        yield view, facts


def sprite(thumbnails):
    """One picture of many, row by row in a square, black where there are no more.

    Args:
        thumbnails: N > 0 images, float32 [S,S,3] in 0..1.

    Returns:
        uint8 [n·S, n·S, 3], n = ⌈√N⌉.
    """
    across = math.isqrt(len(thumbnails) - 1) + 1
    side = len(thumbnails[0])
    squares = np.zeros((across * across, side, side, 3), np.uint8)
    squares[: len(thumbnails)] = np.round(np.stack(thumbnails) * 255)
    rows = squares.reshape(across, across, side, side, 3).swapaxes(1, 2)
    return rows.reshape(across * side, across * side, 3)


def _config():
    config = projector.ProjectorConfig()
    embedding = config.embeddings.add(
        tensor_name="kNN queries", tensor_path="embeddings.tsv", metadata_path="metadata.tsv"
    )
    embedding.sprite.image_path = "sprite.png"
    embedding.sprite.single_image_dim.extend([THUMBNAIL, THUMBNAIL])
    return config
