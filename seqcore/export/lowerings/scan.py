"""The lowering of a SavedModel: a TensorArray loop, any batch, any length."""

from __future__ import annotations

import keras
import tensorflow as tf


def scan(layer, sequences, initial_state, mask):
    """Run ``layer`` on (batch, time, features) with TensorFlow operations only."""
    if layer.go_backwards:
        sequences = tf.reverse(sequences, [1])
        mask = None if mask is None else tf.reverse(mask, [1])
    projected = layer.cell.project(sequences)

    def step(inputs, states):
        return layer.cell.advance(inputs, list(states))

    return keras.src.backend.rnn(
        step,
        projected,
        initial_state,
        mask=mask,
        input_length=sequences.shape[1],
        zero_output_for_mask=layer.zero_output_for_mask,
        return_all_outputs=layer.return_sequences,
    )
