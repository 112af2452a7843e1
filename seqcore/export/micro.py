"""TensorFlow Lite Micro: run a file in its interpreter, and size its arena."""

from __future__ import annotations

import re
import tempfile
from typing import Any

import numpy as np

from seqcore.export.errors import ExportError
from seqcore.export.flatbuffer import parse
from seqcore.export.stderr import stderr_to

_ROOMY_ARENA = 1 << 26
_TENSOR_BYTES = 80
_TOTAL = re.compile(rb"Arena allocation total (\d+) bytes")


def arena_bytes(content: bytes) -> int | None:
    """The arena that the file's tensors and the interpreter's bookkeeping fill.

    It is what the interpreter's recording allocator counts in a roomy arena, and what
    it needs for a moment to prepare the operator with the most tensors, rounded up to
    a KiB. (Trying ever smaller arenas would be exact, and has crashed the process.)
    None where the package ``tflite-micro`` is not installed.
    """
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError:
        return None
    with tempfile.TemporaryFile() as log:
        with stderr_to(log):
            try:
                runtime.Interpreter.from_bytes(
                    content,
                    arena_size=_ROOMY_ARENA,
                    intrepreter_config=runtime.InterpreterConfig.kAllocationRecording,
                ).print_allocations()
            except RuntimeError as error:
                raise ExportError(
                    f"TensorFlow Lite Micro does not run this file ({error}); "
                    "`python -m seqcore inspect` lists its operators"
                ) from None
        log.seek(0)
        total = _TOTAL.search(log.read())
    if total is None:
        return None
    most = max(
        len(o.inputs)
        + len(o.outputs)
        + (0 if o.intermediates is None else len(o.intermediates))
        for graph in parse(content).subgraphs
        for o in graph.operators
    )
    return -(-(int(total.group(1)) + most * _TENSOR_BYTES) // 1024) * 1024


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
