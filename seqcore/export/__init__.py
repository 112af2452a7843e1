"""From a Keras model to a phone, a browser or a microcontroller."""

from seqcore.export.errors import ExportError
from seqcore.export.metadata import read_metadata, write_metadata

__all__ = [
    "ExportError",
    "export_saved_model",
    "export_tflite",
    "read_metadata",
    "write_metadata",
]


def export_tflite(*args, **kwargs):
    from seqcore.export.tflite import export_tflite as export

    return export(*args, **kwargs)


def export_saved_model(*args, **kwargs):
    from seqcore.export.saved_model import export_saved_model as export

    return export(*args, **kwargs)
