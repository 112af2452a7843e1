"""The files that are measured: the same weights in every contestant's form."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inference.onnx_file import write_lstm

SHAPES = ((50, 13, 64), (100, 40, 128), (200, 64, 256))
KINDS = ("last", "sequence", "bidirectional")
PRECISIONS = ("float32", "int8")
_UNROLLED_TIMESTEPS = 100


def build(folder: Path) -> None:
    """Convert every contestant that ``folder`` does not hold yet."""
    for shape in SHAPES:
        for kind in KINDS:
            _build_layer(folder, shape, kind)
    for shape in SHAPES:
        _build_stream(folder, shape)


def _layers(shape: tuple[int, int, int], kind: str) -> tuple[Any, Any, list[Any]]:
    """seqcore's model, Keras's model with the same weights, and the weights."""
    import keras

    import seqcore

    timesteps, features, units = shape
    keras.utils.set_random_seed(0)

    def model(layer: Any) -> Any:
        wrapped = (
            keras.layers.Bidirectional(layer) if kind == "bidirectional" else layer
        )
        inputs = keras.Input((timesteps, features), batch_size=1)
        return keras.Sequential([inputs, wrapped])

    sequence = kind != "last"
    ours = model(seqcore.LSTM(units, return_sequences=sequence))
    theirs = model(keras.layers.LSTM(units, return_sequences=sequence))
    rng = np.random.default_rng(0)
    weights = [
        rng.standard_normal(w.shape).astype("float32") * (0.5 / np.sqrt(w.shape[0]))
        for w in theirs.get_weights()
    ]
    theirs.set_weights(weights)
    layers = [ours.layers[0]]
    if kind == "bidirectional":
        layers = [ours.layers[0].forward_layer, ours.layers[0].backward_layer]
    for number, layer in enumerate(layers):
        values = weights[3 * number : 3 * number + 3]
        for name, value in zip(
            ("kernel", "recurrent_kernel", "bias"), values, strict=True
        ):
            getattr(layer.cell, name).assign(value)
    return ours, theirs, weights


def file_path(folder: Path, shape: Any, kind: str, who: str, precision: str) -> Path:
    suffix = "onnx" if who == "onnxruntime" else "tflite"
    size = "x".join(map(str, shape))
    return folder / f"{size}_{kind}_{who}_{precision}.{suffix}"


def _build_layer(folder: Path, shape: tuple[int, int, int], kind: str) -> None:
    from seqcore.export.tflite import export_tflite

    ours = theirs = weights = None
    for precision in PRECISIONS:
        quantize = "none" if precision == "float32" else "dynamic"
        for who in ("loop", "unrolled", "fused", "keras", "onnxruntime"):
            path = file_path(folder, shape, kind, who, precision)
            long = who == "unrolled" and shape[0] > _UNROLLED_TIMESTEPS
            if path.exists() or long:
                continue
            if ours is None:
                ours, theirs, weights = _layers(shape, kind)
            print(f"converting {path.name}", file=sys.stderr, flush=True)
            if who == "keras":
                path.write_bytes(_convert_keras(theirs, precision))
            elif who == "onnxruntime":
                write_lstm(path, shape, kind, weights, precision)
            else:
                export_tflite(
                    ours, path, lowering=who, quantize=quantize, verbose=False
                )


def _convert_keras(model: Any, precision: str) -> bytes:
    """What a Keras user gets today: the converter on a model with a batch of 1."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if precision == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return converter.convert()


def _build_stream(folder: Path, shape: tuple[int, int, int]) -> None:
    from seqcore.export.tflite import export_tflite

    one = (1, *shape[1:])
    model, _, weights = _layers(shape, "last")
    for precision in PRECISIONS:
        quantize = "none" if precision == "float32" else "dynamic"
        for chunk in (None, 1):
            who = "stream" if chunk is None else "stream fixed"
            path = file_path(folder, shape, "stream", who.replace(" ", "_"), precision)
            if not path.exists():
                export_tflite(
                    model, path, quantize=quantize, streaming=True, chunk=chunk,
                    verbose=False,
                )  # fmt: skip
        path = file_path(folder, shape, "stream", "onnxruntime", precision)
        if not path.exists():
            write_lstm(path, one, "stream", weights, precision)
