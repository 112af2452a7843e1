"""Read and rewrite .tflite flatbuffers: what the converter cannot be asked for."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from seqcore.export.errors import ExportError
from seqcore.export.packing import IDENTIFIER, pack
from seqcore.export.subgraphs import (
    bare_conditions,
    drop_unread_counters,
    merge_equal_subgraphs,
    order_loops,
)

FUSED_RNN_OP = "SeqcoreSequenceRNN"
FUSED_LSTM_OP = "SeqcoreSequenceLSTM"
_ACTIVATIONS = {
    "tanh": schema.ActivationFunctionType.TANH,
    "relu": schema.ActivationFunctionType.RELU,
    "linear": schema.ActivationFunctionType.NONE,
}
_OPERATORS = {
    code: name
    for name, code in vars(schema.BuiltinOperator).items()
    if isinstance(code, int)
}
TENSOR_TYPES = {
    code: name.lower()
    for name, code in vars(schema.TensorType).items()
    if isinstance(code, int)
}


def parse(content: bytes, where: str = "the file") -> Any:
    """The file as a tree of Python objects (``schema.ModelT``).

    Raises:
        ExportError: Not a .tflite file, or one cut short.
    """
    if len(content) < 8 or content[4:8] != IDENTIFIER:
        raise ExportError(f"{where} is not a .tflite file")
    try:
        return schema.ModelT.InitFromPackedBuf(content, 0)
    except Exception as error:  # The reader trusts offsets; damage raises anything.
        raise ExportError(f"{where} is cut short or damaged ({error})") from None


def operator_name(model: Any, operator: Any) -> str:
    """``FULLY_CONNECTED``, ``CUSTOM:Name``, and so on."""
    code = model.operatorCodes[operator.opcodeIndex]
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
    name = _OPERATORS.get(builtin, f"UNKNOWN_{builtin}")
    if name == "CUSTOM":
        custom = code.customCode
        name = f"CUSTOM:{custom.decode() if isinstance(custom, bytes) else custom}"
    return name


def finish(content: bytes) -> bytes:
    """What the converter leaves to be done.

    Names of inner tensors, empty tables and empty buffers go, as do counters that no
    loop reads, and all but one of equal loop bodies. The custom operator of a fused
    RNN becomes the builtin. The cell clip of 10 that the converter gives every fused
    LSTM, and that Keras does not have, goes too.
    """
    model = parse(content)
    custom = []
    for graph in model.subgraphs:
        for operator in graph.operators:
            name = operator_name(model, operator)
            if name == "UNIDIRECTIONAL_SEQUENCE_LSTM":
                operator.builtinOptions.cellClip = 0.0
            elif name == f"CUSTOM:{FUSED_RNN_OP}":
                custom.append((_fuse_rnn, graph, operator))
            elif name == f"CUSTOM:{FUSED_LSTM_OP}":
                custom.append((_fuse_lstm, graph, operator))
            elif name.startswith("CUSTOM:"):
                raise ExportError(
                    f"{name.removeprefix('CUSTOM:')} in {_place(graph, operator)} has "
                    "no TFLite builtin operator; write that layer with operations "
                    "that have one"
                )
    for rewrite, graph, operator in custom:
        rewrite(model, graph, operator)
    for graph in model.subgraphs:
        named = {*graph.inputs, *graph.outputs}
        for index, tensor in enumerate(graph.tensors):
            if index not in named:
                tensor.name = None
            quantization = tensor.quantization
            if quantization is not None and quantization.scale is None:
                tensor.quantization = None
    drop_unread_counters(model)
    bare_conditions(model)
    order_loops(model)
    _share_buffers(model)
    merge_equal_subgraphs(model)
    return pack(model)


def _share_buffers(model: Any) -> None:
    """One buffer for equal constants, and number 0, the empty one, for no data."""
    kept: dict[bytes | None, int] = {None: 0}
    buffers = model.buffers[:1]
    metadata = model.metadata or []
    for holder in [t for g in model.subgraphs for t in g.tensors] + metadata:
        buffer = model.buffers[holder.buffer]
        data = None if buffer.data is None else bytes(buffer.data)
        if data not in kept:
            kept[data] = len(buffers)
            buffers.append(buffer)
        holder.buffer = kept[data]
    model.buffers = buffers
    model.metadataBuffer = None


def _place(graph: Any, operator: Any) -> str:
    """The layer an operator comes from, as far as its tensor's name tells."""
    name = graph.tensors[operator.outputs[0]].name or b"?"
    text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    parts = [p for p in text.split(";")[0].split("/") if "PartitionedCall" not in p]
    return f"layer {'/'.join(parts[:-1])!r}" if len(parts) > 1 else "the model"


