"""Views as the encoder takes them."""

import cv2
import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core import files

SAMPLES = 8
_TITLE_WIDTH, _TITLE_HEIGHT = 88, 18  # pixels that a column's title needs


class Views(keras.callbacks.Callback):
    """Every few epochs a grid of views, drawn as training draws those of that epoch, to TensorBoard and to a file."""

    def __init__(self, draw, every, path, writer, depth_input="hha"):
        """
        Args:
            draw: function from an epoch, from 0, to a tuple of views (`view_grid`).
            every: epochs between two grids; the first is of the epoch that the run begins or goes on with.
            path: of the PNG file that holds the newest.
            writer: a `tf.summary` writer.
            depth_input: as in `view_grid`.
        """
        super().__init__()
        self.draw = draw
        self.every = every
        self.path = path
        self.writer = writer
        self.depth_input = depth_input

    def on_epoch_begin(self, epoch, logs=None):
        if epoch % self.every:
            return
        grid = view_grid(self.draw(epoch), depth_input=self.depth_input)
        with files.writing(self.path):
            write_png(self.path, grid)
        with files.writing("TensorBoard's events"), self.writer.as_default(step=epoch + 1):
            tf.summary.image("views", grid[None])
            self.writer.flush()


def write_png(path, image):
    """Write a picture, or raise OSError, where OpenCV's own function says nothing of a full disk.

    Args:
        path: of the file.
        image: uint8 [H,W,3], RGB.
    """
    with open(path, "wb") as file:
        file.write(cv2.imencode(".png", image[..., ::-1])[1])


def view_grid(views, samples=SAMPLES, *, depth_input="hha"):
    """A picture of views under their titles: a row a sample; its first view's images, its second's, its small crops'.

    Args:
        views: a tuple of two views and any number of small crops, each a dict of float32 [B,S,S,C] in 0..1, of which three
            channels are shown.
        samples: number of rows.
        depth_input: what the `hha` images show; `hha` is titled HHA, others are titled depth.

    Returns:
        uint8 [title + rows·S·n, width, 3], with two columns a view for both RGB and HHA. Small images are shown n times as
        large, pixel by pixel, so that a title fits over each; small crops at the same scale, on white.
    """
    columns = {
        f"{_title(number)}: {title}": view[name][:samples, ..., :3].numpy()
        for number, view in enumerate(views, 1)
        for name, title in (("rgb", "RGB"), ("hha", "HHA" if depth_input == "hha" else "depth"))
        if name in view
    }
    side = max(images.shape[1] for images in columns.values())
    return np.concatenate([_column(title, images, side) for title, images in columns.items()], axis=1)


def _title(number):
    return f"view {number}" if number <= 2 else f"small {number - 2}"


def _column(title, images, side):
    times = -(-_TITLE_WIDTH // side)
    pixels = np.round(images * 255).astype(np.uint8).repeat(times, axis=1).repeat(times, axis=2)
    room = (
        times * side - pixels.shape[1],
        max(0, _TITLE_WIDTH - pixels.shape[2]),
    )  # of a small crop, below and to the right
    pixels = np.pad(pixels, [(0, 0), (0, room[0]), (0, room[1]), (0, 0)], constant_values=255)
    head = np.full((_TITLE_HEIGHT, pixels.shape[2], 3), 255, np.uint8)
    cv2.putText(head, title, (3, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([head, *pixels])
