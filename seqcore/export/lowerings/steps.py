"""A layer's call in the form every step-by-step lowering runs.

The cell keeps its equation: rows come from ``cell.project``, a step is
``cell.step``, and the layer finishes the outputs. Masks and direction are settled
here once. The plain LSTM has a step of its own with fewer operators, and the two
halves of a Bidirectional layer can run as one recurrence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from seqcore.export.lowerings.plain_lstm import (
    is_plain,
    plain_step,
    product,
    product_of_both,
    project_both,
)

Lowered = tuple[Any, Any, list[Any]]
States = list[tf.Tensor]


@dataclass(frozen=True)
class Recurrence:
    """What a loop runs: rows in, states along, one output a step.

    Attributes:
        rows: The projected inputs, (lanes * timesteps, width). One lane's are in the
            order of running. With two, those of a step of time are neighbours, and
            the second lane runs from the end.
        lanes: How many directions run at once; 1 or 2.
        states: The states to start with.
        step: Maps the rows of a step, (lanes, width), and the states to the output
            of the step, (lanes, size), and the states that follow.
        timesteps: An int, or a scalar int32 tensor where the length is free.
        output_size: Values of all lanes' outputs a step.
    """

    rows: tf.Tensor
    lanes: int
    states: States
    step: Callable[[tf.Tensor, States], tuple[tf.Tensor, States]]
    timesteps: Any
    output_size: int

    def places(self, begin: Any, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Where the rows of ``count`` steps from ``begin`` on are, and how far on
        those of the next ``count`` steps."""
        forward = begin + tf.range(count)
        if self.lanes == 1:
            return forward, tf.constant([count] * count)
        backward = self.timesteps - 1 - forward
        both = tf.stack([2 * forward, 2 * backward + 1], axis=1)
        return tf.reshape(both, [-1]), tf.constant([2 * count, -2 * count] * count)

    def memory(self, steps: int | None = None) -> tf.Tensor:
        """Any (steps * output_size,) values, of all steps by default.

        How many is known before a run. Zeros would be stored in the file.
        """
        rows = self.rows if steps is None else self.rows[: self.lanes * steps]
        rows = tf.reshape(rows, [-1, self.lanes * self.rows.shape[1]])
        return tf.reshape(rows[:, : self.output_size], [-1])


