"""Connectionist temporal classification (Graves et al., ICML 2006) as a loss."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

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
        y_true = ops.cast(y_true, "int32")
        steps = ops.shape(y_pred)[1]
        real = ops.cast(y_true >= 0, "int32")
        lengths = ops.sum(real, 1)
        repeats = ops.cast(y_true[:, 1:] == y_true[:, :-1], "int32") * real[:, 1:]
        loss = ops.ctc_loss(
            ops.maximum(y_true, 0),
            y_pred,
            lengths,
            ops.zeros_like(lengths) + steps,
            mask_index=y_pred.shape[-1] - 1,
        )
        return ops.where(lengths + ops.sum(repeats, 1) <= steps, loss, 0.0)
