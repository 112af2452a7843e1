"""From raw pen points to the features a network reads, inside the model.

The points are [batch, N, 4]: x, y, t, pen (see `Ink.points`). A point whose pen
is negative is padding and must stand behind the ink.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

PADDING = -1.0
"""Value of the pen column in points that only fill up a batch."""
FEATURES = 10
_EDGE = 1e-3  # steps; a length this close to the next whole step counts as reached
_LONGEST_JUMP = 4.0
_COUNTED_TOGETHER = 128
_TRAINED_TOGETHER = 16
"""In training the steps of a batch are filled up to a multiple of this: what XLA
compiles is compiled anew for every number of steps, and distortions change it."""


def pad_points(inputs: list[np.ndarray], length: int | None = None) -> np.ndarray:
    """Stacks points [n, 4] into float32 [batch, length, 4], filled with padding.

    Raises:
        ValueError: an input longer than `length`.
    """
    longest = max(len(points) for points in inputs)
    if length is None:
        length = longest
    if longest > length:
        raise ValueError(f"{longest} points do not fit into {length}")
    batch = np.zeros((len(inputs), length, 4), "float32")
    batch[:, :, 3] = PADDING
    for row, points in zip(batch, inputs, strict=True):
        row[: len(points)] = points
    return batch


@keras.saving.register_keras_serializable("seqcore")
class PenFeatures(keras.layers.Layer):
    """Normalised, resampled points as ten features a step.

    Position and size are taken out: y is measured from the mean height of the
    ink in units of `scale`. With `resample` the path is then cut into steps of
    equal length, which makes the features independent of the digitiser's rate and
    the pen's speed; a pen-up move counts as one step whatever its length. (t is
    therefore not used; half of the data sets have none.) The features of a step:

    - dx, dy while the pen is down, in steps;
    - whether the pen was up (a share, where a step covers both), and the move's
      dx and dy, in scales, cut off at 4;
    - x (for `scale="box"`, or `with_x`) or 0, and y;
    - cosine and sine of the turn since the last step;
    - 1. Steps that only fill up a batch are 0 throughout; `StepMask` makes the
      mask of it.

    Args:
        scale: The unit of length. "box": the longer side of the bounding box, for
            single symbols. "spread": the standard deviation of y along the path,
            for text: ascenders change it less than the box's height.
        resample: Length of a step in scales; 0 keeps the points as they are.
        steps: Makes so many steps of every ink, for files of fixed shapes: what is
            too few is filled up, what is too many cut off. 0: as many as the longest
            ink of the batch has. Only with resampling.
        with_x: Counts x along the line, of any size, with the scale "spread" too:
            for a `LinePicture`.

    Input shape: [batch, N, 4]. Output shape: [batch, steps, 10].

    Raises:
        ValueError: another scale, a negative resample or steps, or steps without
            resampling.
    """

    def __init__(
        self,
        scale: str = "spread",
        resample: float = 0.0,
        steps: int = 0,
        with_x: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if scale not in ("box", "spread"):
            raise ValueError(f"scale={scale!r}: expected box or spread")
        if not resample >= 0:
            raise ValueError(f"resample={resample}: must not be negative")
        if steps < 0 or (steps and not resample):
            raise ValueError(
                f"steps={steps}: must not be negative, and goes with resampling only"
            )
        self.scale = scale
        self.resample = resample
        self.steps = steps
        self.with_x = with_x
        self.supports_jit = not resample  # the number of steps depends on the ink

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        own = {"scale": self.scale, "resample": self.resample, "steps": self.steps}
        return {**config, **own, "with_x": self.with_x}

    def compute_output_shape(self, input_shape):
        steps = (self.steps or None) if self.resample else input_shape[1]
        return (input_shape[0], steps, FEATURES)

    def call(self, points, training=None):
        path = _Path(points)
        xy, unit = (_box if self.scale == "box" else _spread)(path, self.resample)
        if self.resample:
            multiple = _TRAINED_TOGETHER if training else 1
            xy, lifts, valid = _resample(
                path, xy / unit, self.resample, self.steps, multiple
            )
            step = self.resample
        else:
            xy, lifts, valid = xy / unit, path.lifts(), path.valid
            step = 1.0
        use_x = self.with_x or self.scale == "box"
        features = _features(xy, lifts, step, use_x)
        return ops.where(valid[..., None] > 0.5, features, 0.0)


def count_steps(inputs: Sequence[np.ndarray], layer: PenFeatures) -> np.ndarray:
    """How many steps `layer` makes of each of the inks: int [len(inputs)]."""
    if not layer.resample:
        return np.array([len(points) for points in inputs])
    found = np.zeros(len(inputs), int)
    order = np.argsort([len(points) for points in inputs], kind="stable")
    for start in range(0, len(order), _COUNTED_TOGETHER):
        chosen = order[start : start + _COUNTED_TOGETHER]
        steps = layer(pad_points([inputs[i] for i in chosen]))[..., -1]
        found[chosen] = ops.convert_to_numpy(ops.sum(steps, 1)).round().astype(int)
    return found


@keras.saving.register_keras_serializable("seqcore")
class StepMask(keras.layers.Layer):
    """Returns the features of `PenFeatures` as they are, with their mask."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, features):
        return features

    def compute_mask(self, features, mask=None):
        return features[..., -1] > 0.5

    def compute_output_shape(self, input_shape):
        return input_shape


