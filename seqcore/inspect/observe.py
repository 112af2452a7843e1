"""Running a model once with somebody looking on at every recurrent layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from seqcore.layers.lowering import lowering
from seqcore.layers.recurrent import RecurrentLayer

# look(name, layer, sequences, initial_state, mask) -> (last, outputs, states)
Look = Callable[[str, RecurrentLayer, Any, list[Any], Any], tuple[Any, Any, list[Any]]]


def recurrent_layers(model: Any) -> dict[str, RecurrentLayer]:
    """The seqcore layers in ``model``, by name, in the order of the model.

    Layers that share a name, as in nested models, are told apart by ``#2``, ``#3``.

    Args:
        model: a built ``keras.Model``, or one seqcore layer.

    Raises:
        TypeError: ``model`` is neither.
        ValueError: it is not built, or holds no seqcore layer.
    """
    if isinstance(model, RecurrentLayer):
        return {model.name: model}
    if not isinstance(model, keras.Model):
        raise TypeError(f"expected a keras.Model, got {model!r}")
    if not model.built:
        raise ValueError(
            f"Model {model.name!r} has no weights yet. Build it or call it once first."
        )
    layers: list[RecurrentLayer] = []
    others: list[str] = []
    # Keras walks the last attribute first: a wrapper's backward layer comes before
    # its forward one.
    for layer in _walk(model):
        if isinstance(layer, RecurrentLayer):
            layers.append(layer)
        elif isinstance(layer, (keras.layers.LSTM, keras.layers.SimpleRNN)):
            others.append(f"{layer.name} ({type(layer).__name__})")
    if not layers:
        found = f"; it has Keras's own {', '.join(others)}" if others else ""
        advice = (
            " Call seqcore.convert(model) first: same weights, seqcore's layers."
            if others
            else " Only models with seqcore.RNN or seqcore.LSTM can be looked into."
        )
        raise ValueError(f"Model {model.name!r} holds no seqcore layer{found}.{advice}")
    named: dict[str, RecurrentLayer] = {}
    for layer in layers:
        named[_unused(layer.name, named)] = layer
    return named


def _walk(layer: Any, seen: set[int] | None = None) -> Iterator[Any]:
    seen = set() if seen is None else seen
    parts = layer._flatten_layers(include_self=False, recursive=False)
    if isinstance(layer, keras.layers.Bidirectional):
        parts = [layer.forward_layer, layer.backward_layer]
    for part in parts:
        if id(part) not in seen:
            seen.add(id(part))
            yield part
            yield from _walk(part, seen)


def _unused(name: str, taken: Any) -> str:
    number, unique = 1, name
    while unique in taken:
        number += 1
        unique = f"{name}#{number}"
    return unique


def to_inputs(model: Any, x: Any, caller: str) -> Any:
    """``x`` as tensors of the types that ``model`` takes.

    Raises:
        ValueError: not the names, number, rank or sizes that a functional model
            declares.
    """
    declared = getattr(model, "inputs", None)
    if not declared:
        return tree.map_structure(_tensor, x) if not hasattr(x, "shape") else _tensor(x)
    if isinstance(x, dict):
        x = _in_order(model, declared, x, caller)
    given = list(x.values()) if isinstance(x, dict) else tree.flatten(x)
    arrays = [np.asarray(ops.convert_to_numpy(a)) for a in given]
    shapes = [tuple(a.shape) for a in arrays]
    wanted = [tuple(i.shape) for i in declared]
    fits = len(shapes) == len(wanted) and all(
        len(got) == len(want)
        and all(w is None or g == w for g, w in zip(got, want, strict=True))
        for got, want in zip(shapes, wanted, strict=True)
    )
    if not fits:
        raise ValueError(
            f"{caller}: model {model.name!r} takes {_listed(wanted)}, where the first "
            f"axis is the batch and None any size; got {_listed(shapes)}."
        )
    if any(0 in shape for shape in shapes):
        raise ValueError(f"{caller}: got an empty input, {_listed(shapes)}.")
    tensors = [
        ops.convert_to_tensor(a, dtype=i.dtype)
        for a, i in zip(arrays, declared, strict=True)
    ]
    if isinstance(x, dict):
        return dict(zip(x, tensors, strict=True))
    return tensors[0] if hasattr(x, "shape") else tree.pack_sequence_as(x, tensors)


def _in_order(
    model: Any, declared: Any, x: dict[str, Any], caller: str
) -> dict[str, Any]:
    """Inputs in the order in which the model declares them: one that was not built
    of a dict takes them by the names of its inputs."""
    if isinstance(model.input, dict):
        names = sorted(model.input)  # the order of `model.inputs`
    elif len(declared) == len(x) == 1:
        return x
    else:
        names = [i.name for i in declared]
    if set(names) != set(x):
        raise ValueError(
            f"{caller}: model {model.name!r} takes inputs named {', '.join(names)}; "
            f"got {', '.join(map(str, x)) or 'none'}."
        )
    return {name: x[name] for name in names}


def _tensor(array: Any) -> Any:
    array = np.asarray(array)
    kind = "float32" if array.dtype.kind == "f" else array.dtype.name
    return ops.convert_to_tensor(array, dtype=kind)


def _listed(shapes: list[tuple[int | None, ...]]) -> str:
    text = ", ".join(str(shape) for shape in shapes)
    return f"shape {text}" if len(shapes) == 1 else f"{len(shapes)} inputs, {text}"


def observed(model: Any, x: Any, look: Look) -> Any:
    """``model(x)`` at inference; ``look`` runs the time loop of every seqcore layer.

    A layer that is called twice is seen twice, the second time as ``NAME#2``.
    """
    names = {id(layer): name for name, layer in recurrent_layers(model).items()}
    seen: set[str] = set()

    def fn(layer, sequences, states, mask):
        name = _unused(names.get(id(layer), layer.name), seen)
        seen.add(name)
        with lowering(None):
            return look(name, layer, sequences, states, mask)

    with lowering(fn), _states_kept(model):
        return model(x, training=False)


@contextmanager
def _states_kept(model: Any) -> Iterator[None]:
    """Stateful layers leave with the states they came with."""
    layers = recurrent_layers(model).values()
    variables = [
        s for layer in layers if layer.stateful for s in tree.flatten(layer.states)
    ]
    before = [ops.copy(v) for v in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def need_tensorflow(caller: str) -> None:
    """ValueError under another backend: the gradients are TensorFlow's."""
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            f"{caller} needs Keras's TensorFlow backend; this is {backend}. Set "
            "KERAS_BACKEND=tensorflow before importing Keras."
        )


def in_input_order(values: np.ndarray, layer: RecurrentLayer) -> np.ndarray:
    """(batch, time, ...) in the layer's order of steps, turned to the input's."""
    return values[:, ::-1] if layer.go_backwards else values
