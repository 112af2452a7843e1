"""A loaded file as a function of no arguments that runs it once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[], Any]


def tflite_run(path: Path, array: np.ndarray) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]["index"]
    wanted = interpreter.get_output_details()[0]["index"]

    def run() -> np.ndarray:
        interpreter.set_tensor(given, array)
        interpreter.invoke()
        return interpreter.get_tensor(wanted)

    return run


def tflite_stream(path: Path, array: np.ndarray, units: int) -> Run:
    """One step of the ``stream`` signature, the state fed back.

    By LiteRT alone: what seqcore imports would count as the model's memory.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    call = interpreter.get_signature_runner("stream")
    names = [n for n in call.get_input_details() if n != "input"]
    states = {n: np.zeros((1, units), np.float32) for n in names}

    def run() -> Any:
        result = call(input=array, **states)
        for name in names:
            states[name] = result[name]
        return result["output"]

    return run


def onnx_run(path: Path, array: np.ndarray, units: int | None = None) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    feed = {"x": np.ascontiguousarray(array.transpose(1, 0, 2))}
    if units is None:
        return lambda: session.run(None, feed)[0]
    feed |= {n: np.zeros((1, 1, units), np.float32) for n in ("h0", "c0")}

    def run() -> Any:
        feed["h0"], feed["c0"] = session.run(None, feed)
        return feed["h0"]

    return run
