"""seqcore: recurrent layers for Keras 3 that train fast and export cleanly."""

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqcore import inspect
    from seqcore.export.metadata import read_metadata
    from seqcore.export.saved_model import export_saved_model
    from seqcore.export.tflite import export_tflite
    from seqcore.layers.convert import convert
    from seqcore.layers.lstm import LSTM, LSTMCell
    from seqcore.layers.rnn import RNN, RNNCell

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

_LAYERS = {
    "LSTM": "seqcore.layers.lstm",
    "LSTMCell": "seqcore.layers.lstm",
    "RNN": "seqcore.layers.rnn",
    "RNNCell": "seqcore.layers.rnn",
    "convert": "seqcore.layers.convert",
}
# The export needs TensorFlow, which the layers do not: it is imported on first
# use, as the instruments are, so that `import seqcore` works, and stays quick,
# under every backend.
_LATER = {
    "export_saved_model": "seqcore.export.saved_model",
    "export_tflite": "seqcore.export.tflite",
    "read_metadata": "seqcore.export.metadata",
}


def __getattr__(name: str) -> Any:
    if name == "inspect":
        return importlib.import_module("seqcore.inspect")
    module = _LAYERS.get(name) or _LATER.get(name)
    if module is None:
        raise AttributeError(f"module 'seqcore' has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)


# Importing the layers registers them, which is why load_model knows them after
# `import seqcore`. `python -m seqcore` imports this package before it can look at
# its arguments, and has its answer to wrong ones long before Keras has started.
# While Python locates the module, argv[0] is "-m"; the name is among its arguments.
if sys.argv[:1] != ["-m"] or not {"seqcore", "-mseqcore"} & set(sys.orig_argv):
    for _name in _LAYERS:
        globals()[_name] = __getattr__(_name)