@dataclass
class Steps:
    """One layer's recurrence over one sequence.

    Attributes:
        rows: The projected inputs, (timesteps, width), in the order of running;
            a mask is the last column.
        states: The initial states, each (1, size); the first is what is written
            out a step.
        timesteps: An int, or a scalar int32 tensor where the length is free.
        mask: (1, timesteps) boolean in the order of running, or None.
        begun: (1, 1) integer, whether an earlier chunk had an unmasked step; None
            where there is no earlier chunk, or masked outputs are zero anyway.
        exact: Whether the file keeps float32 weights.
    """

    layer: Any
    rows: tf.Tensor
    states: States
    timesteps: Any
    mask: Any
    begun: Any
    exact: bool

    def step(self, row: tf.Tensor, states: Sequence[tf.Tensor]) -> States:
        """One step: a row (1, width) and the states in, the states out."""
        cell, states = self.layer.cell, list(states)
        if is_plain(self.layer):
            multiply = product(cell, self.exact)
            return self._keep(
                row, states, lambda r, s: plain_step(multiply, r, s, cell.units)
            )
        return self._keep(row, states, lambda r, s: list(cell.step(r, s)[0]))

    def _keep(self, row: tf.Tensor, states: States, step: Callable) -> States:
        """``step`` without the mask in the row; masked steps keep the states."""
        if self.mask is None:
            return step(row, states)
        # Products, unlike a select, stay inside XNNPACK; they are exact for 0 and 1.
        row, keep = row[:, :-1], row[:, -1:]
        skip = 1.0 - keep
        new = step(row, states)
        return [keep * n + skip * s for n, s in zip(new, states, strict=True)]

    def alone(self) -> Recurrence:
        """This layer as a recurrence."""

        def step(row, states):
            states = self.step(row, states)
            return states[0], states

        size = int(self.states[0].shape[-1])
        return Recurrence(self.rows, 1, self.states, step, self.timesteps, size)

    def with_backward(self, other: Steps, sequences: Any, mask: Any) -> Recurrence:
        """This layer and ``other``, which goes backwards, as one recurrence.

        ``sequences`` and ``mask`` are what both were made from.
        """
        cells = [self.layer.cell, other.layer.cell]
        size = int(self.states[0].shape[-1] + other.states[0].shape[-1])
        if all(is_plain(steps.layer) for steps in (self, other)) and (
            cells[0].units == cells[1].units
        ):
            # The directions are rows of the same tensors, so that all but their
            # products is one operator for both.
            def both(row, states):
                multiply = product_of_both(cells, self.exact)
                states = self._keep(
                    row,
                    states,
                    lambda r, s: plain_step(multiply, r, s, cells[0].units),
                )
                return states[0], states

            pairs = zip(self.states, other.states, strict=True)
            states = [tf.concat(pair, axis=0) for pair in pairs]
            rows = project_both(cells, sequences)
            if mask is not None:
                column = tf.cast(tf.reshape(mask, [-1, 1]), rows.dtype)
                rows = tf.concat([rows, tf.repeat(column, 2, axis=0)], axis=1)
            return Recurrence(rows, 2, states, both, self.timesteps, size)

        rows = tf.concat([self.rows, other.rows], axis=1)
        width, count = self.rows.shape[1], len(self.states)

        def one_by_one(row, states):
            ours = self.step(row[:, :width], states[:count])
            theirs = other.step(row[:, width:], states[count:])
            return tf.concat([ours[0], theirs[0]], axis=1), [*ours, *theirs]

        states = [*self.states, *other.states]
        return Recurrence(rows, 1, states, one_by_one, self.timesteps, size)

    def finish(self, outputs: tf.Tensor | None, states: States) -> Lowered:
        """The layer's results from its outputs (1, timesteps, size) or None."""
        mask = self.mask
        if self.begun is not None:
            first = tf.logical_or(mask[:, :1], tf.not_equal(self.begun, 0))
            mask = tf.concat([first, mask[:, 1:]], axis=1)
        return self.layer._finish(outputs, states, mask)


def split_results(
    recurrence: Recurrence, outputs: tf.Tensor | None, states: States, count: int
) -> list[tuple[tf.Tensor | None, States]]:
    """The outputs and states of both layers of ``with_backward``.

    ``count`` is how many states the forward layer has.
    """
    if recurrence.lanes == 2:
        both = [[s[lane : lane + 1] for s in states] for lane in range(2)]
    else:
        both = [states[:count], states[count:]]
    if outputs is None:
        return [(None, part) for part in both]
    size = int(both[0][0].shape[-1])
    return [(outputs[:, :, :size], both[0]), (outputs[:, :, size:], both[1])]


def steps_of(
    layer: Any,
    sequences: tf.Tensor,
    states: Sequence[tf.Tensor],
    mask: Any,
    begun: Any = None,
    exact: bool = False,
) -> Steps:
    """Project ``sequences`` (1, time, features) and prepare the recurrence."""
    if sequences.shape[0] != 1:
        raise ValueError(
            f"layer {layer.name!r} is lowered for a batch of 1, "
            f"got an input of shape {tuple(sequences.shape)}"
        )
    sequences, mask = in_running_order(layer, sequences, mask)
    rows = layer.cell.project(tf.reshape(sequences, [-1, sequences.shape[-1]]))
    timesteps = sequences.shape[1]
    if timesteps is None:
        timesteps = tf.shape(sequences)[1]
    if mask is not None:
        column = tf.reshape(tf.cast(mask, rows.dtype), [-1, 1])
        rows = tf.concat([rows, column], axis=1)
    return Steps(layer, rows, list(states), timesteps, mask, begun, exact)


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
