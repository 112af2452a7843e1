"""A layer's call in the form every step-by-step lowering runs.

The cell keeps its equation: rows come from ``cell.project``, a step is
``cell.step``, and the layer finishes the outputs. Masks and direction are settled
here once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

Lowered = tuple[Any, Any, list[Any]]


@dataclass
class Steps:
    """One layer's recurrence over one sequence.

    Attributes:
        rows: The projected inputs, (timesteps, width), in the order of running.
        states: The initial states, each (1, size); the first is what is written
            out a step.
        timesteps: An int, or a scalar int32 tensor where the length is dynamic.
        mask: (1, timesteps) boolean in the order of running, or None.
        continued: Whether the states come from an earlier chunk.
    """

    layer: Any
    rows: tf.Tensor
    states: list[tf.Tensor]
    timesteps: Any
    mask: Any
    continued: bool

    def step(self, row: tf.Tensor, states: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """One step: a row (1, width) and the states in, the states out."""
        states = list(states)
        if self.mask is None:
            return list(self.layer.cell.step(row, states)[0])
        # The mask rides as the last column of the row. Products, unlike a
        # select, stay inside XNNPACK; they are exact for 0 and 1.
        row, keep = row[:, :-1], row[:, -1:]
        new = self.layer.cell.step(row, states)[0]
        skip = 1.0 - keep
        return [keep * n + skip * s for n, s in zip(new, states, strict=True)]

    def finish(self, outputs: tf.Tensor | None, states: list[tf.Tensor]) -> Lowered:
        """The layer's results from the first state at every step, or at the last."""
        outputs = None if outputs is None else outputs[None]
        mask = self.mask
        if mask is not None and self.continued and not self.layer.zero_output_for_mask:
            # Steps before the first valid one give zeros, unless an earlier chunk
            # had one: then the state is no longer zero.
            begun = tf.reduce_any(tf.not_equal(self.states[0], 0))
            first = tf.logical_or(mask[:, :1], begun)
            mask = tf.concat([first, mask[:, 1:]], axis=1)
        return self.layer._finish(outputs, states, mask)


def steps_of(
    layer: Any,
    sequences: tf.Tensor,
    states: Sequence[tf.Tensor],
    mask: Any,
    continued: bool = False,
) -> Steps:
    """Project ``sequences`` (1, time, features) and prepare the recurrence."""
    if sequences.shape[0] != 1:
        raise ValueError(
            f"layer {layer.name!r} is lowered for a batch of 1, "
            f"got an input of shape {tuple(sequences.shape)}"
        )
    sequences, mask = in_running_order(layer, sequences, mask)
    projected = layer.cell.project(sequences)
    rows = tf.reshape(projected, [-1, projected.shape[-1]])
    timesteps = sequences.shape[1]
    if timesteps is None:
        timesteps = tf.shape(sequences)[1]
    if mask is not None:
        column = tf.reshape(tf.cast(mask, rows.dtype), [-1, 1])
        rows = tf.concat([rows, column], axis=1)
    return Steps(layer, rows, list(states), timesteps, mask, continued)


def in_running_order(layer: Any, sequences: tf.Tensor, mask: Any):
    """Inputs and mask as the layer meets them: reversed if it goes backwards."""
    if layer.go_backwards:
        sequences = tf.reverse(sequences, [1])
        mask = None if mask is None else tf.reverse(mask, [1])
    return sequences, mask


def weight_elements(cell: Any) -> int:
    """Elements of the weights a step multiplies with, the input kernel left out."""
    hoisted = {id(getattr(cell, name, None)) for name in ("kernel", "output_kernel")}
    return sum(
        math.prod(w.shape)
        for w in cell.weights
        if len(w.shape) == 2 and id(w) not in hoisted
    )
