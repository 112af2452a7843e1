"""The one error an export raises for what it cannot do."""


class ExportError(ValueError):
    """A model or file that cannot be exported or read; says why and the way out."""
