"""The one exception that means "the user can fix this"."""


class UserError(Exception):
    """A mistake in what the user gave: shown as one line, exit status 2.

    The text names the file (and line), the value that is wrong and the remedy.
    Anything else that escapes is a bug of ours and shows its traceback.
    """


def first_line(error: BaseException) -> str:
    """What another library says of it, as much as a line of ours can hold."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