def _check_constant(model: Any, graph: Any, indices: list[int]) -> None:
    if any(model.buffers[graph.tensors[i].buffer].data is None for i in indices):
        raise ExportError(
            "a fused RNN, or LSTM variant, keeps float32 weights; use "
            "quantize='none', or lowering='loop' for a quantised one"
        )


def _add_state(graph: Any, size: int) -> int:
    """A variable tensor (1, size), zero at first; returns its index."""
    state = schema.TensorT()
    state.shape = np.array([1, size], np.int32)
    state.type = schema.TensorType.FLOAT32
    state.buffer, state.isVariable = 0, True
    graph.tensors.append(state)
    return len(graph.tensors) - 1


def _become(model: Any, operator: Any, builtin: int, kind: int, options: Any) -> None:
    """Make a custom operator a builtin one."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 1
    # All traced operators of a name share one code: replace it where it stands.
    model.operatorCodes[operator.opcodeIndex] = code
    operator.builtinOptionsType, operator.builtinOptions = kind, options
    operator.customOptions = None


def _fuse_rnn(model: Any, graph: Any, operator: Any) -> None:
    """Turn the traced custom operator into UNIDIRECTIONAL_SEQUENCE_RNN."""
    inputs, *weights = (int(i) for i in operator.inputs)
    _check_constant(model, graph, weights)
    attributes = flexbuffers.Loads(bytes(operator.customOptions))
    units = int(graph.tensors[weights[1]].shape[0])
    operator.inputs = [inputs, *weights, _add_state(graph, units)]
    options = schema.SequenceRNNOptionsT()
    options.fusedActivationFunction = _ACTIVATIONS[attributes["activation"]]
    _become(
        model,
        operator,
        schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_RNN,
        schema.BuiltinOptions.SequenceRNNOptions,
        options,
    )


def _fuse_lstm(model: Any, graph: Any, operator: Any) -> None:
    """Turn the traced custom operator into UNIDIRECTIONAL_SEQUENCE_LSTM."""
    inputs, *weights = (int(i) for i in operator.inputs)
    _check_constant(model, graph, weights)
    attributes = flexbuffers.Loads(bytes(operator.customOptions))
    slots = [int(slot) for slot in attributes["slots"].split(",")]
    operands = dict(zip(slots, weights, strict=True))
    width = int(graph.tensors[operator.outputs[0]].shape[-1])
    operands |= {0: inputs, 18: _add_state(graph, width)}
    operands[19] = _add_state(graph, int(attributes["units"]))
    operator.inputs = [operands.get(slot, -1) for slot in range(24)]
    options = schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = schema.ActivationFunctionType.TANH
    options.cellClip = float(attributes["cell_clip"])
    _become(
        model,
        operator,
        schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM,
        schema.BuiltinOptions.UnidirectionalSequenceLSTMOptions,
        options,
    )


def operators_of(content: bytes, layers: Collection[str]) -> list[str]:
    """Names of the operators that come from the layers named, by their outputs.

    The converter names a tensor after the layer's scope, numbered from the second
    trace on: ``model/layer_1/mul``.
    """
    names = "|".join(re.escape(layer) for layer in layers)
    scope = re.compile(rf"(^|[/;])({names})(_\d+)*/")
    found = []
    for graph in parse(content).subgraphs:
        for operator in graph.operators:
            name = graph.tensors[operator.outputs[0]].name.decode()
            if scope.search(name):
                found.append(name)
    return found


def shield_calibrator(content: bytes) -> bytes:
    """Hide from the int8 calibrator what crashes the process there.

    LiteRT frees the result of a WHILE that only hands an input through, and the
    calibrator still reads it. As an empty tensor it has nothing to read.
    """
    model = parse(content)
    for graph in model.subgraphs:
        read = {int(i) for o in graph.operators for i in o.inputs}
        read |= {int(i) for i in graph.outputs}
        for operator in graph.operators:
            if operator_name(model, operator) != "WHILE":
                continue
            body = model.subgraphs[operator.builtinOptions.bodySubgraphIndex]
            for given, kept, out in zip(
                body.inputs, body.outputs, operator.outputs, strict=True
            ):
                tensor = graph.tensors[out]
                if given == kept and out not in read and len(tensor.shape):
                    signature = np.array(tensor.shape, np.int32)
                    signature[0] = -1
                    tensor.shapeSignature = signature
                    tensor.shape = np.maximum(signature, 0)
    return pack(model)
