"""TensorFlow Lite Micro: run a file in its interpreter, and size its arena."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np

_LARGEST_ARENA = 1 << 26
_STEP = 1 << 10


def arena_bytes(content: bytes) -> int | None:
    """The smallest arena, to a KiB, in which the file's tensors fit.

    None where the package ``tflite-micro`` is not installed.
    """
    try:
        import tflite_micro  # noqa: F401
    except ImportError:
        return None
    low, high = 0, _STEP
    while not _fits(content, high):
        low, high = high, 2 * high
        if high > _LARGEST_ARENA:
            from seqcore.export.errors import ExportError

            raise ExportError(
                "TensorFlow Lite Micro does not run this file, with any arena up to "
                f"{_LARGEST_ARENA:,} bytes; its operators are checked by "
                "`python -m seqcore inspect`"
            )
    while high - low > _STEP:
        middle = (low + high) // 2 // _STEP * _STEP
        low, high = (low, middle) if _fits(content, middle) else (middle, high)
    return high


def _fits(content: bytes, arena: int) -> bool:
    with _silent():
        try:
            micro_interpreter(content, arena)
        except RuntimeError:
            return False
    return True


def micro_interpreter(content: bytes, arena: int) -> Any:
    """tflite-micro's interpreter over ``content``."""
    from tflite_micro.python.tflite_micro import runtime

    return runtime.Interpreter.from_bytes(content, arena_size=arena)


def run_micro(content: bytes, array: np.ndarray, arena: int) -> np.ndarray:
    """The first output for one float input, (de)quantised as the file says."""
    interpreter = micro_interpreter(content, arena)
    given, wanted = interpreter.get_input_details(0), interpreter.get_output_details(0)
    interpreter.set_input(_to(array, given), 0)
    interpreter.invoke()
    result = interpreter.get_output(0)
    if result.dtype.kind != "i":
        return result
    scale, zero = _scale(wanted)
    return (result.astype(np.float32) - zero) * np.float32(scale)


def _scale(detail: dict[str, Any]) -> tuple[float, int]:
    parameters = detail["quantization_parameters"]
    return float(parameters["scales"][0]), int(parameters["zero_points"][0])


def _to(array: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    dtype = np.dtype(detail["dtype"])
    if dtype.kind != "i":
        return array.astype(dtype)
    scale, zero = _scale(detail)
    info = np.iinfo(dtype)
    return np.clip(np.round(array / scale + zero), info.min, info.max).astype(dtype)


@contextlib.contextmanager
def _silent():
    """Keep the interpreter's C++ complaints about a small arena off the terminal."""
    with open(os.devnull, "w") as null:
        saved = os.dup(2)
        os.dup2(null.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
