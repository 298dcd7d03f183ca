"""Remote file systems: the one module that imports tensorflow-io, which has reached the end of its native releases."""

import re

_REMOTE = ("http://", "https://", "s3://")


def is_remote(path: str) -> bool:
    """Whether TensorFlow reads `path` by way of tensorflow-io."""
    return path.startswith(_REMOTE)


def register_for(path: str) -> None:
    """Register tensorflow-io's file systems with TensorFlow where `path` needs them; elsewhere do nothing."""
    if is_remote(path):
        import tensorflow_io  # noqa: F401 - the import itself registers them


def is_transfer(error: Exception) -> bool:
    """Whether a TensorFlow error comes from tensorflow-io's transfer of a remote file; it has no type of its own."""
    return any(text in str(error) for text in ("Error executing an HTTP request", "Unable to perform ("))


def reason(error: Exception) -> str:
    """The one line of a TensorFlow error that says what happened to a file, without the graph's names around it."""
    # The message of an HTTP error goes on with the page that the server sent.
    message = error.message.partition(" with body ")[0].partition(" [Op:")[0].splitlines()[0]
    return re.sub(r"^\{\{.*?\}\}\s*", "", message)
