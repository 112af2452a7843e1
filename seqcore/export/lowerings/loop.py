"""The ``loop`` lowering: WHILEs over time steps, built for LiteRT on a CPU.

What shapes it was measured with ``benchmarks/inference`` and hand-made graphs:

- The input projection leaves the loop: one FULLY_CONNECTED over all steps.
- A turn reads its rows of the projection by one GATHER and computes the rest inside
  one XNNPACK partition. Counters are loop variables that an ADD of equal shapes
  moves on, and as few as can be: LiteRT's own small operators cost several of
  XNNPACK's. Where the next output goes is also what counts the turns.
- LiteRT copies every loop variable that the body writes, each turn, and
  DYNAMIC_UPDATE_SLICE copies its operand once more. Writing a full sequence row by
  row therefore costs time quadratic in its length, so it is written in blocks. Of a
  known length every block has a WHILE of its own, and all of them one body (see
  :mod:`seqcore.export.subgraphs`); of a free length an outer WHILE collects them.
- Each start of a WHILE plans its body afresh, operator by operator: blocks are not
  too short, and a turn does not compute too many steps.
- XNNPACK packs the weights of each FULLY_CONNECTED separately: computing several
  steps a turn multiplies the weights in the cache, so it pays for small (or
  quantised) recurrent weights only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from seqcore.export.lowerings.steps import Recurrence, States

# Microseconds on one x86 core; only their ratios steer the choice of a block.
_START_US, _START_PER_STEP_US, _JOIN_US = 3.0, 1.6, 4.0
_TURN_US, _WRITE_US = 0.4, 0.35
_COPY_BYTES_PER_US = 80_000.0
# What the packed recurrent weights of a turn may take of the cache: two copies, or
# two directions, and more copies than that.
_PACKED_BYTES, _PACKED_OFTEN_BYTES = 512 * 1024, 384 * 1024
_MOST_STEPS_A_TURN = 6
_MOST_BLOCKS = 16
# The length a free sequence is planned for.
_TYPICAL_TIMESTEPS = 200


@dataclass(frozen=True)
class Blocking:
    """How a loop is cut.

    Attributes:
        unroll: Steps a turn.
        turns: Turns to a block of outputs; 0 where one block takes them all.
    """

    unroll: int
    turns: int = 0


def fits_cache(weight_bytes: int) -> bool:
    """Whether a turn can run through so many recurrent weights without a detour."""
    return weight_bytes <= _PACKED_BYTES


def plan_blocking(
    timesteps: int | None, row_bytes: int, weight_bytes: int, sequence: bool
) -> Blocking:
    """Choose the blocking that should take the least time.

    Args:
        timesteps: Length of the sequence, or None if it is free.
        row_bytes: Bytes of one step's output.
        weight_bytes: Bytes of the recurrent weights as the runtime packs them.
        sequence: Whether every step's output is wanted.
    """
    length = timesteps or _TYPICAL_TIMESTEPS
    most = max(
        _PACKED_OFTEN_BYTES // max(1, weight_bytes),
        2 if fits_cache(2 * weight_bytes) else 1,
    )

    def copy(steps: int) -> float:
        return 2 * steps * row_bytes / _COPY_BYTES_PER_US

    def cost(choice: Blocking) -> float:
        unroll, turns = choice.unroll, choice.turns
        start = _START_US + unroll * _START_PER_STEP_US
        odd, count = length % unroll, length // unroll
        if timesteps is not None and turns:
            odd += (count - count // turns * turns) * unroll
        block = turns * unroll or length
        blocks = max(1, count // (turns or count or 1))
        # Steps in front that fill no turn, or no block, have a loop of their own.
        total = blocks * start
        if odd:
            total += _START_US + _START_PER_STEP_US + _JOIN_US + odd * _TURN_US
        total += (length - odd) / unroll * _TURN_US
        if sequence:
            total += (length - odd) / unroll * (_WRITE_US + copy(block))
            total += odd * (_WRITE_US + copy(odd if timesteps else length))
            if timesteps is None and turns:
                total += blocks * (_TURN_US + _WRITE_US + copy(length))
        return total

    choices = []
    for unroll in range(1, min(most, length, _MOST_STEPS_A_TURN) + 1):
        count = length // unroll
        choices.append(Blocking(unroll))
        fewest = math.ceil(count / _MOST_BLOCKS) if timesteps else 2
        if sequence:
            choices += [Blocking(unroll, turns) for turns in range(fewest, count)]
    return min(choices, key=cost)


def run_steps(
    run: Recurrence, blocking: Blocking, sequence: bool
) -> tuple[tf.Tensor | None, States]:
    """Run the recurrence as ``blocking`` says.

    Returns:
        The outputs (1, timesteps, output_size) if ``sequence``, else None, and the
        last states.
    """
    if isinstance(run.timesteps, int):
        return _known_length(run, blocking, sequence)
    return _free_length(run, blocking, sequence)


def unrolled(run: Recurrence, sequence: bool) -> tuple[tf.Tensor | None, States]:
    """Every step written out, of a known length; results as of ``run_steps``."""
    rows = run.rows
    if run.lanes > 1:
        rows = tf.gather(rows, run.places(0, run.timesteps)[0])
    # One operator for all rows: the file is long enough.
    cut = tf.split(rows, run.timesteps) if run.timesteps > 1 else [rows]
    outputs, states = _written_out(run, cut, run.states)
    return (_in_steps(run, outputs) if sequence else None), states


def _in_steps(run: Recurrence, y: tf.Tensor) -> tf.Tensor:
    """Outputs one after the other as (1, timesteps, output_size)."""
    return tf.reshape(y, [1, -1, run.output_size])


def _written_out(
    run: Recurrence, rows: list[tf.Tensor], states: States
) -> tuple[tf.Tensor, States]:
    """Some steps from their rows: outputs (steps * output_size,) and the states."""
    outputs = []
    for row in rows:
        output, states = run.step(row, states)
        outputs.append(output)
    joined = outputs[0] if len(rows) == 1 else tf.concat(outputs, 0)
    return tf.reshape(joined, [-1]), states


def _known_length(run: Recurrence, blocking: Blocking, sequence: bool):
    unroll = blocking.unroll
    turns = blocking.turns or run.timesteps // unroll
    blocks = run.timesteps // (unroll * turns)
    odd = run.timesteps - blocks * turns * unroll
    states, written = run.states, []
    if odd:
        room = _room(run, odd) if sequence else None
        y, states = _turns(run, 1, 0, odd, states, room)
        written.append(y)
    room = _room(run, turns * unroll) if sequence else None
    for block in range(blocks):
        begin = odd + block * turns * unroll
        y, states = _turns(run, unroll, begin, turns, states, room)
        written.append(y)
    if not sequence:
        return None, states
    y = written[0] if len(written) == 1 else tf.concat(written, 0)
    return _in_steps(run, y), states


def _free_length(run: Recurrence, blocking: Blocking, sequence: bool):
    unroll, turns, timesteps = blocking.unroll, blocking.turns, run.timesteps
    # Odd steps first, so that the long loop needs no remainder.
    odd = timesteps % unroll if unroll > 1 else 0
    # DYNAMIC_UPDATE_SLICE wants room for a whole write, even if none happens.
    spare = unroll * (turns if sequence and turns else 1) * run.output_size
    y, states = None, run.states
    if sequence:
        y = tf.pad(run.memory(), [[0, spare]])
    if unroll > 1:
        y, states = _turns(run, 1, 0, odd, states, y)
    if sequence and turns:
        y, states = _blocks(run, unroll, turns, odd, states, y)
    else:
        count = (timesteps - odd) // unroll
        y, states = _turns(run, unroll, odd, count, states, y, odd)
    return (None if y is None else _in_steps(run, y[:-spare])), states


def _room(run: Recurrence, steps: int) -> tf.Tensor:
    """Memory for the outputs of some steps, however many there are in all."""
    return tf.pad(run.memory(1), [[0, (steps - 1) * run.output_size]])


def _turns(run: Recurrence, unroll: int, begin, count, states, y, at=0):
    """One WHILE of ``count`` turns from step ``begin`` on.

    It writes the outputs to y (room * output_size,) from step ``at`` on, unless y is
    None. Returns y and the states.
    """
    first, further = run.places(begin, unroll)
    size = run.output_size
    # One counter less to move on and to copy: turns are counted by where the next
    # output goes, or by the place of the rows where that is a single one.
    counted = y is not None or first.shape[0] > 1

    def body(index, states, place=None, y=None):
        taken = tf.gather(run.rows, index)
        cut = [taken]
        if unroll > 1:  # Slices stay inside XNNPACK, a SPLIT in many does not.
            each = range(0, unroll * run.lanes, run.lanes)
            cut = [taken[row : row + run.lanes] for row in each]
        new, states = _written_out(run, cut, states)
        after: tuple[Any, ...] = (index + further, states)
        if counted:
            after = (*after, place + tf.constant([unroll * size]))
        if y is not None:
            after = (*after, keras.ops.slice_update(y, place, new))
        return after

    def goes_on(index, states, place=None, y=None):
        return tf.reshape(place < end if counted else index < first + count, [])

    place = tf.reshape(at * size, [1])
    end = place + count * unroll * size
    start = (first, states, place, y)[: 4 if y is not None else 3 if counted else 2]
    last = tf.while_loop(goes_on, body, start)
    return (None if y is None else last[3]), list(last[1])


def _blocks(run: Recurrence, unroll: int, turns: int, begin, states, y):
    """Two nested WHILEs; ``y`` must have room for one more block."""
    block = unroll * turns
    room = _room(run, block)

    def body(done, states, y):
        # A short block comes first: it writes rubbish behind its steps, which the
        # next block overwrites, so the last one ends exactly at the end.
        left = run.timesteps - done
        steps = left - (left - 1) // block * block
        filled, states = _turns(run, unroll, done, steps // unroll, states, room)
        place = tf.reshape(done * run.output_size, [1])
        y = keras.ops.slice_update(y, place, filled)
        return done + steps, states, y

    begin = tf.convert_to_tensor(begin, tf.int32)
    _, states, y = tf.while_loop(
        lambda done, *_: done < run.timesteps, body, (begin, states, y)
    )
    return y, states
