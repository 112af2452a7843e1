"""The one error an export raises for what it cannot do, and what others' say."""


class ExportError(ValueError):
    """A model or file that cannot be exported or read; says why and the way out."""


def cause(error: Exception) -> str:
    """The line of an error of TensorFlow's, or Keras's, that says what is wrong."""
    # It comes behind what kind of error that is, and before the operator and its place.
    lines = str(error).split("[[")[0].split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:300] if said else type(error).__name__
