"""Errors that a user can mend, and how the commands end on them."""

import functools
import sys

from absl import flags


class UserError(Exception):
    """A mistake in a file, a flag or a folder: one line that names it and says what to do."""


def parse_flags(argv):
    """For `app.run(main, flags_parser=parse_flags)`: a flag that does not parse ends the command with one line, status 1.

    Args:
        argv: the command line, list of strings.

    Returns:
        What of it is no flag, the command's name first.
    """
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        sys.exit("error: " + str(error).replace("\n", "; "))


def exit_on_user_error(main):
    """Decorates a command's `main(argv)`: a UserError or an interrupt ends it with one line and status 1, no traceback."""

    @functools.wraps(main)
    def wrapped(argv):
        try:
            return main(argv)
        except UserError as error:
            sys.exit(f"error: {error}")
        except KeyboardInterrupt:
            sys.exit("interrupted")

    return wrapped
