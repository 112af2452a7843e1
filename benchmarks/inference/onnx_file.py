"""An LSTM as an ONNX file of one operator."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np


def write_lstm(path: Path, shape: Any, kind: str, weights: Any, precision: str) -> None:
    """ONNX's LSTM (gates i, o, f, c) with the weights of Keras's (i, f, c, o)."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    timesteps, features, units = shape
    directions = len(weights) // 3

    def gates(array: Any) -> Any:
        i, f, c, o = np.split(array, 4, axis=-1)
        return np.concatenate([i, o, f, c], axis=-1)

    groups = [weights[3 * d : 3 * d + 3] for d in range(directions)]
    constants = {
        "W": np.stack([gates(w).T for w, _, _ in groups]),
        "R": np.stack([gates(r).T for _, r, _ in groups]),
        "B": np.stack([np.concatenate([gates(b), 0 * b]) for _, _, b in groups]),
    }
    stream = kind == "stream"
    inputs = [("x", (timesteps, 1, features))]
    states = [(n, (directions, 1, units)) for n in ("h0", "c0")] if stream else []
    node = helper.make_node(
        "LSTM",
        ["x", "W", "R", "B", *(["", "h0", "c0"] if stream else [])],
        ["y", "h", "c"],
        hidden_size=units,
        direction="bidirectional" if directions == 2 else "forward",
    )
    sequence = ("y", (timesteps, directions, 1, units))
    last = [("h", (directions, 1, units)), ("c", (directions, 1, units))]
    outputs = last if stream else last[:1] if kind == "last" else [sequence]

    def info(values: Any) -> Any:
        return [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in values
        ]

    graph = helper.make_graph(
        [node],
        "lstm",
        info(inputs + states),
        info(outputs),
        [numpy_helper.from_array(v.astype("float32"), n) for n, v in constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    if precision == "float32":
        onnx.save(model, path)
        return
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        onnx.save(model, plain)
        quantize_dynamic(plain, path, weight_type=QuantType.QInt8)