class _Path:
    """Points and the segments between them, each with its length and pen state."""

    def __init__(self, points):
        self.xy = points[:, :, :2]
        pen = points[:, :, 3]
        self.valid = ops.cast(pen >= 0, "float32")
        self.up = ops.cast(pen[:, :-1] > 0.5, "float32")
        delta = self.xy[:, 1:] - self.xy[:, :-1]
        self.length = ops.sqrt(ops.sum(delta * delta, -1) + 1e-12)
        self.inside = self.valid[:, 1:]
        self.count = ops.sum(self.valid, 1)
        self.up = self.up * self.inside
        self.drawn = self.length * (self.inside - self.up)

    def lifts(self):
        """Pen lifts before each point, [batch, N]."""
        return _prefix_sums(self.up)


def _prefix_sums(values):
    """[batch, n] -> [batch, n + 1], from 0."""
    return ops.pad(ops.cumsum(values, axis=1), [[0, 0], [1, 0]])


def _spread(path: _Path, resample: float):
    """xy about the mean height, and the standard deviation of y along the path."""
    total = ops.sum(path.drawn, 1, keepdims=True) + 1e-6
    middle = 0.5 * (path.xy[:, 1:] + path.xy[:, :-1])
    mean = ops.sum(middle * path.drawn[..., None], 1, keepdims=True) / total[..., None]
    offset = (middle - mean)[..., 1]
    rise = (path.xy[:, 1:] - path.xy[:, :-1])[..., 1]
    # The integral of (y - mean)^2 along a segment, exactly: however many points
    # a digitiser puts on it.
    square = offset * offset + rise * rise / 12
    spread = ops.sqrt(ops.sum(square * path.drawn, 1, keepdims=True) / total + 1e-12)
    return path.xy - mean, _at_least(path, spread, resample)


def _box(path: _Path, resample: float):
    """xy about the middle of the bounding box, and its longer side."""
    seen = path.valid[..., None] > 0.5
    low = ops.min(ops.where(seen, path.xy, 1e30), 1, keepdims=True)
    high = ops.max(ops.where(seen, path.xy, -1e30), 1, keepdims=True)
    side = ops.max(high - low, -1)
    return path.xy - 0.5 * (low + high), _at_least(path, side, resample)


def _at_least(path: _Path, unit, resample: float):
    """The unit of length [batch, 1, 1], not so small that steps outnumber points.

    A straight line has no height to measure by; four steps a point is far more
    than any digitiser's rate makes of real ink.
    """
    longest = ops.sum(path.drawn, 1, keepdims=True) / path.count[:, None]
    floor = longest / (4 * (resample or 1.0))
    return ops.maximum(ops.maximum(unit, floor), 1e-6)[..., None]


