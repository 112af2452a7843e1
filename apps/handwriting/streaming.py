"""Features that never look ahead, of layers whose state can leave the model.

A file with the signature `stream` takes some points at a time and hands the state
of every layer in and out. What looks back does so through causal convolutions with
fixed weights, for which the export knows the state; the rest works on single points.
The convolutions begin with zeros before the first point: the points must be counted
from the first one, as `Ink.points` does.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

WINDOW = 48
"""Points that the unit of length is measured over: two or three letters."""
_LONGEST = 4.0


class _Fixed(layers.Conv1D):
    """A causal convolution of each channel with the same fixed weights."""

    def __init__(self, weights: list[float], **kwargs: Any):
        self.weights_over_time = weights
        fixed = {"padding": "causal", "use_bias": False, "trainable": False}
        super().__init__(1, len(weights), **{**kwargs, **fixed})

    def build(self, input_shape):
        channels = input_shape[-1]
        self.filters = channels
        super().build(input_shape)
        over_time = np.array(self.weights_over_time, "float32")[:, None, None]
        self.kernel.assign(over_time * np.eye(channels, dtype="float32"))

    def get_config(self) -> dict[str, Any]:
        return layers.Layer.get_config(self)


@keras.saving.register_keras_serializable("seqcore")
class Previous(_Fixed):
    """The step before, zeros before the first: [batch, N, C] to the same shape."""

    def __init__(self, **kwargs: Any):
        super().__init__([1.0, 0.0], **kwargs)


@keras.saving.register_keras_serializable("seqcore")
class RunningSum(_Fixed):
    """Sum over the last `window` steps: [batch, N, C] to the same shape."""

    def __init__(self, window: int = WINDOW, **kwargs: Any):
        super().__init__([1.0] * window, **kwargs)
        self.window = window

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "window": self.window}


@keras.saving.register_keras_serializable("seqcore")
class Points(layers.Layer):
    """Raw points [batch, N, 4] to x, y, pen lifted behind the point, is a point."""

    def call(self, points):
        real = ops.cast(points[..., 3:] >= 0, "float32")
        lifted = ops.cast(points[..., 3:] > 0.5, "float32")
        return ops.concatenate([points[..., :2] * real, lifted, real], -1)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable("seqcore")
class Segments(layers.Layer):
    """A point and the one before it to the segment between them.

    Input: two of `Points`. Output [batch, N, 7]: dx, dy, whether the pen was up,
    the length drawn, whether something was drawn, y, is a point.
    """

    def call(self, inputs):
        now, before = inputs
        real, earlier = now[..., 3:], before[..., 3:]
        up = before[..., 2:3] * real
        delta = (now[..., :2] - before[..., :2]) * real * earlier
        length = ops.sqrt(ops.sum(delta * delta, -1, keepdims=True) + 1e-12)
        drawn = real * earlier * (1.0 - up)
        return ops.concatenate(
            [delta, up, length * drawn, drawn, now[..., 1:2], real], -1
        )

    def compute_output_shape(self, input_shapes):
        return (*input_shapes[0][:-1], 7)


@keras.saving.register_keras_serializable("seqcore")
class SegmentFeatures(layers.Layer):
    """Segments in units of the mean segment of the last `WINDOW` points.

    Input: `Segments`, their `RunningSum`, and `Segments` of the step before.
    Output [batch, N, 8]: dx and dy while the pen is down; pen up; dx and dy of a
    move in the air, an eighth of it; y from its running mean, an eighth of it;
    cosine of the turn; 1 (0 in padding).
    """

    def call(self, inputs):
        now, sums, before = inputs
        count = ops.maximum(sums[..., 4:5], 1.0)
        unit = ops.where(sums[..., 3:4] > 1e-6, sums[..., 3:4] / count, 1.0)
        mean = sums[..., 5:6] / ops.maximum(sums[..., 6:], 1.0)
        real, up = now[..., 6:], now[..., 2:3]
        delta = now[..., :2] / unit
        jump = ops.clip(delta / 8, -_LONGEST, _LONGEST) * up
        down = ops.clip(delta, -_LONGEST, _LONGEST) * (1.0 - up)
        height = ops.clip((now[..., 5:6] - mean) / unit / 8, -_LONGEST, _LONGEST)
        turn = ops.sum(_direction(now) * _direction(before), -1, keepdims=True)
        found = ops.concatenate([down, up, jump, height, turn, real], -1)
        return found * real

    def compute_output_shape(self, input_shapes):
        return (*input_shapes[0][:-1], 8)


def _direction(segments):
    delta = segments[..., :2]
    return delta / ops.sqrt(ops.sum(delta * delta, -1, keepdims=True) + 1e-6)


@keras.saving.register_keras_serializable("seqcore")
class SilentPadding(layers.Layer):
    """Blank for certain where there is no ink; see `CharacterScores`.

    Input: scores [batch, steps, labels + 1] and [batch, steps, 1], 1 at real steps.
    """

    def call(self, inputs):
        from apps.handwriting.layers import silent

        scores, real = inputs
        return ops.where(real > 0.5, scores, silent(scores))

    def compute_output_shape(self, input_shapes):
        return input_shapes[0]


@keras.saving.register_keras_serializable("seqcore")
class GreedyChanges(layers.Layer):
    """`GreedyTranscript` from the scores and the scores of the step before.

    Output: int32 [batch, steps, 1]; the last axis tells the export that there is
    one value a step.
    """

    def call(self, inputs):
        import tensorflow as tf  # as in GreedyTranscript

        scores, before = inputs
        best = tf.argmax(scores, axis=-1, output_type=tf.int32)
        last = tf.argmax(before, axis=-1, output_type=tf.int32)
        # Log probabilities are never all zero: that is before the first step.
        last = ops.where(ops.any(before < 0, axis=-1), last, -1)
        spoken = ops.logical_and(best != last, best != scores.shape[-1] - 1)
        return ops.where(spoken, best, -1)[..., None]

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((*inputs[0].shape[:-1], 1), dtype="int32")


def stream_features(points):
    """Raw points [batch, N, 4] to features [batch, N, 8], causally."""
    marked = Points(name="points_marked")(points)
    segments = Segments(name="segments")([marked, Previous(name="last_point")(marked)])
    return SegmentFeatures(name="segment_features")(
        [
            segments,
            RunningSum(name="recent")(segments),
            Previous(name="last_segment")(segments),
        ]
    )
