"""Files and folders that appear whole or not at all, one line where they cannot be written, hashes, and sizes in words."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from keras_simsiam.core.errors import UserError

GB = 10**9  # bytes
# What the names of `hidden_folder` begin with: what a killed process left can be told by it.
PARTIAL = ".partial-"
# How a file system refuses what is written to it.
_REFUSALS = (errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.ENOSPC, errno.EPERM, errno.EROFS)


@contextlib.contextmanager
def writing(
    what: str | Path, remedy: str = "make room, and give the same command again", raises: type[UserError] = UserError
) -> Iterator[None]:
    """A context for what is written, by Python or by TensorFlow: what goes wrong becomes one line.

    Nothing should be read in it: an error of reading would be called one of writing.

    Args:
        what: the file or the flag, with which the line begins.
        remedy: what to do, with which it ends.
        raises: the class of the error.

    Raises:
        UserError: it cannot be written.
    """
    try:
        yield
    except _errors() as error:
        raise raises(f"{what} cannot be written ({reason(error)}): {remedy}") from error


def _errors():
    """What writing may raise; of TensorFlow, which takes seconds to load, only where it is loaded."""
    tensorflow = sys.modules.get("tensorflow")
    return (OSError, tensorflow.errors.OpError) if tensorflow else OSError


def reason(error: Exception) -> str:
    """The first line of what an error says, for a message of one line."""
    # TensorFlow puts a file, the name of the operation, and since 2.16 the step of a pipeline around what was wrong
    around = r"^({{.*?}} ?)?(Error in user-defined function passed to \S+ .*?: \S+: )?(.*; )?| \[Op:.*"
    text = getattr(error, "strerror", None) or re.sub(around, "", str(error))
    return text.splitlines()[0][:200] if text else type(error).__name__


def hidden(path: str | Path) -> Path:
    """A path next to `path` for what is to become it, another at each call: two processes may be at the same file."""
    path = Path(path)
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}")


@contextlib.contextmanager
def replacing(path: str | Path, partial: str | Path | None = None) -> Iterator[Path]:
    """A context for a file that appears whole: until the end it has another name, and an error removes it.

    Args:
        path: of the file; one that exists stays until the new one is complete.
        partial: the other name, in the same folder. By default it is hidden and another at each call; a fixed one is for large
            files, as the next attempt then replaces what a killed process left.

    Yields:
        The Path to write to.
    """
    partial = Path(partial or hidden(path))
    try:
        yield partial
        os.replace(partial, path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Write a small text file in UTF-8, wholly or not at all, to the disk itself.

    Raises:
        OSError: it cannot be written; the file stays as it was.
    """
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
        flush(partial)


def flush(path: str | Path) -> None:
    """Wait until a file is on the disk; of a folder, until the names in it are (a rename is one of these)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def hidden_folder(parent: str | Path) -> Iterator[Path]:
    """A context of a new hidden folder, which is removed at the end with what is still in it.

    Args:
        parent: the folder to make it in; made if it does not exist.

    Yields:
        The new folder's Path.
    """
    folder = Path(parent, PARTIAL + uuid.uuid4().hex)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def appearing(folder: str | Path) -> Iterator[Path]:
    """A context for a folder that appears whole: until the end it has a hidden name, and an error removes it.

    Args:
        folder: the path that it gets; must not exist.

    Yields:
        The Path of the folder to write into.
    """
    with hidden_folder(Path(folder).parent) as partial:
        yield partial
        os.rename(partial, folder)


@contextlib.contextmanager
def merged_into(folder: str | Path, what: str) -> Iterator[Path]:
    """A context of a new folder, whose content is moved into another once the context ends without an error.

    What fails half-way must not leave its figures next to the numbers of another command.

    Args:
        folder: the other one; made if it does not exist. Files of the same names in it are replaced.
        what: what the error calls it, such as --output=results.

    Yields:
        The new folder's Path.

    Raises:
        UserError: `folder` cannot be made or written; an error of reading, or of a file elsewhere, stays as it is.
    """
    folder = Path(folder)
    with contextlib.ExitStack() as stack:
        with writing(what, "choose another"):
            partial = stack.enter_context(hidden_folder(folder))
        with _refusals_named(folder, what):
            yield partial
            for path in partial.iterdir():
                if (folder / path.name).is_dir():
                    shutil.rmtree(folder / path.name)
                os.replace(path, folder / path.name)


@contextlib.contextmanager
def _refusals_named(folder, what):
    try:
        yield
    except OSError as error:
        elsewhere = error.filename and not Path(error.filename).resolve().is_relative_to(folder.resolve())
        if elsewhere or error.errno not in _REFUSALS:
            raise
        raise UserError(f"{what} cannot be written ({reason(error)}): make room or name another folder") from error


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits; of a folder, of all its files one after the other, by their paths."""
    path, digest = Path(path), hashlib.sha256()
    for file in sorted(inner for inner in path.rglob("*") if inner.is_file()) if path.is_dir() else [path]:
        with open(file, "rb") as content:
            hashlib.file_digest(content, lambda: digest)
    return digest.hexdigest()


def in_gb(size: int) -> str:
    """A number of bytes in words, in units of 10⁹ bytes: 0.01235 GB. Rounded up, so that a limit of as much is enough."""
    return f"{-(-size // 10**4) / 10**5:.5g} GB"
