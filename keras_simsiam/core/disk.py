"""What becomes of a run whose disk is full."""

import contextlib
import re

import tensorflow as tf

from keras_simsiam.core.errors import UserError


@contextlib.contextmanager
def writing(path):
    """A context for what a run writes as it goes, by Python or by TensorFlow.

    Args:
        path: what is written, for the message.

    Raises:
        UserError: it cannot be written.
    """
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        raise UserError(
            f"{path}: cannot be written ({reason(error)}): make room, and the same command goes on from the last checkpoint"
        ) from error


def reason(error):
    """The first line of what an error says, for a message of one line."""
    # TensorFlow puts a file and the name of the operation around what was wrong
    text = getattr(error, "strerror", None) or re.sub(r"^({{.*?}} ?)?(.*; )?| \[Op:.*", "", str(error))
    return text.splitlines()[0][:200] if text else type(error).__name__
