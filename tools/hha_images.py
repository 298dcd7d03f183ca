"""Makes HHA images of depth images and writes them as PNG files."""

import contextlib
import os
from collections.abc import Callable

# At 2, TensorFlow still reports CUDA libraries that register twice, on every machine.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
import tensorflow as tf

from keras_simsiam.depth import hha
from keras_simsiam.errors import UserError


def limit_threads(images_at_once: int) -> None:
    """Gives each image one thread; must be called before TensorFlow computes anything.

    With one thread an image, sums come in one order: the same image always gives the same bytes, and no time goes
    into dividing operations of a millisecond among threads.
    """
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(images_at_once)


def make_encoder(encoding: str, gravity: tuple[float, float, float] | None) -> Callable[..., tf.Tensor]:
    """A graph function from depth float32 [H,W], metres, and intrinsics [4] to the HHA image, uint8 [H,W,3].

    There is one graph for images of all sizes, since crops have a size each and tracing takes longer than encoding.

    Args:
      encoding: "gupta" or "paper".
      gravity: its direction in the camera's frame, None to estimate it from each image.
    """

    @tf.function(
        input_signature=[tf.TensorSpec([None, None], tf.float32), tf.TensorSpec([4], tf.float32)], autograph=False
    )
    def encode(depth, intrinsics):
        return tf.cast(tf.round(hha.encode(depth, intrinsics, gravity, encoding=encoding)), tf.uint8)

    return encode


def write_png(path: str, image: np.ndarray) -> None:
    """Writes an RGB image, uint8 [H,W,3], with its folder; the file appears under its name only when it is complete.

    Raises:
      UserError: the folder or file cannot be written.
    """
    encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
    # A dot and another suffix, so that no pattern for images finds what a killed run leaves.
    folder, name = os.path.split(path)
    partial = os.path.join(folder, f".{name}.{os.getpid()}.partial")
    try:
        os.makedirs(folder, exist_ok=True)
        with open(partial, "wb") as file:
            file.write(encoded)
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.remove(partial)
        raise UserError(f"{path} cannot be written ({error.strerror}): mend that, or give another --output") from None
