"""Give a layer another way to compute itself while a model is traced."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf


@contextlib.contextmanager
def overridden(calls: Mapping[Any, Callable[..., Any]]) -> Iterator[None]:
    """Let each layer in ``calls`` run the given function instead of ``call``.

    It reaches layers wherever the model calls them, functional or subclassed.
    """
    try:
        for layer, function in calls.items():
            object.__setattr__(layer, "call", function)
        yield
    finally:
        for layer in calls:
            layer.__dict__.pop("call", None)


def plain_calls(model: Any) -> dict[Any, Callable[..., Any]]:
    """Overrides every export needs, whatever its signature."""
    return {
        layer: _folded(layer)
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, keras.layers.TimeDistributed)
    }


def _folded(wrapper: Any) -> Callable[..., Any]:
    """TimeDistributed as one call with time folded into the batch.

    Keras maps the layer over a free number of steps with a loop that the converter
    reduces to its first turn.
    """

    def call(inputs, training=None, mask=None):
        inner = tuple(inputs.shape[2:])
        steps = inputs.shape[1] or tf.shape(inputs)[1]
        batch = inputs.shape[0] or tf.shape(inputs)[0]
        inner_sizes = [d or tf.shape(inputs)[i + 2] for i, d in enumerate(inner)]
        flat = tf.reshape(inputs, [-1, *inner_sizes])
        outputs = wrapper.layer(tf.ensure_shape(flat, (None, *inner)))
        return tf.reshape(outputs, [batch, steps, *outputs.shape[1:]])

    return call
