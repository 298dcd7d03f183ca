"""Remote file systems: the one module that imports tensorflow-io, which has reached the end of its native releases."""

_REMOTE = ("http://", "https://", "s3://")


def is_remote(path: str) -> bool:
    """Whether TensorFlow reads `path` by way of tensorflow-io."""
    return path.startswith(_REMOTE)


def register_for(path: str) -> None:
    """Registers tensorflow-io's file systems with TensorFlow where `path` needs them; elsewhere does nothing."""
    if is_remote(path):
        import tensorflow_io  # noqa: F401 - the import itself registers them
