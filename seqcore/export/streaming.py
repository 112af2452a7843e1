"""The ``stream`` signature: a chunk and the state in, outputs and the new state out.

Every layer that looks beyond one time step is replaced, while the model is traced,
by one that keeps what it needs in explicit state:

- a recurrent layer: its states;
- a layer that slides a window over time (convolution, pooling, framing): the last
  ``window - 1`` inputs, and where windows start between chunks, a phase;
- global pooling: what it has pooled so far.

All state starts at zero, has a fixed shape, and is named after its layer. Where a
chunk may complete any number of output steps, among them none, the output
``NAME_steps`` counts those at the front of ``NAME`` that are valid.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from seqcore.export.errors import ExportError
from seqcore.export.overrides import (
    overridden,
    plain_calls,
    without_dropout_masks,
)
from seqcore.export.program import ModelIO, clean_name, name_outputs, trace
from seqcore.layers.lowering import lowering

STREAM = "stream"

_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.DepthwiseConv1D,
    keras.layers.SeparableConv1D,
)
_POOLINGS = (keras.layers.MaxPooling1D, keras.layers.AveragePooling1D)
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


@dataclass
class States:
    """The state tensors of one trace, in the order the model asks for them.

    With ``given`` empty it records what is asked for and hands out zeros.
    """

    given: dict[str, tf.Tensor] = field(default_factory=dict)
    specs: dict[str, tf.TensorSpec] = field(default_factory=dict)
    new: dict[str, tf.Tensor] = field(default_factory=dict)
    multirate: bool = False

    def take(self, layer: Any, kind: str, shape: tuple[int, ...], dtype: Any) -> str:
        """Announce one state; returns its name, to read and to write it."""
        base = clean_name(f"{layer.name}_{kind}")
        name, again = base, 1
        while name in self.specs:
            again += 1
            name = f"{base}_{again}"
        self.specs[name] = tf.TensorSpec(shape, dtype, name=name)
        return name

    def read(self, name: str) -> tf.Tensor:
        if name in self.given:
            return self.given[name]
        spec = self.specs[name]
        # A placeholder, so that nothing is computed ahead from the zeros.
        return tf.compat.v1.placeholder_with_default(
            tf.zeros(spec.shape, spec.dtype), spec.shape
        )

    def write(self, name: str, value: tf.Tensor) -> None:
        spec = self.specs[name]
        self.new[name] = tf.reshape(tf.cast(value, spec.dtype), spec.shape)


def check_streamable(model: Any) -> None:
    """Refuse what needs steps that have not arrived yet."""
    for layer in model._flatten_layers(include_self=False):
        for kind, reason in _WHOLE_SEQUENCE.items():
            if isinstance(layer, kind):
                raise _refuse(layer, reason)
        if getattr(layer, "go_backwards", False):
            raise _refuse(layer, "reads the sequence from its end")
        if (
            isinstance(layer, (*_CONVOLUTIONS, *_POOLINGS))
            and layer.padding == "same"
            and _window(layer)[0] > 1
        ):
            raise _refuse(
                layer,
                "with padding='same' looks ahead; build it with padding='causal' "
                "(convolutions) or 'valid'",
            )
        if getattr(layer, "data_format", None) == "channels_first":
            raise _refuse(layer, "has its channels first")


def _refuse(layer: Any, reason: str) -> ExportError:
    return ExportError(
        f"streaming=True: layer {layer.name!r} ({type(layer).__name__}) {reason}; "
        "export this model with streaming=False"
    )


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
    inputs = {
        name: tf.TensorSpec((1, chunk, *spec.shape[2:]), spec.dtype, name=name)
        for name, spec in io.specs.items()
    }

    def run(tensors: dict[str, tf.Tensor], states: States) -> dict[str, tf.Tensor]:
        args = keras.tree.map_structure(lambda name: tensors[name], io.structure)
        calls = {**plain_calls(model), **_window_calls(model, states)}
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
                raise _refuse(layer, "is given its initial state by the model")
        kinds = ["h", "c"] if len(initial_state) == 2 else ["h"]
        if len(initial_state) > 2:
            kinds = [f"state_{i}" for i in range(len(initial_state))]
        names = [
            states.take(layer, kind, tuple(state.shape), state.dtype)
            for kind, state in zip(kinds, initial_state, strict=True)
        ]
        carried = [states.read(name) for name in names]
        last, outputs, new = lower(layer, sequences, carried, mask)
        for name, value in zip(names, new, strict=True):
            states.write(name, value)
        return last, outputs, new

    return run


def _window(layer: Any) -> tuple[int, int, int]:
    """Window and hop in time steps, and how many zeros precede the sequence."""
    if hasattr(layer, "streaming_window"):
        window, hop = layer.streaming_window
        return int(window), int(hop), int(getattr(layer, "streaming_padding", 0))
    stride = _first(layer.strides)
    if isinstance(layer, _POOLINGS):
        return _first(layer.pool_size), stride, 0
    size = (_first(layer.kernel_size) - 1) * _first(layer.dilation_rate) + 1
    return size, stride, size - 1 if layer.padding == "causal" else 0


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, (tuple, list)) else value)


def _window_calls(model: Any, states: States) -> dict[Any, Callable[..., Any]]:
    calls = {}
    for layer in model._flatten_layers(include_self=False):
        windowed = isinstance(layer, (*_CONVOLUTIONS, *_POOLINGS))
        if windowed or hasattr(layer, "streaming_window"):
            calls[layer] = _windowed(layer, states)
        elif isinstance(layer, keras.layers.GlobalAveragePooling1D):
            calls[layer] = _average_so_far(layer, states)
        elif isinstance(layer, keras.layers.GlobalMaxPooling1D):
            calls[layer] = _maximum_so_far(layer, states)
    return calls


def _windowed(layer: Any, states: States) -> Callable[..., Any]:
    """``layer`` over the windows that are complete with this chunk."""
    window, hop, padding = _window(layer)
    # Steps to wait before the first window is complete, beyond its first step.
    first_skip = window - 1 - padding

    def call(chunk, **_):
        fixed = chunk.shape[1]
        aligned = hop == 1 or (fixed is not None and fixed % hop == 0)
        # Behind a layer with strides a chunk may be empty: no window is then complete.
        static = aligned and not states.multirate
        # Windows that begin or end where hops do: a chunk completes one for each.
        static = static and first_skip in (0, hop - 1)
        kept = padding if static else window - 1
        x = chunk
        if kept > 0:
            shape = (1, kept, *chunk.shape[2:])
            name = states.take(layer, "frames", shape, chunk.dtype)
            x = tf.concat([states.read(name), chunk], axis=1)
            states.write(name, x[:, -kept:])
        if static:
            return _valid(layer, x)
        states.multirate = True
        # The state counts from zero, so that all state starts at zero.
        phase = states.take(layer, "phase", (1,), tf.int32)
        skip = first_skip - states.read(phase)[0]
        n = tf.shape(chunk)[1]
        complete = tf.maximum((n - 1 - skip) // hop + 1, 0)
        states.write(phase, [first_skip - (skip + complete * hop - n)])
        # One window of zeros behind, so that there is always one to compute.
        zeros = [[0, 0], [0, window]] + [[0, 0]] * (len(chunk.shape) - 2)
        y = _valid(layer, tf.pad(x[:, skip:], zeros))
        return y[:, :complete]

    return call


def _valid(layer: Any, x: tf.Tensor) -> tf.Tensor:
    """The layer's own computation over complete windows only."""
    with _attribute(layer, "padding", "valid"):
        return type(layer).call(layer, x)


