"""seqcore: recurrent layers for Keras 3 that train fast and export cleanly."""

import importlib
from typing import TYPE_CHECKING, Any

from seqcore.layers.convert import convert
from seqcore.layers.lstm import LSTM, LSTMCell
from seqcore.layers.rnn import RNN, RNNCell

if TYPE_CHECKING:
    from seqcore import inspect
    from seqcore.export.metadata import read_metadata
    from seqcore.export.saved_model import export_saved_model
    from seqcore.export.tflite import export_tflite

__all__ = [
    "LSTM",
    "RNN",
    "LSTMCell",
    "RNNCell",
    "convert",
    "export_saved_model",
    "export_tflite",
    "inspect",
    "read_metadata",
]

# The export needs TensorFlow, which the layers do not: it is imported on first
# use, as the instruments are, so that `import seqcore` works, and stays quick,
# under every backend.
_LAZY = {
    "export_saved_model": "seqcore.export.saved_model",
    "export_tflite": "seqcore.export.tflite",
    "read_metadata": "seqcore.export.metadata",
}


def __getattr__(name: str) -> Any:
    if name == "inspect":
        return importlib.import_module("seqcore.inspect")
    if name not in _LAZY:
        raise AttributeError(f"module 'seqcore' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
