"""Remote file systems: the one module that imports tensorflow-io, which has reached the end of its native releases."""

import re

from keras_simsiam.core.errors import UserError

_REMOTE = ("http://", "https://", "s3://")


def is_remote(path: str) -> bool:
    """Whether TensorFlow reads `path` by way of tensorflow-io."""
    return path.startswith(_REMOTE)


def register_for(path: str) -> None:
    """Register tensorflow-io's file systems with TensorFlow where `path` needs them; elsewhere do nothing.

    Raises:
        UserError: tensorflow-io is not installed: it has no release for TensorFlow 2.21.
    """
    if not is_remote(path):
        return
    try:
        import tensorflow_io  # noqa: F401 - the import itself registers them
    except ImportError as error:
        raise UserError(
            f"{path}: reading from http and s3 needs tensorflow-io, which exists for Python 3.11: use that, or copy the "
            "files to a disk"
        ) from error


def is_transfer(error: Exception) -> bool:
    """Whether a TensorFlow error comes from tensorflow-io's transfer of a remote file; it has no type of its own."""
    return any(text in str(error) for text in ("Error executing an HTTP request", "Unable to perform ("))


def reason(error: Exception) -> str:
    """The one line of a TensorFlow error that says what happened to a file, without the graph's names around it."""
    # The message of an HTTP error goes on with the page that the server sent.
    message = error.message.partition(" with body ")[0].partition(" [Op:")[0].splitlines()[0]
    # TensorFlow 2.21 also says which step of the pipeline it was.
    return re.sub(r"^(\{\{.*?\}\}\s*)?(Error in user-defined function passed to \S+ .*?: \S+: )?", "", message)
