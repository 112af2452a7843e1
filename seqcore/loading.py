"""What the command line is given: models, examples; and a quiet start."""

from __future__ import annotations

import re
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from seqcore.export.stderr import quiet

# What NumPy raises at a damaged file: in a header that is no Python any more, one that
# claims more than there is memory, and of archives that zipfile does not read.
_DAMAGE = (
    OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error,
    RuntimeError, MemoryError, tokenize.TokenError,
)  # fmt: skip

_UNKNOWN_CLASS = re.compile(
    r"Could not locate class '(\w+)'.*?'module': '([\w.]+)'", re.S
)


def read_arrays(name: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz by name, or that of a .npy as ``x``.

    Raises:
        ValueError: neither, damaged, empty, or arrays that differ in examples.
    """
    if Path(name).suffix not in (".npy", ".npz"):
        raise ValueError(f"{name}: expected a .npy or .npz file")
    try:
        with open(name, "rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                loaded = {"x": loaded}
            arrays = {key: loaded[key] for key in loaded}
    except _DAMAGE as error:
        raise ValueError(f"{name}: not a .npy or .npz that opens ({error})") from None
    counts = {key: len(a) if a.ndim else 0 for key, a in arrays.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise ValueError(
            f"{name}: expected arrays with as many examples each; it has "
            f"{counts or 'none'}"
        )
    return arrays


def start_tensorflow() -> None:
    """Import TensorFlow, without the words on standard error that no level stops."""
    with quiet():
        import tensorflow as tf

        tf.config.list_physical_devices()  # looks for a GPU, and says so


def load_model(path: Path, *, with_loss: bool = False) -> Any:
    """The model of a .keras file, and the loss it was saved with if Keras knows it.

    Raises:
        ValueError: Keras cannot load it.
    """
    import keras

    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: not a .keras file, or cut short")
    from seqcore.layers import lstm, rnn  # noqa: F401  registers what files name

    try:
        return keras.saving.load_model(path, compile=with_loss)
    except Exception as error:  # Damaged archives raise anything.
        if with_loss:
            return load_model(path)
        raise ValueError(f"{path}: Keras cannot load it ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    text = str(error).strip()
    if unknown := _UNKNOWN_CLASS.search(text):
        name, module = unknown.groups()
        remedy = f"load it in Python after `import {module}`"
        if module.startswith("apps."):
            remedy = f"python -m {'.'.join(module.split('.')[:2])} has the same command"
        return f"{name} of {module} is not known here: {remedy}"
    return text.splitlines()[0][:300] if text else type(error).__name__
