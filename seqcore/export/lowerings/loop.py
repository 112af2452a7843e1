"""The ``loop`` lowering: a WHILE over time steps, built for LiteRT on a CPU.

What shapes it was measured with ``benchmarks/inference.py``:

- The input projection leaves the loop: one FULLY_CONNECTED over all steps.
- A step reads its row of the projection by GATHER with a scalar index, the
  cheapest dynamic read LiteRT has (SLICE needs a PACK before it).
- LiteRT copies every loop variable that the body writes, each turn, and
  DYNAMIC_UPDATE_SLICE copies its operand once more. Writing a full sequence one
  row at a time therefore costs time quadratic in its length. So an inner WHILE
  fills a block of steps and the outer one writes whole blocks.
- Starting a WHILE costs about as much as eight small operators (its subgraphs
  are planned afresh), so blocks are neither too short nor too long.
- XNNPACK packs the weights of each FULLY_CONNECTED separately: computing several
  steps a turn saves bookkeeping but multiplies the weights in the cache, so it
  pays for small (or quantised) recurrent weights only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

# Measured on one x86 core; only their ratios steer the choice of a block.
_WHILE_START_US = 8.0
_START_PER_EXTRA_STEP_US = 4.0
_BLOCK_TURN_US = 0.4
_COPY_BYTES_PER_US = 31_000.0
# Packed copies of the recurrent weights that may share the cache.
_PACKED_BYTES = 512 * 1024
_MOST_STEPS_A_TURN = 4
# The length a dynamic sequence is planned for.
_TYPICAL_TIMESTEPS = 100


@dataclass(frozen=True)
class Blocking:
    """How a loop is cut: ``unroll`` steps a turn, ``block`` steps a write.

    ``block`` is 0 where each turn writes straight into the sequence.
    """

    unroll: int
    block: int


def plan_blocking(
    timesteps: int | None, row_bytes: int, weight_bytes: int, sequence: bool
) -> Blocking:
    """Choose the blocking that moves the fewest bytes.

    Args:
        timesteps: Length of the sequence, or None if it is dynamic.
        row_bytes: Bytes of one step's output.
        weight_bytes: Bytes of the recurrent weights as the runtime packs them.
        sequence: Whether every step's output is wanted.
    """
    fit = max(1, min(_MOST_STEPS_A_TURN, _PACKED_BYTES // max(1, weight_bytes)))
    if timesteps is not None and timesteps > 0:
        # A divisor of the length needs no second loop for the remainder.
        divisors = [u for u in range(fit, 1, -1) if timesteps % u == 0]
        fit = divisors[0] if divisors else 1 if timesteps < 8 else fit
    if not sequence:
        return Blocking(fit, 0)
    length = timesteps or _TYPICAL_TIMESTEPS
    copy = 2 * row_bytes / _COPY_BYTES_PER_US
    start = _WHILE_START_US + (fit - 1) * _START_PER_EXTRA_STEP_US

    def cost(block: int) -> float:
        if block == 0:
            return length / fit * length * copy
        starts = math.ceil(length / block) * (start + length * copy)
        return starts + length / fit * (block * copy + _BLOCK_TURN_US)

    blocks = [b for b in range(2 * fit, length, fit)]
    return Blocking(fit, min([0, *blocks], key=cost))


States = list[tf.Tensor]
Step = Callable[[tf.Tensor, States], States]


def run_steps(
    step: Step,
    rows: tf.Tensor,
    states: States,
    timesteps: Any,
    blocking: Blocking,
    output_size: int | None,
) -> tuple[tf.Tensor | None, States]:
    """Run ``step`` over the rows of ``rows`` in order.

    Args:
        step: Maps one row (1, width) and the states to the states that follow.
        rows: (timesteps, width).
        states: The states to start with; the first is written out a step.
        timesteps: An int or a scalar int32 tensor.
        blocking: From :func:`plan_blocking`.
        output_size: Width of the first state if it is wanted at every step, or None
            if only the last states are.

    Returns:
        The first state at every step (timesteps, output_size), or None, and the
        last states.
    """
    unroll = blocking.unroll
    block = blocking.block if output_size else 0
    # Odd steps first, so that the long loop needs no remainder.
    odd = timesteps % unroll if unroll > 1 else 0
    # DYNAMIC_UPDATE_SLICE wants room for a whole write, even if none happens.
    write = max(block, unroll)
    spare = 0 if isinstance(timesteps, int) and write <= timesteps else write
    y = None
    if output_size:
        # Any memory will do: every row is overwritten before it is read. A part of
        # the rows has a shape that runtimes know before they run; zeros of a fixed
        # shape would be stored in the file.
        y = rows[:, :output_size]
        y = tf.pad(y, [[0, spare], [0, 0]]) if spare else y
    if not isinstance(odd, int) or odd:
        y, states = _turns(step, rows, states, y, 0, odd, 1)
    if block:
        y, states = _blocks(step, rows, states, y, odd, timesteps, blocking)
    else:
        y, states = _turns(step, rows, states, y, odd, timesteps, unroll)
    if y is not None and spare:
        y = y[:-spare]
    return y, states


def _turns(step, rows, states, y, begin, end, unroll, offset=0):
    """One WHILE from ``begin`` to ``end`` that writes row t to y[t - offset]."""

    def body(t, states, y):
        if unroll == 1:
            index = [tf.gather(rows, t)[None, :]]
        else:
            index = tf.split(tf.gather(rows, t + tf.range(unroll)), unroll)
        outputs = []
        for row in index:
            states = step(row, states)
            outputs.append(states[0])
        if y is not None:
            new = outputs[0] if unroll == 1 else tf.concat(outputs, 0)
            at = t if isinstance(offset, int) and offset == 0 else t - offset
            y = keras.ops.slice_update(y, tf.stack([at, 0]), new)
        return t + unroll, states, y

    begin = tf.convert_to_tensor(begin, tf.int32)
    if y is None:
        _, states = tf.while_loop(
            lambda t, states: t < end,
            lambda t, states: body(t, states, None)[:2],
            (begin, states),
        )
        return None, states
    _, states, y = tf.while_loop(lambda t, *_: t < end, body, (begin, states, y))
    return y, states


def _blocks(step, rows, states, y, begin, end, blocking):
    """Two nested WHILEs; ``y`` must have room for the last block."""
    unroll, block = blocking.unroll, blocking.block
    width = y.shape[-1]

    whole = (
        isinstance(end, int) and isinstance(begin, int) and not (end - begin) % block
    )

    def body(t, states, y):
        # A short block comes first: it writes rubbish behind its steps, which the
        # next block overwrites, so the last one ends exactly at the end.
        stop = t + block if whole else end - (end - t - 1) // block * block
        filled = tf.zeros([block, width], y.dtype)
        filled, states = _turns(step, rows, states, filled, t, stop, unroll, offset=t)
        y = keras.ops.slice_update(y, tf.stack([t, 0]), filled)
        return stop, states, y

    begin = tf.convert_to_tensor(begin, tf.int32)
    _, states, y = tf.while_loop(lambda t, *_: t < end, body, (begin, states, y))
    return y, states
