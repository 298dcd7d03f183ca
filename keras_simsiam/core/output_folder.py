"""The folder that an evaluation writes into."""

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path

from keras_simsiam.core.errors import UserError

# How a file system refuses what is written to it.
_REFUSALS = (errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.ENOSPC, errno.EPERM, errno.EROFS)


@contextlib.contextmanager
def appearing_whole(output):
    """A context of a new folder, whose content is moved into `output` once the context ends without an error.

    What fails half-way must not leave its figures beside the numbers of another command.

    Args:
        output: Path of the folder, which is made where it is not there; files of the same names in it are replaced.

    Yields:
        The new folder's Path.

    Raises:
        UserError: `output` cannot be made or written; an error of reading, or of a file elsewhere, stays as it is.
    """
    with _made(output) as partial, _refusals_named(output):
        yield Path(partial)
        _move(Path(partial), output)


def _made(output):
    try:
        output.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=".partial-", dir=output)
    except OSError as error:
        raise UserError(f"--output={output} cannot be made or written ({error.strerror}): choose another") from error


@contextlib.contextmanager
def _refusals_named(output):
    try:
        yield
    except OSError as error:
        elsewhere = error.filename and not Path(error.filename).resolve().is_relative_to(output.resolve())
        if elsewhere or error.errno not in _REFUSALS:
            raise
        raise UserError(
            f"--output={output} cannot be written ({error.strerror}): make room or name another folder"
        ) from error


def _move(partial, output):
    """Puts what is in one folder into the other, in place of what has the same name there."""
    for path in partial.iterdir():
        if (output / path.name).is_dir():
            shutil.rmtree(output / path.name)
        os.replace(path, output / path.name)
