"""Latency of exported recurrent layers on one CPU thread, against their peers.

    python benchmarks/inference.py [--models DIR] [--json FILE]

For every layer below the same weights run as: this library's file in each lowering,
Keras's own LSTM converted with a batch of 1, LiteRT's fused LSTM operator, and ONNX
Runtime's LSTM operator; in float32 and with dynamic-range int8 weights. All of them
take turns in one process, one thread each, so that a disturbance hits them alike;
a cell holds the median, and ratios are ratios of medians. Memory is the resident
memory that loading and running adds to a fresh process. `--models` keeps the
converted files, so that a second run only measures.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

SHAPES = ((50, 13, 64), (100, 40, 128), (200, 64, 256))
KINDS = ("last", "sequence", "bidirectional")
PRECISIONS = ("float32", "int8")
_UNROLLED_TIMESTEPS = 100

Run = Callable[[], Any]


def build(folder: Path) -> None:
    """Convert every contestant that ``folder`` does not hold yet."""
    for shape in SHAPES:
        for kind in KINDS:
            _build_layer(folder, shape, kind)
    for shape in SHAPES:
        _build_stream(folder, shape)


def _layers(shape: tuple[int, int, int], kind: str) -> tuple[Any, Any, list[Any]]:
    """seqcore's model, Keras's model with the same weights, and the weights."""
    import keras

    import seqcore

    timesteps, features, units = shape
    keras.utils.set_random_seed(0)

    def model(layer: Any) -> Any:
        wrapped = (
            keras.layers.Bidirectional(layer) if kind == "bidirectional" else layer
        )
        inputs = keras.Input((timesteps, features), batch_size=1)
        return keras.Sequential([inputs, wrapped])

    sequence = kind != "last"
    ours = model(seqcore.LSTM(units, return_sequences=sequence))
    theirs = model(keras.layers.LSTM(units, return_sequences=sequence))
    rng = np.random.default_rng(0)
    weights = [
        rng.standard_normal(w.shape).astype("float32") * (0.5 / np.sqrt(w.shape[0]))
        for w in theirs.get_weights()
    ]
    theirs.set_weights(weights)
    layers = [ours.layers[0]]
    if kind == "bidirectional":
        layers = [ours.layers[0].forward_layer, ours.layers[0].backward_layer]
    for number, layer in enumerate(layers):
        values = weights[3 * number : 3 * number + 3]
        for name, value in zip(
            ("kernel", "recurrent_kernel", "bias"), values, strict=True
        ):
            getattr(layer.cell, name).assign(value)
    return ours, theirs, weights


def _path(folder: Path, shape: Any, kind: str, who: str, precision: str) -> Path:
    suffix = "onnx" if who == "onnxruntime" else "tflite"
    size = "x".join(map(str, shape))
    return folder / f"{size}_{kind}_{who}_{precision}.{suffix}"


def _build_layer(folder: Path, shape: tuple[int, int, int], kind: str) -> None:
    from seqcore.export.tflite import export_tflite

    ours = theirs = weights = None
    for precision in PRECISIONS:
        quantize = "none" if precision == "float32" else "dynamic"
        for who in ("loop", "unrolled", "fused", "keras", "onnxruntime"):
            path = _path(folder, shape, kind, who, precision)
            long = who == "unrolled" and shape[0] > _UNROLLED_TIMESTEPS
            if path.exists() or long:
                continue
            if ours is None:
                ours, theirs, weights = _layers(shape, kind)
            print(f"converting {path.name}", file=sys.stderr, flush=True)
            if who == "keras":
                path.write_bytes(_convert_keras(theirs, precision))
            elif who == "onnxruntime":
                _write_onnx(path, shape, kind, weights, precision)
            else:
                export_tflite(
                    ours, path, lowering=who, quantize=quantize, verbose=False
                )


def _convert_keras(model: Any, precision: str) -> bytes:
    """What a Keras user gets today: the converter on a model with a batch of 1."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if precision == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return converter.convert()


def _write_onnx(
    path: Path, shape: Any, kind: str, weights: Any, precision: str
) -> None:
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


