"""A layer's call in the form every step-by-step lowering runs.

The cell keeps its equation: rows come from ``cell.project``, a step is
``cell.advance``. Masks, direction and the choice between last output and full
sequence are settled here once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass
class Steps:
    """One layer's recurrence over one batch of one sequence.

    Attributes:
        rows: The projected inputs, (timesteps, width), in the order of running.
        carry: The initial states and, where a mask needs it, the last output.
        timesteps: An int, or a scalar int32 tensor where the length is dynamic.
        output_size: Width of an output row.
    """

    cell: Any
    rows: tf.Tensor
    carry: list[tf.Tensor]
    timesteps: Any
    output_size: int
    masked: bool
    zero_masked: bool
    n_states: int

    def step(
        self, row: tf.Tensor, carry: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """One step: a row and the carry in, an output row and the carry out."""
        states = list(carry[: self.n_states])
        if not self.masked:
            output, new = self.cell.advance(row, states)
            return output, self._carry(output, new)
        # The mask rides as the last column of the row. Products, unlike a
        # select, stay inside XNNPACK; they are exact for 0 and 1.
        row, keep = row[:, :-1], row[:, -1:]
        skip = 1.0 - keep
        output, new = self.cell.advance(row, states)
        new = [keep * n + skip * s for n, s in zip(new, states, strict=True)]
        output = keep * output
        if not self.zero_masked:
            output = output + skip * carry[self.n_states]
        return output, self._carry(output, new)

    def _carry(self, output, states):
        return [*states, output] if len(self.carry) > self.n_states else list(states)

    def last_output(self, carry: Sequence[tf.Tensor]) -> tf.Tensor:
        return carry[self.n_states] if len(self.carry) > self.n_states else carry[0]


def steps_of(
    layer: Any,
    sequences: tf.Tensor,
    initial_state: Sequence[tf.Tensor],
    mask: Any,
    continued: bool = False,
) -> Steps:
    """Project ``sequences`` (1, time, features) and prepare the recurrence.

    ``continued`` says that the initial state is where an earlier chunk ended: a
    masked first step then repeats that chunk's output, and not zeros.
    """
    if sequences.shape[0] != 1:
        raise ValueError(
            f"layer {layer.name!r} is lowered for a batch of 1, "
            f"got an input of shape {tuple(sequences.shape)}"
        )
    if layer.go_backwards:
        sequences = tf.reverse(sequences, [1])
        mask = None if mask is None else tf.reverse(mask, [1])
    projected = layer.cell.project(sequences)
    rows = tf.reshape(projected, [-1, projected.shape[-1]])
    timesteps = sequences.shape[1]
    if timesteps is None:
        timesteps = tf.shape(sequences)[1]
    if mask is not None:
        column = tf.reshape(tf.cast(mask, rows.dtype), [-1, 1])
        rows = tf.concat([rows, column], axis=1)
    carry = list(initial_state)
    output_size, is_state = _output_of(layer.cell, projected, carry)
    if mask is not None or not is_state:
        previous = tf.zeros([1, output_size], rows.dtype)
        carry.append(carry[0] if continued and is_state else previous)
    return Steps(
        cell=layer.cell,
        rows=rows,
        carry=carry,
        timesteps=timesteps,
        output_size=output_size,
        masked=mask is not None,
        zero_masked=bool(layer.zero_output_for_mask),
        n_states=len(initial_state),
    )


def _output_of(cell: Any, projected: tf.Tensor, states: list[tf.Tensor]):
    """Width of the cell's output, and whether it is its first state."""
    found: list[tuple[int, bool]] = []

    @tf.function(autograph=False)
    def one_step(row, states):
        output, new = cell.advance(row, states)
        found.append((output.shape[-1], output is new[0]))
        return output

    one_step.get_concrete_function(
        tf.TensorSpec([1, projected.shape[-1]], projected.dtype),
        [tf.TensorSpec(s.shape, s.dtype) for s in states],
    )
    return found[-1]


def weight_elements(cell: Any) -> int:
    """Elements of the weights a step multiplies with, the input kernel left out."""
    return sum(
        math.prod(w.shape)
        for w in cell.weights
        if len(w.shape) == 2 and w is not getattr(cell, "kernel", None)
    )
