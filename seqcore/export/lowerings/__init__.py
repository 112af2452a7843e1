"""The forms a recurrence can take in an exported file, and the choice of one.

A lowering is a function ``(layer, sequences, initial_state, mask)`` that returns
``(last_output, outputs, states)``; see :func:`seqcore.layers.lowering.lowering`. In a
stream it is told as well whether an earlier chunk had an unmasked step (``begun``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from seqcore.export.errors import ExportError
from seqcore.export.lowerings.fused import fused
from seqcore.export.lowerings.loop import (
    Blocking,
    fits_cache,
    plan_blocking,
    run_steps,
    unrolled,
)
from seqcore.export.lowerings.steps import (
    Lowered,
    Recurrence,
    split_results,
    steps_of,
    weight_elements,
)
from seqcore.layers.recurrent import RecurrentLayer

LOWERINGS = ("auto", "loop", "unrolled", "fused")

# Up to this fixed length `auto` writes the steps out: a loop would turn once.
AUTO_UNROLLED = 4
# The price of `unrolled` is a dozen operators a step in the file, and a packed copy of
# the recurrent weights for each step in memory.
MOST_UNROLLED = 512


def make_lowering(
    name: str, quantize: str, *, continued: bool = False, model: Any = None
) -> Callable[..., Lowered]:
    """The lowering called ``name`` for a file quantised as ``quantize`` says.

    Args:
        name: One of :data:`LOWERINGS`.
        quantize: As for :func:`seqcore.export_tflite`.
        continued: For the ``stream`` signature: states come from an earlier chunk,
            and chunks are short.
        model: The Keras model; the halves of its Bidirectional layers share a loop.
    """
    if name == "fused":
        return functools.partial(fused, quantize=quantize)
    weight_bytes = 1 if quantize in ("dynamic", "int8") else 4
    exact = quantize == "none"
    backward = _backward_layers(model)
    # What a forward half computed for its backward half, until that is called.
    waiting: dict[Any, tuple[tf.Tensor, Any, Lowered]] = {}

    def packed(*layers) -> int:
        return weight_bytes * sum(weight_elements(layer.cell) for layer in layers)

    def write(run: Recurrence, layers: list[Any], sequence: bool):
        length = run.timesteps
        few = isinstance(length, int) and length <= AUTO_UNROLLED
        if name == "unrolled" or (name == "auto" and few):
            _check_unrolled(layers[0], length)
            return unrolled(run, sequence)
        blocking = plan_blocking(
            length if isinstance(length, int) else None,
            4 * run.output_size,
            packed(*layers),
            sequence,
        )
        if continued and not isinstance(length, int):
            blocking = Blocking(1)
        return run_steps(run, blocking, sequence)

    def lower(layer, sequences, initial_state, mask, begun=None) -> Lowered:
        if layer in waiting:
            seen, seen_mask, result = waiting.pop(layer)
            if seen is sequences and seen_mask is mask and _is_zero(initial_state):
                return result
        valid = sequences
        if mask is not None:
            # Padding may hold anything, and 0 times what is not finite is no 0.
            valid = tf.where(mask[:, :, None], sequences, tf.zeros_like(sequences))
        steps = steps_of(layer, valid, initial_state, mask, begun, exact)
        sequence = bool(layer.return_sequences)
        other = backward.get(layer)
        # Two directions a step whose weights push one another out of the cache are
        # slower than one after the other.
        together = other is not None and fits_cache(packed(layer, other))
        if not together or not _is_zero(initial_state):
            outputs, states = write(steps.alone(), [layer], sequence)
            return steps.finish(outputs, states)
        theirs = steps_of(other, valid, _zero_states(other), mask, None, exact)
        run = steps.with_backward(theirs, valid, mask)
        outputs, states = write(run, [layer, other], sequence)
        ours, backwards = split_results(run, outputs, states, len(steps.states))
        waiting[other] = (sequences, mask, theirs.finish(*backwards))
        return steps.finish(*ours)

    return lower


def _check_unrolled(layer: Any, timesteps: Any) -> None:
    if not isinstance(timesteps, int) or timesteps > MOST_UNROLLED:
        length = (
            "a free length" if not isinstance(timesteps, int) else f"{timesteps} steps"
        )
        raise ExportError(
            f"layer {layer.name!r} cannot be lowered as 'unrolled': it has {length}, "
            f"and this needs a fixed one of at most {MOST_UNROLLED} (fix it with "
            "shape=); lowering='loop' takes any length"
        )


def _backward_layers(model: Any) -> dict[Any, Any]:
    """The backward half of each Bidirectional layer of ``model``, by its forward."""
    layers = [] if model is None else model._flatten_layers(include_self=False)
    pairs = [
        (layer.forward_layer, layer.backward_layer)
        for layer in layers
        if isinstance(layer, keras.layers.Bidirectional)
    ]
    return {
        forward: backward
        for forward, backward in pairs
        if isinstance(forward, RecurrentLayer)
        and isinstance(backward, RecurrentLayer)
        and (forward.go_backwards, backward.go_backwards) == (False, True)
    }


def _is_zero(states: Any) -> bool:
    values = [tf.get_static_value(state) for state in states]
    return all(value is not None and not value.any() for value in values)


def _zero_states(layer: Any) -> list[tf.Tensor]:
    return [tf.zeros([1, size]) for size in keras.tree.flatten(layer.state_size)]
