"""The one exception that means "the user can fix this"."""


class UserError(Exception):
    """A mistake in what the user gave: shown as one line, exit status 2.

    The text names the file (and line), the value that is wrong and the remedy.
    Anything else that escapes is a bug of ours and shows its traceback.
    """
