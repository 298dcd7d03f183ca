"""Embeddings with their labels and pictures, as the projector of TensorBoard reads them.

folder/projector_config.pbtxt   what belongs together
       embeddings.tsv           a row a sample, of the encoder's D numbers
       metadata.tsv             its label and frame, under a head line
       sprite.png               its thumbnail, row by row in a square
"""

import math
import os

import cv2
import numpy as np
from tensorboard.plugins import projector

THUMBNAIL = 32  # pixels; 2,000 samples make a sprite of 45 x 45


def write(folder, samples, *, classes, thumbnails, name):
    """Write the four files.

    Args:
        folder: an existing folder.
        samples: `features.Features` of N > 0 labelled samples.
        classes: the name of each label.
        thumbnails: N images, float32 [THUMBNAIL,THUMBNAIL,3] in 0..1.
        name: what the projector calls them.

    Raises:
        OSError: a file cannot be written.
    """
    np.savetxt(os.path.join(folder, "embeddings.tsv"), samples.embeddings, "%.4g", "\t")
    rows = [f"{classes[label]}\t{frame}\n" for label, frame in zip(samples.labels, samples.frames, strict=True)]
    with open(os.path.join(folder, "metadata.tsv"), "w") as file:
        file.writelines(["label\tframe\n", *rows])
    with open(os.path.join(folder, "sprite.png"), "wb") as file:  # OpenCV's own function says nothing of a full disk
        file.write(cv2.imencode(".png", sprite(thumbnails)[..., ::-1])[1])
    projector.visualize_embeddings(folder, _config(name))


def with_thumbnails(batches, thumbnails):
    """The batches as they are; on their way a small picture of each sample is added to the list.

    Args:
        batches: of (view, facts), as `views.batches.clean_batches` makes them.
        thumbnails: a list that is added to.
    """
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


def _config(name):
    config = projector.ProjectorConfig()
    embedding = config.embeddings.add(tensor_name=name, tensor_path="embeddings.tsv", metadata_path="metadata.tsv")
    embedding.sprite.image_path = "sprite.png"
    embedding.sprite.single_image_dim.extend([THUMBNAIL, THUMBNAIL])
    return config
