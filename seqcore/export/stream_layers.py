"""Layers that look beyond one time step, as they run in a stream.

Each keeps what it needs in explicit state: a layer that slides a window over time
(convolution, pooling, framing) the last ``window - 1`` inputs, and where windows
start between chunks, a phase; global pooling what it has pooled so far. How layers
recur is for :mod:`seqcore.export.streaming`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from seqcore.export.errors import ExportError
from seqcore.export.program import clean_name

CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.DepthwiseConv1D,
    keras.layers.SeparableConv1D,
)
POOLINGS = (keras.layers.MaxPooling1D, keras.layers.AveragePooling1D)


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
        base = clean_name(f"{layer.name}_{kind}", "state")
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


def refuse(layer: Any, reason: str) -> ExportError:
    return ExportError(
        f"streaming=True: layer {layer.name!r} ({type(layer).__name__}) {reason}; "
        "export this model with streaming=False"
    )


def window_of(layer: Any) -> tuple[int, int, int]:
    """Window and hop in time steps, and how many zeros precede the sequence."""
    if hasattr(layer, "streaming_window"):
        window, hop = layer.streaming_window
        return int(window), int(hop), int(getattr(layer, "streaming_padding", 0))
    stride = _first(layer.strides)
    if isinstance(layer, POOLINGS):
        return _first(layer.pool_size), stride, 0
    size = (_first(layer.kernel_size) - 1) * _first(layer.dilation_rate) + 1
    return size, stride, size - 1 if layer.padding == "causal" else 0


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, (tuple, list)) else value)


def windowed_calls(model: Any, states: States) -> dict[Any, Callable[..., Any]]:
    calls = {}
    for layer in model._flatten_layers(include_self=False):
        windowed = isinstance(layer, (*CONVOLUTIONS, *POOLINGS))
        if windowed or hasattr(layer, "streaming_window"):
            calls[layer] = _windowed(layer, states)
        elif isinstance(layer, keras.layers.GlobalAveragePooling1D):
            calls[layer] = _average_so_far(layer, states)
        elif isinstance(layer, keras.layers.GlobalMaxPooling1D):
            calls[layer] = _maximum_so_far(layer, states)
    return calls


def _windowed(layer: Any, states: States) -> Callable[..., Any]:
    """``layer`` over the windows that are complete with this chunk."""
    window, hop, padding = window_of(layer)
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
        raise refuse(layer, "pools under a mask")
