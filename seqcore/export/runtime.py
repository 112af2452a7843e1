"""Run a .tflite file under LiteRT: the exporter's own check, and users' scripts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from seqcore.export.errors import ExportError
from seqcore.export.flatbuffer import parse
from seqcore.export.signatures import SERVING


class TFLiteRunner:
    """A file's signatures as functions of named arrays, at any length.

    Args:
        model: The file's bytes, or its path.
        threads: Threads of the interpreter.

    Raises:
        ExportError: LiteRT refuses the file.
    """

    def __init__(self, model: bytes | str | os.PathLike, threads: int = 1):
        from ai_edge_litert.interpreter import Interpreter

        where = "the file" if isinstance(model, bytes) else str(model)
        content = model if isinstance(model, bytes) else Path(model).read_bytes()
        try:
            self.interpreter = Interpreter(model_content=content, num_threads=threads)
            self.signatures = self.interpreter.get_signature_list()
        except (ValueError, RuntimeError) as error:
            raise ExportError(f"{where} does not load in LiteRT: {error}") from None
        self._runners = {
            name: self.interpreter.get_signature_runner(name)
            for name in self.signatures
        }

    def __call__(
        self, inputs: Mapping[str, np.ndarray], signature: str = SERVING
    ) -> dict[str, np.ndarray]:
        """Outputs by name; quantised inputs and outputs are (de)quantised."""
        runner = self._runners[signature]
        details = runner.get_input_details()
        arrays = {n: _quantise(inputs[n], details[n]) for n in details}
        try:
            outputs = runner(**arrays)
        except RuntimeError as error:
            shapes = {name: array.shape for name, array in arrays.items()}
            raise ExportError(f"LiteRT fails to run it on {shapes}: {error}") from None
        described = runner.get_output_details()
        return {n: _dequantise(outputs[n], described[n]) for n in outputs}

    def reset(self) -> None:
        """Forget the hidden state of fused operators; other files have none."""
        self.interpreter.reset_all_variables()

    def close(self) -> None:
        """Free the interpreter and its memory."""
        self._runners.clear()
        del self.interpreter


def shape_appears_late(content: bytes, inputs: Mapping[str, np.ndarray]) -> bool:
    """Whether an output's shape is known only once the file has run.

    CompiledModel and the browser hand out buffers before that.
    """
    from ai_edge_litert.interpreter import Interpreter

    signatures = {_text(s.signatureKey): s for s in parse(content).signatureDefs}
    if signatures[SERVING].subgraphIndex != 0:
        return False
    interpreter = Interpreter(model_content=content, num_threads=1)
    index = {_text(m.name): int(m.tensorIndex) for m in signatures[SERVING].inputs}
    types = {d["index"]: d["dtype"] for d in interpreter.get_input_details()}
    for name, array in inputs.items():
        interpreter.resize_tensor_input(index[name], array.shape)
    interpreter.allocate_tensors()
    planned = [tuple(d["shape"]) for d in interpreter.get_output_details()]
    for name, array in inputs.items():
        interpreter.set_tensor(index[name], array.astype(types[index[name]]))
    interpreter.invoke()
    return planned != [tuple(d["shape"]) for d in interpreter.get_output_details()]


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _quantise(array: np.ndarray, detail: dict) -> np.ndarray:
    dtype, (scale, zero) = detail["dtype"], detail["quantization"]
    if scale and np.issubdtype(dtype, np.integer) and array.dtype.kind == "f":
        info = np.iinfo(dtype)
        array = np.clip(np.round(array / scale + zero), info.min, info.max)
    return np.ascontiguousarray(array, dtype=dtype)


def _dequantise(array: np.ndarray, detail: dict) -> np.ndarray:
    scale, zero = detail["quantization"]
    if scale and array.dtype.kind in "iu":
        return (array.astype(np.float32) - zero) * np.float32(scale)
    return array
