"""Makes HHA images of depth images and writes them as PNG files."""

import os
from collections.abc import Callable

import cv2
import numpy as np
import tensorflow as tf

from keras_simsiam.core import files
from keras_simsiam.depth import holes


def limit_threads(images_at_once: int) -> None:
    """Give each image one thread; must be called before TensorFlow computes anything.

    With one thread an image, sums come in one order: the same image always gives the same bytes, and no time goes
    into dividing operations of a millisecond among threads.
    """
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(images_at_once)


def make_encoder(
    encoding: str, gravity: tuple[float, float, float] | None, holes_as: str = "none"
) -> Callable[..., tf.Tensor]:
    """A graph function from depth float32 [H,W], metres, and intrinsics [4] to the HHA image, uint8 [H,W,3].

    There is one graph for images of all sizes, since crops have a size each and tracing takes longer than encoding.

    Args:
        encoding: "gupta" or "paper".
        gravity: its direction in the camera's frame, None to estimate it from each image.
        holes_as: one of `keras_simsiam.depth.holes.CHOICES` that needs no colour; `mask` gives [H,W,4].
    """

    @tf.function(
        input_signature=[tf.TensorSpec([None, None], tf.float32), tf.TensorSpec([4], tf.float32)], autograph=False
    )
    def encode(depth, intrinsics):
        return tf.cast(tf.round(holes.encode(depth, intrinsics, gravity, encoding=encoding, holes=holes_as)), tf.uint8)

    return encode


def write_png(path: str, image: np.ndarray) -> None:
    """Write an RGB or RGBA image, uint8 [H,W,3 or 4], with its folder. No partial file appears under its name.

    Raises:
        UserError: the folder or file cannot be written.
    """
    order = cv2.COLOR_RGB2BGR if image.shape[-1] == 3 else cv2.COLOR_RGBA2BGRA
    encoded = cv2.imencode(".png", cv2.cvtColor(image, order))[1]
    with files.writing(path, "fix that, or give another --output"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with files.replacing(path) as partial:  # no pattern for images matches this name, which a killed run leaves
            partial.write_bytes(encoded)
