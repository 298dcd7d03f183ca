"""Errors that a user can mend, and how the commands end on them."""

import functools
import sys


class UserError(Exception):
    """A mistake in a file, a flag or a folder: one line that names it and says what to do."""


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
