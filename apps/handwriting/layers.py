"""Layers that treat padding as if it were not there."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

NEVER = -1e4
"""Log probability of what cannot be; finite, so that nothing becomes NaN."""


@keras.saving.register_keras_serializable("seqcore")
class PenConv1D(keras.layers.Conv1D):
    """Convolution over time whose result does not depend on padding.

    Padded steps count as zeros, and the zeros at both ends are the same for every
    length (TensorFlow's "same" shifts with the parity of the length where there
    is a stride). Step j of the output is centred on step `j * strides` of the
    input.

    Args:
        filters, kernel_size, strides, use_bias: As in `keras.layers.Conv1D`.

    Input shape: [batch, steps, channels].
    Output shape: [batch, ceil(steps / strides), filters].
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        **kwargs: Any,
    ):
        kwargs.pop("padding", None)
        super().__init__(filters, kernel_size, strides, padding="valid", **kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is not None:
            inputs = ops.where(mask[..., None], inputs, 0.0)
        reach = self.kernel_size[0] - 1
        ends = [reach // 2, reach - reach // 2]
        return super().call(ops.pad(inputs, [[0, 0], ends, [0, 0]]))

    def compute_mask(self, inputs, mask=None):
        return None if mask is None else mask[:, :: self.strides[0]]

    def compute_output_shape(self, input_shape):
        batch, steps, _ = input_shape
        if steps is not None:
            steps = -(-steps // self.strides[0])
        return (batch, steps, self.filters)


@keras.saving.register_keras_serializable("seqcore")
class MeanAndMax(keras.layers.Layer):
    """Mean and maximum over time: [batch, steps, C] -> [batch, 2 C]."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is None:
            return ops.concatenate([ops.mean(inputs, 1), ops.max(inputs, 1)], -1)
        seen = ops.cast(mask, inputs.dtype)[..., None]
        mean = ops.sum(inputs * seen, 1) / ops.maximum(ops.sum(seen, 1), 1.0)
        high = ops.max(ops.where(seen > 0, inputs, NEVER), 1)
        return ops.concatenate([mean, high], -1)

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 2 * input_shape[-1])


@keras.saving.register_keras_serializable("seqcore")
class CharacterScores(keras.layers.Layer):
    """Log probabilities of the characters and the blank, the last column.

    Padded steps say blank for certain: that adds nothing to any transcript's
    probability, so that neither loss nor decoder needs to know about padding.

    Input and output shape: [batch, steps, labels + 1].
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        scores = ops.log_softmax(inputs, axis=-1)
        if mask is None:
            return scores
        return ops.where(mask[..., None], scores, silent(scores))

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return input_shape


def silent(scores):
    """Log probabilities [labels + 1] of a step that says blank for certain."""
    size = scores.shape[-1]
    return (1.0 - ops.one_hot(size - 1, size, dtype=scores.dtype)) * NEVER


@keras.saving.register_keras_serializable("seqcore")
class GreedyTranscript(keras.layers.Layer):
    """Indices of the greedy transcript, at the steps where they begin, else -1.

    Input shape: [batch, steps, labels + 1], the last column the blank.
    Output shape: int32 [batch, steps].
    """

    def call(self, scores):
        import tensorflow as tf  # Keras's argmax uses operators TFLite does not have

        best = tf.argmax(scores, axis=-1, output_type=tf.int32)
        before = ops.pad(best, [[0, 0], [1, 0]], constant_values=-1)[:, :-1]
        spoken = ops.logical_and(best != before, best != scores.shape[-1] - 1)
        return ops.where(spoken, best, -1)

    def compute_output_spec(self, scores):
        return keras.KerasTensor(scores.shape[:-1], dtype="int32")
