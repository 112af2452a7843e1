"""Mixed precision is for training: a .tflite file computes in float32."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from seqcore.export.errors import ExportError

_FLOATS = ("float16", "bfloat16", "float64")


@contextlib.contextmanager
def in_float32(model: Any) -> Iterator[None]:
    """Let every layer of ``model`` compute in float32, as its weights are.

    Raises:
        ExportError: a layer has weights of another precision.
    """
    layers = [model, *model._flatten_layers(include_self=False)]
    others = [layer for layer in layers if layer.compute_dtype in _FLOATS]
    for layer in others:
        if layer.variable_dtype != "float32":
            raise ExportError(
                f"layer {layer.name!r} has weights of {layer.variable_dtype}, and a "
                ".tflite file computes in float32: build the model with dtype="
                "'float32' (or 'mixed_float16') and give it these weights with "
                "set_weights"
            )
    policies = [(layer, layer.dtype_policy) for layer in others]
    try:
        for layer in others:
            layer.dtype_policy = "float32"
        yield
    finally:
        for layer, policy in policies:
            layer.dtype_policy = policy
