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


@contextlib.contextmanager
def without_dropout_masks(model: Any) -> Iterator[None]:
    """Keep Keras from drawing the dropout masks that inference never reads.

    Each draw would move a seed on, a variable that the exported file then holds.
    """
    layers = [
        layer
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, keras.layers.RNN)
    ]
    try:
        for layer in layers:
            object.__setattr__(layer, "_maybe_config_dropout_masks", _draw_nothing)
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("_maybe_config_dropout_masks", None)


def time_distributed_calls(model: Any) -> dict[Any, Callable[..., Any]]:
    """Overrides without which Keras itself errs in a graph of a free length.

    TimeDistributed then maps over the batch size in place of the time steps.
    """
    return {
        layer: _per_step(layer, layer.layer)
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, keras.layers.TimeDistributed)
    }


def _draw_nothing(*_: Any) -> None:
    pass


def plain_calls(model: Any) -> dict[Any, Callable[..., Any]]:
    """Overrides every export needs, whatever its signature."""
    calls = time_distributed_calls(model)
    for layer in model._flatten_layers(include_self=False):
        if type(layer) is keras.layers.Dense:
            calls[layer] = _per_step(layer, layer.call)
    return calls


def _per_step(layer: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """``layer`` as one call of ``function`` with time folded into the batch.

    Keras writes TimeDistributed over a fixed number of steps as one operator each.
    For Dense it computes shapes at run time, which leaves LiteRT without the shape
    of the output until it has run; CompiledModel then has no room for it.
    """

    def call(inputs, *_, **__):
        lead, inner = list(inputs.shape[:2]), list(inputs.shape[2:])
        if len(inputs.shape) < 3 or None in inner:
            return type(layer).call(layer, inputs)
        outputs = function(tf.reshape(inputs, [-1, *inner]))
        if lead.count(None) > 1:
            lead = list(tf.unstack(tf.shape(inputs)[:2]))
        lead = [-1 if size is None else size for size in lead]
        return tf.reshape(outputs, [*lead, *outputs.shape[1:]])

    return call
