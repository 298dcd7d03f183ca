"""Errors that a user can correct, worded for who reads them: a program's author by arguments, a command's user by flags."""

import re

_ARGUMENT = re.compile(r"`([a-z][a-z0-9_]*)(=[^`]*)?`")
_flags: frozenset[str] | None = None  # the names of the running command's flags; None: no command runs
_commands: dict[str, str] = {}  # how the commands are called here, by how texts call them


class UserError(Exception):
    """A mistake in a file, an argument or a folder: one line that names it and says what to do.

    Example:
        >>> try:
        ...     ks.Dataset("nowhere")
        ... except ks.UserError as error:
        ...     print(str(error).partition(":")[0])
        no data set in nowhere (dataset.json is missing)
    """

    def __str__(self):
        return worded(super().__str__())


def speak_of_flags(names) -> None:
    """From now on messages name flags, `--name=value`: the process runs a command that has these.

    Args:
        names: of all its flags.
    """
    global _flags
    _flags = frozenset(names)


def call_commands(names: dict[str, str]) -> None:
    """From now on `as_called` and messages call commands by other names: the process was started by one of these.

    Args:
        names: by what texts call them: `train.py`, or a module such as tfrecords.build.
    """
    _commands.update(names)


def as_called(text: str) -> str:
    """A text that names commands, `python train.py`, as the running command was called: `keras-simsiam train`."""
    if not _commands:
        return text
    # a path such as runs/train.py is no command
    called = rf"(?<![\w./-])(?:python (?:-m )?)?({'|'.join(map(re.escape, _commands))})(?![\w/])"
    return re.sub(called, lambda found: _commands[found[1]], text)


def worded(text: str) -> str:
    """A message as its reader knows things: in a command its flags, elsewhere arguments.

    Args:
        text: the message, in which arguments stand in backticks: `name` or `name=value`.

    Returns:
        In a command the same with --name=value, and --name of those that are flags of it; elsewhere the text as it is.
    """
    return text if _flags is None else as_called(as_flags(text, _flags))


def as_flags(text: str, names: frozenset[str] | None = None) -> str:
    """A text whose arguments in backticks become flags.

    Args:
        text: with `name` or `name=value`.
        names: of the flags; None: every name is one. With a value it becomes a flag in any case: it may be another command's.

    Returns:
        The text with --name or --name=value in their place.
    """

    def flag(match):
        name, value = match[1], match[2] or ""
        return f"--{name}{value}" if value or names is None or name in names else match[0]

    return _ARGUMENT.sub(flag, text)
