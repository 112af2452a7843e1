"""The ``stream`` signature: a chunk and the state in, outputs and the new state out.

Every layer that looks beyond one time step is replaced, while the model is traced,
by one that keeps what it needs in explicit state:

- a recurrent layer: its states, and with a mask whether a step was unmasked yet;
- a layer that slides a window over time (convolution, pooling, framing): the last
  ``window - 1`` inputs, and where windows start between chunks, a phase;
- global pooling: what it has pooled so far.

All state starts at zero, has a fixed shape, and is named after its layer. Where a
chunk may complete any number of output steps, among them none, the output
``NAME_steps`` counts those at the front of ``NAME`` that are valid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from seqcore.export.errors import ExportError
from seqcore.export.overrides import (
    overridden,
    plain_calls,
    without_dropout_masks,
)
from seqcore.export.program import ModelIO, name_outputs, trace
from seqcore.export.stream_layers import (
    CONVOLUTIONS,
    POOLINGS,
    States,
    refuse,
    window_of,
    windowed_calls,
)
from seqcore.layers.lowering import lowering

# Layers that see the whole sequence at once, with the reason a user is given.
_WHOLE_SEQUENCE = {
    keras.layers.Bidirectional: "reads the sequence from its end",
    keras.layers.MultiHeadAttention: "attends to steps that have not arrived",
    keras.layers.Attention: "attends to steps that have not arrived",
    keras.layers.AdditiveAttention: "attends to steps that have not arrived",
    keras.layers.Flatten: "joins all time steps into one vector",
    keras.layers.ZeroPadding1D: "pads the ends of a sequence",
    keras.layers.Cropping1D: "cuts the ends of a sequence",
}


def check_streamable(model: Any) -> None:
    """Refuse what needs steps that have not arrived yet."""
    for layer in model._flatten_layers(include_self=False):
        for kind, reason in _WHOLE_SEQUENCE.items():
            if isinstance(layer, kind):
                raise refuse(layer, reason)
        if getattr(layer, "go_backwards", False):
            raise refuse(layer, "reads the sequence from its end")
        if (
            isinstance(layer, (*CONVOLUTIONS, *POOLINGS))
            and layer.padding == "same"
            and window_of(layer)[0] > 1
        ):
            raise refuse(
                layer,
                "with padding='same' looks ahead; build it with padding='causal' "
                "(convolutions) or 'valid'",
            )
        if getattr(layer, "data_format", None) == "channels_first":
            raise refuse(layer, "has its channels first")


@dataclass(frozen=True)
class StreamSignature:
    """Specs of the chunk inputs, specs of the states, and the function of both."""

    inputs: dict[str, tf.TensorSpec]
    states: dict[str, tf.TensorSpec]
    function: Callable[..., dict[str, tf.Tensor]]


def streaming_signature(
    model: Any, io: ModelIO, lower: Any, chunk: int | None
) -> StreamSignature:
    """Build the ``stream`` signature.

    Args:
        model: The Keras model.
        io: Its inputs.
        lower: The lowering of its recurrences.
        chunk: Time steps a call, or None for any number.
    """
    check_streamable(model)
    lengths = {name: spec.shape[1:2].as_list() for name, spec in io.specs.items()}
    length, *others = lengths.values()
    if not length or any(other != length for other in others):
        raise ExportError(
            "streaming=True: the inputs are to have one axis of time, axis 1, and "
            f"differ there: {lengths}; export with streaming=False"
        )
    if chunk is not None and length[0] is not None and length[0] % chunk:
        raise ExportError(
            f"chunk={chunk}: the stream of a model of fixed length, here {length[0]}, "
            "is checked on chunks that fill it: take a divisor, or free the length"
        )
    inputs = {
        name: tf.TensorSpec((1, chunk, *spec.shape[2:]), spec.dtype, name=name)
        for name, spec in io.specs.items()
    }

    def run(tensors: dict[str, tf.Tensor], states: States) -> dict[str, tf.Tensor]:
        args = keras.tree.map_structure(lambda name: tensors[name], io.structure)
        calls = {**plain_calls(model), **windowed_calls(model, states)}
        recurrent = lowering(_recurrent(lower, states))
        with recurrent, overridden(calls), without_dropout_masks(model):
            # Not __call__: it holds a fixed-length model to its whole length.
            outputs = model.call(args, training=False)
        return name_outputs(model, outputs)

    recorded = States()
    trace(lambda **tensors: run(tensors, recorded), inputs)
    specs = recorded.specs
    if not specs:
        raise ExportError(
            f"streaming=True: no layer of model {model.name!r} looks beyond one time "
            "step, so there is no state to stream; export it with streaming=False"
        )
    clash = set(specs) & set(inputs)
    if clash:
        raise ExportError(f"streaming=True: state and input share the name {clash}")

    def stream(**tensors):
        states = States(given={name: tensors[name] for name in specs})
        outputs = run({name: tensors[name] for name in inputs}, states)
        if states.multirate:
            outputs = _countable(outputs)
        clash = set(outputs) & set(states.new)
        if clash:
            raise ExportError(f"streaming=True: state and output share {clash}")
        return {n: tf.identity(t) for n, t in {**outputs, **states.new}.items()}

    return StreamSignature(inputs, specs, stream)


def _countable(outputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Sequences whose length no caller can foresee, with the length beside them.

    A chunk may complete no step of a layer with strides, and many runtimes cannot
    hand out an empty tensor: one row of zeros follows the steps.
    """
    counted = {}
    for name, value in outputs.items():
        if len(value.shape) > 2:
            counted[f"{name}_steps"] = tf.shape(value)[1:2]
            value = tf.pad(value, [[0, 0], [0, 1]] + [[0, 0]] * (len(value.shape) - 2))
        counted[name] = value
    return counted


def _recurrent(lower: Any, states: States) -> Callable[..., Any]:
    def run(layer, sequences, initial_state, mask):
        for state in initial_state:
            value = tf.get_static_value(state)
            if value is None or value.any():
                raise refuse(layer, "is given its initial state by the model")
        kinds = ["h", "c"] if len(initial_state) == 2 else ["h"]
        if len(initial_state) > 2:
            kinds = [f"state_{i}" for i in range(len(initial_state))]
        names = [
            states.take(layer, kind, tuple(state.shape), state.dtype)
            for kind, state in zip(kinds, initial_state, strict=True)
        ]
        carried = [states.read(name) for name in names]
        begun = None
        if mask is not None and not layer.zero_output_for_mask:
            # Steps before the first valid one give zeros; has an earlier chunk had one?
            name = states.take(layer, "begun", (1, 1), tf.int32)
            begun = states.read(name)
            any_valid = tf.reduce_any(mask, axis=1, keepdims=True)
            states.write(name, tf.maximum(begun, tf.cast(any_valid, tf.int32)))
        last, outputs, new = lower(layer, sequences, carried, mask, begun)
        for name, value in zip(names, new, strict=True):
            states.write(name, value)
        return last, outputs, new

    return run
