"""How the layers run their time loop under TensorFlow's graphs."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

# Rows that one compiled loop is given at least: below it, the loop's own cost a
# step outweighs what a second core gains.
_ROWS = 4


def _cores() -> int:
    set_by_user = tf.config.threading.get_intra_op_parallelism_threads()
    if set_by_user:
        return set_by_user
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _parts(batch: int | None) -> int:
    """Into how many parts, run side by side, the batch is split."""
    most = min(_cores(), 4)
    return most if batch is None else max(1, min(most, batch // (2 * _ROWS)))


def _round_up(n, to):
    return (n + to - 1) // to * to


def _bucket(length):
    """``length`` rounded up by less than a quarter, so that few shapes compile."""
    octave = tf.math.ceil(
        tf.math.log(tf.cast(length, tf.float32) / 64) / tf.math.log(2.0)
    )
    return _round_up(length, 8 * 2 ** tf.cast(tf.maximum(octave, 0), tf.int32))


def _pad(x, axis, to):
    """Zeros after ``x`` up to the length ``to``."""
    if isinstance(to, int) and x.shape[axis] == to:
        return x
    missing = to - tf.shape(x)[axis]
    return tf.pad(x, [[0, missing if a == axis else 0] for a in range(len(x.shape))])


def fast_loop(
    layer, sequences, states, mask, training, probes=()
) -> tuple[Any, list[Any]]:
    """The layer's loop by the compiled kernel.

    Returns ``(outputs, states)``; ``outputs`` is batch-major, masked steps
    repeat the state before, and it is None unless ``layer.return_sequences``.
    """
    given = sequences.shape[:2]
    batch, steps = given
    rows_given = tf.shape(sequences)[0] if batch is None else batch
    length: Any = steps
    if steps is None:
        steps = tf.shape(sequences)[1]
        length = _bucket(steps)
    parts = _parts(batch)
    rows = _round_up(_round_up(rows_given, parts) // parts, _ROWS)

    dropout = layer.cell.get_dropout_mask(sequences[:, 0]) if training else None
    if dropout is not None and not isinstance(dropout, list):
        dropout = [dropout]

    def cut(x, part):
        """Rows of one part; along the batch axis nothing is copied."""
        if parts == 1:
            return x
        return x[part * rows : (part + 1) * rows]

    def whole(x):
        return None if x is None else _pad(x, 0, rows * parts)

    sequences = whole(_pad(sequences, 1, length))
    mask = whole(None if mask is None else _pad(mask, 1, length))
    states = [whole(s) for s in states]
    probes = [whole(_pad(p, 1, length)) for p in probes]
    dropout = None if dropout is None else [whole(m) for m in dropout]

    done = []
    for part in range(parts):
        x = cut(sequences, part)
        d = None if dropout is None else [cut(one, part)[:, None] for one in dropout]
        projected = d is not None and len(d) > 1
        if projected:
            x = layer.cell.project(x, d)
        elif d is not None:
            x = x * d[0]
        h, outcome = layer.cell.run_kernel(
            x,
            [cut(s, part) for s in states],
            None if mask is None else cut(mask, part),
            steps,
            projected=projected,
            sequences=layer.return_sequences,
            training=training,
            probes=[cut(p, part) for p in probes],
        )
        done.append((h, outcome))

    def joined(pieces):
        x = pieces[0] if parts == 1 else tf.concat(pieces, axis=0)
        return x if isinstance(rows, int) and rows * parts == batch else x[:rows_given]

    states = [joined(list(s)) for s in zip(*(o for _, o in done), strict=True)]
    for state in states:
        state.set_shape((batch, None))
    if not layer.return_sequences:
        return None, states
    outputs = joined([h for h, _ in done])[:, :steps]
    # What is known beforehand is lost in the compiled loops; Keras's layers keep it.
    outputs.set_shape((*given, None))
    return outputs, states


def scan(body, carry, xs):
    """``jax.lax.scan`` for TensorFlow: any length, and emissions of any structure."""
    flat = tf.nest.flatten(xs)
    length = tf.shape(flat[0])[0]

    def row(t):
        return tf.nest.pack_sequence_as(xs, [x[t] for x in flat])

    # What a step emits is known once it has been traced; the values are unused.
    _, example = body(carry, row(0))
    buffers = tf.nest.map_structure(
        lambda e: tf.TensorArray(e.dtype, length, element_shape=e.shape), example
    )

    def turn(t, carry, buffers):
        new, emitted = body(carry, row(t))
        for old, value in zip(
            tf.nest.flatten(carry), tf.nest.flatten(new), strict=True
        ):
            value.set_shape(old.shape)
        written = [
            b.write(t, e)
            for b, e in zip(
                tf.nest.flatten(buffers), tf.nest.flatten(emitted), strict=True
            )
        ]
        return t + 1, new, tf.nest.pack_sequence_as(example, written)

    _, carry, buffers = tf.while_loop(
        lambda t, *_: t < length,
        turn,
        (0, carry, buffers),
        maximum_iterations=length,
    )
    return carry, tf.nest.map_structure(lambda b: b.stack(), buffers)
