"""The lowering of a SavedModel: TensorFlow's own loop, any batch, any length."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from seqcore.export.lowerings.steps import Lowered, in_running_order


def scan(layer: Any, sequences: tf.Tensor, states: list[Any], mask: Any) -> Lowered:
    """The layer's loop in TensorFlow operations, without its compiled kernel."""
    sequences, mask = in_running_order(layer, sequences, mask)
    rows = tf.transpose(layer.cell.project(sequences), [1, 0, 2])
    timesteps = tf.shape(rows)[0]
    keep = None if mask is None else tf.transpose(mask)[:, :, None]
    first, sequence = states[0], bool(layer.return_sequences)
    written = tf.TensorArray(
        rows.dtype, timesteps if sequence else 0, element_shape=first.shape
    )

    def turn(t, states, written):
        new = layer.cell.step(rows[t], list(states))[0]
        if keep is not None:
            new = [tf.where(keep[t], n, s) for n, s in zip(new, states, strict=True)]
        if sequence:
            written = written.write(t, new[0])
        return t + 1, list(new), written

    _, states, written = tf.while_loop(
        lambda t, *_: t < timesteps, turn, (tf.constant(0), list(states), written)
    )
    outputs = tf.transpose(written.stack(), [1, 0, 2]) if sequence else None
    return layer._finish(outputs, states, mask)
