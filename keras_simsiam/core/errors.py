"""Errors that a user can mend."""


class UserError(Exception):
    """A mistake in a file, a flag or a folder: one line that names it and says what to do."""