@contextlib.contextmanager
def _attribute(layer: Any, name: str, value: Any) -> Iterator[None]:
    if not hasattr(layer, name):
        yield
        return
    before = getattr(layer, name)
    setattr(layer, name, value)
    try:
        yield
    finally:
        setattr(layer, name, before)


def _average_so_far(layer: Any, states: States) -> Callable[..., Any]:
    def call(x, mask=None):
        _no_mask(layer, mask)
        total = states.take(layer, "sum", (1, x.shape[-1]), x.dtype)
        count = states.take(layer, "count", (1, 1), x.dtype)
        new_total = states.read(total) + tf.reduce_sum(x, axis=1)
        new_count = states.read(count) + tf.cast(tf.shape(x)[1], x.dtype)
        states.write(total, new_total)
        states.write(count, new_count)
        average = new_total / tf.maximum(new_count, 1)
        return average[:, None] if layer.keepdims else average

    return call


def _maximum_so_far(layer: Any, states: States) -> Callable[..., Any]:
    def call(x, mask=None):
        _no_mask(layer, mask)
        best = states.take(layer, "maximum", (1, x.shape[-1]), x.dtype)
        seen = states.take(layer, "seen", (1, 1), x.dtype)
        low = tf.constant(x.dtype.min / 2, x.dtype)
        before = tf.where(states.read(seen) > 0, states.read(best), low)
        # A chunk may be too short to give this layer anything to pool.
        some = tf.pad(x, [[0, 0], [0, 1], [0, 0]], constant_values=x.dtype.min / 2)
        now = tf.maximum(before, tf.reduce_max(some, axis=1))
        states.write(best, now)
        states.write(seen, tf.ones((1, 1), x.dtype))
        return now[:, None] if layer.keepdims else now

    return call


def _no_mask(layer: Any, mask: Any) -> None:
    if mask is not None:
        raise _refuse(layer, "pools under a mask")
