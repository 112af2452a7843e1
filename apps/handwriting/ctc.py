"""Connectionist temporal classification (Graves et al., ICML 2006) as a loss."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from apps.handwriting.layers import NEVER

NO_LABEL = -1
"""Fills up the rows of a batch's targets."""


def pad_targets(targets: Sequence[Sequence[int]], length: int) -> np.ndarray:
    """int32 [batch, length]: label indices, filled up with `NO_LABEL`."""
    batch = np.full((len(targets), length), NO_LABEL, "int32")
    for row, target in zip(batch, targets, strict=True):
        row[: len(target)] = target
    return batch


@keras.saving.register_keras_serializable("seqcore")
class CTC(keras.losses.Loss):
    """-log p(transcript), in nats, summed over all alignments.

    An ink of too few steps to spell its transcript has no loss: there is nothing
    in it to learn from, and its true loss is infinite.

    Args of the call:
        y_true: int [batch, longest], label indices filled up with `NO_LABEL`.
        y_pred: [batch, steps, labels + 1], log probabilities, the blank the last
            column. All steps count: padded ones must say blank for certain.
    """

    def __init__(self, name: str = "ctc", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        import tensorflow as tf  # keras.ops.ctc_loss takes seven times as long

        y_true = tf.cast(y_true, "int32")
        steps = tf.shape(y_pred)[1]
        real = tf.cast(y_true >= 0, "int32")
        again = tf.cast(y_true[:, 1:] == y_true[:, :-1], "int32") * real[:, 1:]
        needed = tf.reduce_sum(real, 1) + tf.reduce_sum(again, 1)
        # The operator refuses a text of no label, and finds an infinite loss where
        # there are too few steps, not counting those that only fill up: such rows get
        # a text that it takes.
        real_steps = tf.reduce_any(y_pred[:, :, :-1] > NEVER, 2)
        own = tf.reduce_sum(tf.cast(real_steps, "int32"), 1)
        usual = (needed > 0) & (needed <= own)
        plain = tf.one_hot(0, tf.shape(y_true)[1], 0, NO_LABEL)
        y_true = tf.where(usual[:, None], y_true, plain)
        places = tf.where(y_true >= 0)
        loss = tf.raw_ops.CTCLoss(
            inputs=tf.transpose(y_pred, [1, 0, 2]),
            labels_indices=places,
            labels_values=tf.gather_nd(y_true, places),
            sequence_length=tf.fill([tf.shape(y_pred)[0]], steps),
        ).loss
        silence = -tf.reduce_sum(y_pred[:, :, -1], 1)
        other = tf.where(needed > 0, 0.0, silence)
        return tf.where(usual, loss, other)