def _build_stream(folder: Path, shape: tuple[int, int, int]) -> None:
    from seqcore.export.tflite import export_tflite

    one = (1, *shape[1:])
    model, _, weights = _layers(shape, "last")
    for precision in PRECISIONS:
        quantize = "none" if precision == "float32" else "dynamic"
        for chunk in (None, 1):
            who = "stream" if chunk is None else "stream fixed"
            path = _path(folder, shape, "stream", who.replace(" ", "_"), precision)
            if not path.exists():
                export_tflite(
                    model, path, quantize=quantize, streaming=True, chunk=chunk,
                    verbose=False,
                )  # fmt: skip
        path = _path(folder, shape, "stream", "onnxruntime", precision)
        if not path.exists():
            _write_onnx(path, one, "stream", weights, precision)


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
    """One step of the ``stream`` signature, the state fed back."""
    from seqcore.export.runtime import TFLiteRunner

    runner = TFLiteRunner(path)
    call = runner.interpreter.get_signature_runner("stream")
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


def interleave(runs: dict[str, Run], seconds: float) -> dict[str, float]:
    """Median latency in ms, the contestants taking turns for about ``seconds``."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        for _ in range(3):
            run()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(times.values()))) < 20:
        for name, run in runs.items():
            for _ in range(3):
                start = time.perf_counter()
                run()
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(values)) for name, values in times.items()}


def added_memory(load: Callable[[], Run]) -> float:
    """MB of resident memory that loading and three runs add, in a forked process."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            before = resident()
            run = load()
            for _ in range(3):
                run()
            os.write(writer, str(resident() - before).encode())
        finally:
            os._exit(0)  # never back into the parent's code
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        return int(pipe.read() or 0) / 1e6


def measure(folder: Path, seconds: float) -> list[dict[str, Any]]:
    """One row per shape, kind, precision and contestant."""
    rows = []
    # Loaded before the forks, so that libraries do not count as a model's memory.
    import onnxruntime  # noqa: F401
    from ai_edge_litert.interpreter import Interpreter  # noqa: F401

    for shape in SHAPES:
        array = np.random.default_rng(1).standard_normal((1, *shape[:2]))
        array = array.astype(np.float32)
        for kind in (*KINDS, "stream"):
            for precision in PRECISIONS:
                rows += _measure_cell(folder, shape, kind, precision, array, seconds)
    return rows


def _measure_cell(
    folder: Path,
    shape: tuple[int, int, int],
    kind: str,
    precision: str,
    array: np.ndarray,
    seconds: float,
) -> list[dict[str, Any]]:
    units = shape[2]
    loads: dict[str, Callable[[], Run]] = {}
    paths: dict[str, Path] = {}
    if kind == "stream":
        array = array[:, :1]
        names = ["stream", "stream_fixed", "onnxruntime"]
    else:
        names = ["loop", "unrolled", "fused", "keras", "onnxruntime"]
    for who in names:
        path = _path(folder, shape, kind, who, precision)
        if not path.exists():
            continue
        paths[who] = path
        if who == "onnxruntime":
            size = units if kind == "stream" else None
            loads[who] = functools.partial(onnx_run, path, array, size)
        elif kind == "stream":
            loads[who] = functools.partial(tflite_stream, path, array, units)
        else:
            loads[who] = functools.partial(tflite_run, path, array)
    memory = {who: added_memory(load) for who, load in loads.items()}
    latency = interleave({who: load() for who, load in loads.items()}, seconds)
    return [
        {
            "timesteps": shape[0],
            "features": shape[1],
            "units": units,
            "kind": kind,
            "precision": precision,
            "who": who,
            "ms": round(latency[who], 4),
            "ratio_to_onnxruntime": round(latency[who] / latency["onnxruntime"], 3),
            "bytes": paths[who].stat().st_size,
            "memory_mb": round(memory[who], 2),
        }
        for who in loads
    ]


def table(rows: list[dict[str, Any]]) -> str:
    """A Markdown table, one line per measured file."""
    lines = [
        "| T, F, units | output | weights | file | ms | to ONNX Runtime | KB | MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        lines.append(
            f"| {r['timesteps']}, {r['features']}, {r['units']} | {r['kind']} "
            f"| {r['precision']} | {r['who'].replace('_', ' ')} | {r['ms']:.3f} "
            f"| {r['ratio_to_onnxruntime']:.2f} | {r['bytes'] / 1000:.0f} "
            f"| {r['memory_mb']:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, help="folder to keep converted files in")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--seconds", type=float, default=4.0, help="time per cell")
    parser.add_argument(
        "--build-only", action="store_true", help="convert, not measure"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.models or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        build(folder)
        if arguments.build_only:
            return
        rows = measure(folder, arguments.seconds)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
