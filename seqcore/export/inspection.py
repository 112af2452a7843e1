"""What is inside an exported file: signatures, operators, sizes, metadata."""

from __future__ import annotations

import collections
import os
from pathlib import Path
from typing import Any

import numpy as np

from seqcore.export.errors import ExportError
from seqcore.export.flatbuffer import TENSOR_TYPES, operator_name, parse
from seqcore.export.metadata import read_metadata

_BYTES = {"float32": 4, "float16": 2, "int8": 1, "uint8": 1, "int16": 2, "int64": 8}


def inspect_tflite(path: str | os.PathLike) -> dict[str, Any]:
    """Describe a .tflite file as plain JSON values.

    Returns:
        ``size`` in bytes, ``signatures`` (inputs and outputs with shape, type and
        quantisation), ``operators`` (name to count), ``subgraphs``, ``weights``
        (elements by type, and their bytes), ``quantisation``,
        ``variable_tensors``, ``metadata``.

    Raises:
        ExportError: (a ValueError) No such file, not a .tflite file, or one cut
            short.
    """
    path = Path(path)
    if path.is_dir():
        raise ExportError(f"{path}: is a folder; expected a .tflite or .keras file")
    if not path.is_file():
        raise ExportError(f"{path}: no such file")
    content = path.read_bytes()
    model = parse(content, str(path))
    _check_complete(content, model, path)
    metadata = read_metadata(path)
    try:
        found = _described(model)
    except Exception as error:  # The tree holds whatever a damaged file says.
        raise ExportError(f"{path} is damaged ({error})") from None
    return {"path": str(path), "size": len(content), **found, "metadata": metadata}


def _described(model: Any) -> dict[str, Any]:
    operators = collections.Counter(
        operator_name(model, op) for graph in model.subgraphs for op in graph.operators
    )
    weights = _weights(model)
    return {
        "signatures": _signatures(model),
        "operators": dict(sorted(operators.items(), key=lambda kv: (-kv[1], kv[0]))),
        "subgraphs": len(model.subgraphs),
        "weights": weights,
        "quantisation": _quantisation(model, weights),
        "variable_tensors": sum(
            bool(t.isVariable) for graph in model.subgraphs for t in graph.tensors
        ),
    }


def _check_complete(content: bytes, model: Any, path: Path) -> None:
    """A tail that is missing shows only when the file is read by LiteRT."""
    from seqcore.export.runtime import TFLiteRunner

    if not model.subgraphs:
        raise ExportError(f"{path} is cut short or damaged (it holds no graph)")
    try:
        TFLiteRunner(content).close()
    except Exception as error:
        raise ExportError(f"{path}: LiteRT cannot read it ({error})") from None


def _tensor(graph: Any, index: int) -> dict[str, Any]:
    tensor = graph.tensors[index]
    shape = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    described: dict[str, Any] = {
        "shape": [None if d < 0 else int(d) for d in shape],
        "type": TENSOR_TYPES[tensor.type],
    }
    quantization = tensor.quantization
    if quantization is not None and quantization.scale is not None:
        described["scale"] = float(quantization.scale[0])
        described["zero_point"] = int(quantization.zeroPoint[0])
    return described


def _signatures(model: Any) -> dict[str, Any]:
    found = {}
    for signature in model.signatureDefs or []:
        graph = model.subgraphs[signature.subgraphIndex]
        found[_text(signature.signatureKey)] = {
            side: {_text(m.name): _tensor(graph, m.tensorIndex) for m in maps}
            for side, maps in (
                ("inputs", signature.inputs),
                ("outputs", signature.outputs),
            )
        }
    return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def constants(model: Any) -> list[tuple[str, tuple[int, ...], int]]:
    """Type, shape and bytes of each constant buffer, shared ones once."""
    seen: dict[int, tuple[str, tuple[int, ...], int]] = {}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            data = model.buffers[tensor.buffer].data
            if data is not None and len(data):
                kind = TENSOR_TYPES[tensor.type]
                shape = tuple(int(d) for d in tensor.shape)
                seen[tensor.buffer] = (kind, shape, len(data))
    return list(seen.values())


def _weights(model: Any) -> dict[str, Any]:
    elements: collections.Counter[str] = collections.Counter()
    size = 0
    for kind, shape, nbytes in constants(model):
        if kind in _BYTES and len(shape) > 1:
            elements[kind] += int(np.prod(shape))
        size += nbytes
    return {"elements": dict(elements), "bytes": size}


def _quantisation(model: Any, weights: dict[str, Any]) -> str:
    elements = weights["elements"]
    if "int8" in elements:
        names = {operator_name(model, o) for g in model.subgraphs for o in g.operators}
        inner = [
            TENSOR_TYPES[graph.tensors[int(o.outputs[0])].type]
            for graph in model.subgraphs
            for o in graph.operators
            if operator_name(model, o)
            in ("FULLY_CONNECTED", "CONV_2D", "UNIDIRECTIONAL_SEQUENCE_LSTM")
        ]
        if "QUANTIZE" in names or "int8" in inner:
            return "int8"
        return "dynamic"
    return "float16" if "float16" in elements else "none"


def render(description: dict[str, Any]) -> str:
    """``inspect_tflite``'s answer as text for a person."""
    lines = [f"{description['path']}: {description['size']:,} bytes"]
    for name, signature in description["signatures"].items():
        lines.append(f"signature {name}")
        for side in ("inputs", "outputs"):
            for tensor, about in signature[side].items():
                shape = ", ".join("?" if d is None else str(d) for d in about["shape"])
                scale = (
                    f"  scale {about['scale']:.4g}, zero point {about['zero_point']}"
                    if "scale" in about
                    else ""
                )
                lines.append(
                    f"  {side[:-1]:6} {tensor:24} {about['type']:8} [{shape}]{scale}"
                )
    counts = ", ".join(f"{n} {c}" for n, c in description["operators"].items())
    elements = ", ".join(
        f"{count:,} {kind}"
        for kind, count in description["weights"]["elements"].items()
    )
    lines += [
        f"operators in {description['subgraphs']} subgraphs: {counts}",
        f"quantisation: {description['quantisation']}",
        f"weights: {elements or 'none'}; "
        f"{description['weights']['bytes']:,} bytes of constants",
    ]
    if description["variable_tensors"]:
        lines.append(
            f"variable tensors: {description['variable_tensors']} (state survives a "
            "call; CompiledModel and browsers refuse the file)"
        )
    if description["metadata"]:
        lines.append("metadata:")
        lines += _render_value(description["metadata"], "  ")
    return "\n".join(lines)


def _render_value(value: dict[str, Any], indent: str) -> list[str]:
    lines = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += [f"{indent}{key}:", *_render_value(item, indent + "  ")]
        else:
            lines.append(f"{indent}{key}: {item}")
    return lines
