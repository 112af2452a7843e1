"""What an output depends on: how far back in time, and where in a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops, tree

from seqcore.inspect.observe import (
    need_tensorflow,
    observed,
    recurrent_layers,
    to_inputs,
)

_MOST_EXACT = 8
"""Outputs up to this number are differentiated one by one; of more, this many
random combinations are, which has the same mean."""


@dataclass(frozen=True)
class Memory:
    """How much the input of one layer still matters, by how long ago it was.

    Attributes:
        layer: its name.
        influence: (time,), the size of doutput/dinput at lag 0 (the last unmasked
            step that the layer takes), 1, 2, ...: the root of the sum of squares
            over outputs and features, and of the mean over examples. NaN at lags
            that no example has.
        horizon: the largest lag with at least ``threshold`` of the largest
            influence.
        threshold: a share.
    """

    layer: str
    influence: np.ndarray
    horizon: int
    threshold: float


def memory_horizon(
    model: Any,
    x: Any,
    *,
    of: str = "output",
    threshold: float = 0.01,
    output: Callable[[Any], Any] | None = None,
) -> dict[str, Memory]:
    """How many steps back an input still moves the output.

    Measured by the derivative of the output with respect to what each seqcore layer
    is given at each step, so it serves models whose own inputs are integers. Lags
    are counted in the layer's steps, in the order in which it takes them.

    Args:
        model: a built Keras model that holds seqcore layers.
        x: what the model takes, with the batch axis.
        of: ``"output"``, what the model says; of an output that is a sequence,
            its last step. Pooling over time carries inputs around the recurrence:
            ``"state"`` asks for the layer's own last h instead.
        threshold: share of the largest influence that still counts.
        output: picks a floating point tensor (batch, ...) from what the model
            returns; needed where that holds several.

    Returns:
        :class:`Memory` by layer name.

    Raises:
        TypeError: ``model`` is no Keras model.
        ValueError: no seqcore layer, ``x`` does not fit, another argument out of
            range, or a Keras backend other than TensorFlow.

    Example:

    >>> seqcore.inspect.memory_horizon(model, x)["lstm"].horizon
    41
    """
    import tensorflow as tf

    need_tensorflow("memory_horizon")
    if of not in ("output", "state"):
        raise ValueError(f"of={of!r}: expected 'output' or 'state'")
    if not 0 < threshold < 1:
        raise ValueError(f"threshold={threshold!r}: expected a number in (0, 1)")
    recurrent_layers(model)
    x = to_inputs(model, x, "memory_horizon")
    about: dict[str, Any] = {}

    @tf.function(autograph=False)
    def run(x):
        inputs: dict[str, Any] = {}
        states: dict[str, Any] = {}
        masks: dict[str, Any] = {}

        def look(name, layer, sequences, initial, mask):
            sequences = tf.convert_to_tensor(sequences)
            # Zeros added: what each layer itself is given is asked about.
            probe = tf.zeros_like(sequences)
            inputs[name], about[name] = probe, layer
            if mask is not None:
                masks[name] = mask
            found = layer.inner_loop(sequences + probe, initial, mask, False)
            states[name] = tf.cast(found[2][0], tf.float32)
            return found

        result = observed(model, x, look)
        if of == "output":
            asked = [(_last_step(_floating(result, output)), list(inputs))]
        else:
            asked = [(state, [name]) for name, state in states.items()]
        squares = dict.fromkeys(inputs, tf.zeros(()))
        for target, names in asked:
            for part in _combinations(target):
                gradients = tf.gradients(
                    part,
                    [inputs[name] for name in names],
                    unconnected_gradients=tf.UnconnectedGradients.ZERO,
                )
                for name, gradient in zip(names, gradients, strict=True):
                    gradient = tf.cast(gradient, tf.float32)
                    squares[name] += tf.reduce_sum(tf.square(gradient), -1)
        return squares, masks

    squares, masks = run(x)
    found = {}
    for name, values in squares.items():
        mask = masks[name].numpy() if name in masks else None
        rows = _by_lag(values.numpy(), mask, about[name].go_backwards)
        influence = np.sqrt(rows)
        found[name] = Memory(name, influence, _horizon(influence, threshold), threshold)
    return found


def _floating(result: Any, output: Callable[[Any], Any] | None) -> Any:
    if output is not None:
        return output(result)
    found = [r for r in tree.flatten(result) if r.dtype.is_floating]
    if len(found) != 1:
        raise ValueError(
            f"the model returns {len(found)} floating point tensors: choose one with "
            "output=, a function of what it returns"
        )
    return found[0]


def _last_step(target: Any) -> Any:
    """(batch, numbers): a sequence's last step, and other outputs whole."""
    import tensorflow as tf

    if len(target.shape) == 3:
        target = target[:, -1]
    return tf.reshape(tf.cast(target, tf.float32), (tf.shape(target)[0], -1))