def _resample(path: _Path, xy, step: float, fixed: int, multiple: int = 1):
    """Positions and pen lifts at equal distances along the path, `fixed` of them or
    (0) as many as the longest path has, filled up to a multiple of `multiple`.

    Returns:
        xy [batch, steps, 2], lifts [batch, steps], valid [batch, steps].
    """
    # Everything is counted in steps, so that a pen-up move is exactly 1.
    unit = ops.where(path.length > 0, path.drawn / path.length, 0.0)
    delta = xy[:, 1:] - xy[:, :-1]
    length = ops.sqrt(ops.sum(delta * delta, -1) + 1e-12) * unit / step
    along = _prefix_sums(length + path.up)
    total = along[:, -1]
    steps = ops.cast(ops.floor(total + _EDGE), "int32") + 1
    longest = fixed or -(-ops.max(steps) // multiple) * multiple
    batch = ops.shape(along)[0]
    # How many points lie at or before each step: count them by the first step
    # that is not before them, then sum up. Linear in points and steps.
    first = ops.minimum(ops.cast(ops.ceil(along - _EDGE), "int32"), longest)
    first = ops.where(path.valid > 0.5, first, longest)
    rows = ops.arange(batch, dtype="int32")[:, None] * (longest + 1)
    flat = ops.reshape(first + rows, (-1, 1))
    counts = ops.scatter(flat, ops.ones_like(flat[:, 0]), (batch * (longest + 1),))
    counts = ops.reshape(counts, (batch, longest + 1))[:, :-1]
    last = ops.maximum(ops.cast(path.count, "int32")[:, None] - 1, 0)
    before = ops.clip(ops.cumsum(counts, axis=1) - 1, 0, last)
    after = ops.minimum(before + 1, last)
    at = ops.cast(ops.arange(longest, dtype="int32"), "float32")[None]
    values = ops.concatenate([xy, path.lifts()[..., None], along[..., None]], -1)
    left, right = _take(values, before), _take(values, after)
    gap = ops.maximum(right[..., 3] - left[..., 3], 1e-6)
    share = ops.clip((at - left[..., 3]) / gap, 0.0, 1.0)[..., None]
    found = left + share * (right - left)
    valid = ops.cast(at < ops.cast(steps, "float32")[:, None], "float32")
    return found[..., :2], found[..., 2], valid


def _take(values, indices):
    """values[b, indices[b, j]]: [batch, N, C] and [batch, M] -> [batch, M, C]."""
    import tensorflow as tf  # keras.ops has no gather with batch dimensions

    return tf.gather(values, indices, batch_dims=1)


def _features(xy, lifts, step: float, use_x: bool):
    previous = ops.concatenate([xy[:, :1], xy[:, :-1]], 1)
    delta = (xy - previous) / step
    up = lifts - ops.concatenate([lifts[:, :1], lifts[:, :-1]], 1)
    up = ops.clip(up, 0.0, 1.0)[..., None]
    down = ops.clip(delta, -_LONGEST_JUMP, _LONGEST_JUMP) * (1.0 - up)
    jump = ops.clip(delta * step, -_LONGEST_JUMP, _LONGEST_JUMP) * up
    norm = ops.sqrt(ops.sum(delta * delta, -1, keepdims=True) + 1e-6)
    way = delta / norm
    last = ops.concatenate([way[:, :1] * 0.0, way[:, :-1]], 1)
    cosine = ops.sum(way * last, -1, keepdims=True)
    sine = way[..., 1:] * last[..., :1] - way[..., :1] * last[..., 1:]
    place = xy if use_x else xy * np.array([0.0, 1.0], "float32")
    y = ops.clip(place[..., 1:], -_LONGEST_JUMP, _LONGEST_JUMP)
    one = ops.ones_like(up)
    return ops.concatenate([down, up, jump, place[..., :1], y, cosine, sine, one], -1)
