"""Make the loops of a .tflite file as lean as the runtime could run them."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

_BRANCHES = (
    "condSubgraphIndex",
    "bodySubgraphIndex",
    "thenSubgraphIndex",
    "elseSubgraphIndex",
    "initSubgraphIndex",
)


def drop_unread_counters(model: Any) -> None:
    """Take out of each WHILE the counter that TensorFlow adds and nothing reads.

    Its ADD and its copies cost some 0.1 µs a turn.
    """
    for graph in model.subgraphs:
        read = [int(i) for op in graph.operators for i in op.inputs]
        read += [int(i) for i in graph.outputs]
        for loop in graph.operators:
            options = loop.builtinOptions
            if isinstance(options, schema.WhileOptionsT):
                cond = model.subgraphs[options.condSubgraphIndex]
                body = model.subgraphs[options.bodySubgraphIndex]
                for number in reversed(range(len(loop.inputs))):
                    if int(loop.outputs[number]) not in read:
                        _drop_if_own(loop, cond, body, number)


def _drop_if_own(loop: Any, cond: Any, body: Any, number: int) -> None:
    """Drop a variable that only an operator for its own next value reads."""
    given, next_value = int(body.inputs[number]), int(body.outputs[number])
    readers = [op for op in body.operators if given in [int(i) for i in op.inputs]]
    if len(readers) != 1 or [int(i) for i in readers[0].outputs] != [next_value]:
        return
    elsewhere = [int(i) for op in body.operators for i in op.inputs]
    elsewhere += [int(i) for i in np.delete(np.asarray(body.outputs), number)]
    if next_value in elsewhere or given in list(body.outputs):
        return
    if any(int(cond.inputs[number]) in list(op.inputs) for op in cond.operators):
        return
    body.operators.remove(readers[0])
    for holder, names in (
        (loop, ("inputs", "outputs")),
        (body, ("inputs", "outputs")),
        (cond, ("inputs",)),
    ):
        for name in names:
            setattr(holder, name, np.delete(np.asarray(getattr(holder, name)), number))


def bare_conditions(model: Any) -> None:
    """Let a WHILE's test be of shape (1,) as it is computed, which LiteRT allows.

    TensorFlow wants a scalar, and the RESHAPE to one costs an operator a turn.
    """
    for graph in model.subgraphs:
        for loop in graph.operators:
            if isinstance(loop.builtinOptions, schema.WhileOptionsT):
                cond = model.subgraphs[loop.builtinOptions.condSubgraphIndex]
                last = cond.operators[-1] if cond.operators else None
                if last is None or list(last.outputs) != list(cond.outputs):
                    continue
                code = model.operatorCodes[last.opcodeIndex].builtinCode
                given = int(last.inputs[0])
                if code == schema.BuiltinOperator.RESHAPE and (
                    list(cond.tensors[given].shape) == [1]
                ):
                    cond.outputs = np.array([given], np.int32)


def order_loops(model: Any) -> None:
    """Order operators and tensors of loops by who reads them first.

    The converter writes equal bodies in different orders and by different names. What
    no output needs goes.
    """
    entries = {0} | {s.subgraphIndex for s in model.signatureDefs or []}
    for number, graph in enumerate(model.subgraphs):
        if number in entries:
            continue
        for named in (graph, *graph.tensors):
            named.name = None
        # An operator without a result is there for what it does.
        if all(len(op.outputs) for op in graph.operators):
            _order_by_use(graph)


def _order_by_use(graph: Any) -> None:
    makers = {int(i): op for op in graph.operators for i in op.outputs}
    done: set[int] = set()
    ordered: list[Any] = []

    def visit(op: Any) -> None:
        # Loop bodies are shallow enough for recursion: a turn has few steps.
        done.add(id(op))
        for i in op.inputs:
            maker = makers.get(int(i))
            if maker is not None and id(maker) not in done:
                visit(maker)
        ordered.append(op)

    for i in graph.outputs:
        maker = makers.get(int(i))
        if maker is not None and id(maker) not in done:
            visit(maker)
    graph.operators = ordered
    used = [int(i) for i in graph.inputs]
    used += [int(i) for op in ordered for i in (*op.inputs, *op.outputs)]
    order = list(dict.fromkeys(i for i in (*used, *map(int, graph.outputs)) if i >= 0))
    numbers = {old: new for new, old in enumerate(order)} | {-1: -1}
    for holder in (graph, *ordered):
        for name in ("inputs", "outputs"):
            values = [numbers[int(i)] for i in getattr(holder, name)]
            setattr(holder, name, np.array(values, np.int32))
    graph.tensors = [graph.tensors[old] for old in order]


def merge_equal_subgraphs(model: Any) -> None:
    """Let all loops with the same body run one, with one packed copy of its weights.

    Expects that equal constants share a buffer already.
    """
    while True:
        first: dict[Any, int] = {}
        same = [first.setdefault(_value(g), n) for n, g in enumerate(model.subgraphs)]
        entries = {0} | {s.subgraphIndex for s in model.signatureDefs or []}
        kept = [n for n, to in enumerate(same) if to == n or n in entries]
        if len(kept) == len(same):
            return
        numbers = {old: new for new, old in enumerate(kept)}
        for graph in model.subgraphs:
            for op in graph.operators:
                for name in _BRANCHES:
                    if hasattr(op.builtinOptions, name):
                        old = getattr(op.builtinOptions, name)
                        setattr(op.builtinOptions, name, numbers[same[old]])
        for signature in model.signatureDefs or []:
            signature.subgraphIndex = numbers[signature.subgraphIndex]
        model.subgraphs = [model.subgraphs[n] for n in kept]


def _value(thing: Any) -> Any:
    """A hashable picture of a parsed table."""
    if isinstance(thing, np.ndarray):
        return tuple(thing.tolist())
    if isinstance(thing, (list, tuple)):
        return tuple(_value(item) for item in thing)
    if hasattr(thing, "__dict__"):
        return tuple((k, _value(v)) for k, v in sorted(vars(thing).items()))
    return thing
