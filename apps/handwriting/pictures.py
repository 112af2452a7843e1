"""Pictures of ink: what a pen's path looks like, however it was drawn."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

MOST_COLUMNS = 4096
"""Of a line's picture, margins apart: some 600 letters. A stroke that lies far off
would else make it as wide as the memory, and wider."""


@keras.saving.register_keras_serializable("seqcore")
class StrokeMap(keras.layers.Layer):
    """Where the ink is and which way it runs there, however it was drawn.

    A picture beside the path: neither the order of strokes nor their direction or
    beginning changes it (Alimoglu and Alpaydin, ICDAR 1997, on what the two know of
    digits together).

    Args:
        size: Cells along each side.

    Input shape: [batch, steps, 10], `PenFeatures` of the scale "box".
    Output shape: [batch, size, size, 3]: length of ink, and the cosine and sine of
    twice its angle, by height and width.
    """

    def __init__(self, size: int = 10, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = size
        self.supports_masking = True

    def call(self, inputs):
        cells = np.linspace(-0.5, 0.5, self.size, dtype="float32")
        finer = self.size - 1.0
        across = _share((inputs[..., 5:6] - cells) * finer)
        strokes = _at_heights(_share((inputs[..., 6:7] - cells) * finer), inputs)
        # Steps outnumber cells: sum over them as a product of matrices.
        found = ops.matmul(ops.transpose(strokes, (0, 2, 1)), across)
        found = ops.reshape(found, (-1, self.size, 3, self.size))
        return 0.5 * ops.transpose(found, (0, 1, 3, 2))

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.size, self.size, 3)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable("seqcore")
class LinePicture(keras.layers.Layer):
    """A line of writing as a picture, and where in it each step of the path is.

    What `StrokeMap` is to a symbol, for ink of any width.

    Args:
        rows: Cells from top to bottom, about the mean height of the ink. What
            reaches beyond is drawn at the edge.
        cell: Size of a cell in units of the ink's spread.
        margin: Empty columns at both ends: as far as convolutions behind this reach.
        columns: Width of every picture, for files of fixed shapes: what lies behind
            is not seen. 0: as wide as the widest ink of the batch, or `MOST_COLUMNS`.

    Input shape: [batch, steps, 10], `PenFeatures` of the scale "spread" with x.
    Output shapes: [batch, columns, rows, 3]: length of ink, and the cosine and sine of
    twice its angle; [batch, steps, columns]: shares of each step in the columns, 1 in
    all (0 for steps that fill up).
    """

    def __init__(
        self,
        rows: int = 16,
        cell: float = 0.35,
        margin: int = 0,
        columns: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.rows = rows
        self.cell = cell
        self.margin = margin
        self.columns = columns
        self.supports_masking = True

    def call(self, inputs):
        x, y, real = inputs[..., 5:6], inputs[..., 6:7], inputs[..., 9:]
        left = ops.min(ops.where(real > 0.5, x, 1e9), 1, keepdims=True)
        column = ((x - left) / self.cell + self.margin) * real
        widest = ops.minimum(ops.ceil(ops.max(column)), float(MOST_COLUMNS))
        count = self.columns or ops.cast(widest, "int32") + 1 + self.margin
        places = ops.cast(ops.arange(count, dtype="int32"), "float32")
        across = _share(column - places) * real
        edge = (self.rows - 1) / 2
        row = ops.clip(y / self.cell, -edge, edge) + edge
        upright = _share(row - np.arange(self.rows, dtype="float32"))
        strokes = _at_heights(upright, inputs)
        picture = ops.matmul(ops.transpose(across, (0, 2, 1)), strokes)
        picture = ops.reshape(picture, (-1, count, self.rows, 3))
        return 0.5 * picture, across

    def compute_mask(self, inputs, mask=None):
        return [None, None]

    def compute_output_spec(self, inputs):
        batch, steps, _ = inputs.shape
        columns = self.columns or None
        return (
            keras.KerasTensor((batch, columns, self.rows, 3)),
            keras.KerasTensor((batch, steps, columns)),
        )

    def get_config(self) -> dict[str, Any]:
        own = {"rows": self.rows, "cell": self.cell, "margin": self.margin}
        return {**super().get_config(), **own, "columns": self.columns}


@keras.saving.register_keras_serializable("seqcore")
class ReadColumns(keras.layers.Layer):
    """A path with, at each step, what stands in a picture's columns where the pen is.

    Args:
        strides: Of the convolutions that the path has gone through.

    Input shapes: [batch, ceil(steps / strides), channels], the path;
    [batch, columns, more channels]; [batch, steps, columns], as `LinePicture` returns
    them.
    Output shape: [batch, ceil(steps / strides), channels + more channels], under the
    path's mask.
    """

    def __init__(self, strides: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.strides = strides
        self.supports_masking = True

    def call(self, inputs):
        path, columns, places = inputs
        seen = ops.matmul(places[:, :: self.strides], columns)
        return ops.concatenate([path, seen], -1)

    def compute_mask(self, inputs, mask=None):
        return mask[0] if mask else None

    def compute_output_shape(self, input_shape):
        path, columns, _ = input_shape
        return (*path[:-1], path[-1] + columns[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "strides": self.strides}


@keras.saving.register_keras_serializable("seqcore")
class WithoutX(keras.layers.Layer):
    """`PenFeatures` with the feature x set to 0; shapes as they are."""

    def call(self, inputs):
        kept = np.ones(inputs.shape[-1], "float32")
        kept[5] = 0.0
        return inputs * kept

    def compute_output_shape(self, input_shape):
        return input_shape


def _share(cells_away):
    """How much of a step a cell gets, 1 to 0, that is so many cells away."""
    return ops.relu(1.0 - ops.abs(cells_away))


def _at_heights(upright, steps):
    """What is drawn in each step, by its shares [batch, steps, rows] in the rows:
    [batch, steps, rows * 3]."""
    found = upright[..., None] * _strokes(steps)[..., None, :]
    return ops.reshape(found, (-1, ops.shape(steps)[1], 3 * upright.shape[-1]))


def _strokes(steps):
    """Ink drawn in each step and its direction, but not which way along it:
    [batch, steps, 10] -> [batch, steps, 3]."""
    dx, dy = steps[..., 0:1], steps[..., 1:2]
    drawn = steps[..., 9:] * (1.0 - steps[..., 2:3])
    # At a lift a step is longer than the others: the angle alone counts.
    angle = ops.concatenate([dx * dx - dy * dy, 2.0 * dx * dy], -1)
    angle = angle * drawn / (dx * dx + dy * dy + 1e-3)
    return ops.concatenate([drawn, angle], -1)