def _combinations(target: Any) -> list[Any]:
    """Tensors (batch,) whose squared gradients sum up to those of ``target``'s."""
    import tensorflow as tf

    width = target.shape[-1]
    if width is not None and width <= _MOST_EXACT:
        return tf.unstack(target, axis=1)
    shape = (_MOST_EXACT, tf.shape(target)[1])
    weights = tf.random.stateless_normal(shape, seed=(0, 0)) / _MOST_EXACT**0.5
    return tf.unstack(tf.matmul(weights, target, transpose_b=True), axis=0)


def _by_lag(squares: np.ndarray, mask: Any, backwards: bool) -> np.ndarray:
    """Means over the examples, lag 0 first; each ends at its last unmasked step."""
    if backwards:
        squares = squares[:, ::-1]
        mask = None if mask is None else mask[:, ::-1]
    if mask is None:
        return squares.astype("float64").mean(0)[::-1]
    total, count = np.zeros(squares.shape[1]), np.zeros(squares.shape[1])
    for row, valid in zip(squares, mask, strict=True):
        row = row[valid][::-1]
        total[: len(row)] += row
        count[: len(row)] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _horizon(influence: np.ndarray, threshold: float) -> int:
    known = np.nan_to_num(influence)
    if not known.max() > 0:
        return 0
    return int(np.flatnonzero(known >= threshold * known.max())[-1])


def receptive_field(
    model: Any,
    image: Any,
    *,
    at: tuple[int, int] | None = None,
    channel: int | None = None,
) -> np.ndarray:
    """|doutput/dpixel|: what one output of an image model depends on.

    Args:
        model: any Keras model from images to scores (batch, classes) or to a map
            (batch, rows, columns, channels).
        image: (height, width) or (height, width, channels), floating point.
        at: row and column of the map's point in question; its middle by default.
            Not for scores.
        channel: the class or the channel; by default the largest at that point.

    Returns:
        float array (height, width): the norm over the image's channels.

    Raises:
        TypeError: ``model`` is no Keras model.
        ValueError: the image does not fit, ``at`` or ``channel`` lies outside the
            output, the output is neither scores nor a map, or a Keras backend other
            than TensorFlow.
    """
    import keras
    import tensorflow as tf

    need_tensorflow("receptive_field")
    if not isinstance(model, keras.Model):
        raise TypeError(f"expected a keras.Model, got {model!r}")
    picture = np.asarray(ops.convert_to_numpy(image))
    if picture.ndim not in (2, 3):
        raise ValueError(
            "receptive_field: expected one image, (height, width) or (height, width, "
            f"channels), got shape {picture.shape}"
        )
    wanted = len(model.inputs[0].shape) if getattr(model, "inputs", None) else 4
    if picture.ndim == 2 and wanted == 4:
        picture = picture[..., None]
    x = to_inputs(model, picture[None].astype("float32"), "receptive_field")
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        result = _floating(model(x, training=False), None)[0]
        target = _point(result, at, channel)
    gradient = tape.gradient(
        target, x, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )[0].numpy()
    return np.abs(gradient) if gradient.ndim == 2 else np.linalg.norm(gradient, axis=-1)


def _point(result: Any, at: tuple[int, int] | None, channel: int | None) -> Any:
    """The one number of an output (classes,) or (rows, columns, channels)."""
    shape = tuple(result.shape)
    if len(shape) not in (1, 3):
        raise ValueError(
            "receptive_field: expected scores (classes,) or a map (rows, columns, "
            f"channels) for one image, got shape {shape}"
        )
    if len(shape) == 1 and at is not None:
        raise ValueError(f"at={at!r}: the model's output {shape} is no map")
    if len(shape) == 3:
        row, column = at if at is not None else (shape[0] // 2, shape[1] // 2)
        if not (0 <= row < shape[0] and 0 <= column < shape[1]):
            raise ValueError(f"at={at!r}: the map has {shape[:2]} rows and columns")
        result = result[row, column]
    if channel is None:
        return result[int(np.argmax(result))]
    if not 0 <= channel < result.shape[0]:
        raise ValueError(f"channel={channel!r}: the output has {result.shape[0]}")
    return result[channel]
