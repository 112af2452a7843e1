"""Inputs a user hands to an export: for its check, and for int8 calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from seqcore.export.errors import ExportError
from seqcore.export.program import ModelIO, Program
from seqcore.export.selfcheck import chunks
from seqcore.export.signatures import SERVING, STREAM

_CALIBRATION_CHUNK = 8


def as_examples(data: Iterable[Any], io: ModelIO) -> list[dict[str, np.ndarray]]:
    """User data as dicts of arrays with a batch of 1."""
    examples = []
    for item in data:
        if not isinstance(item, Mapping):
            arrays = keras.tree.flatten(item)
            if len(arrays) != len(io.specs):
                raise ExportError(
                    f"an example holds {len(arrays)} arrays, and the model has the "
                    f"inputs {list(io.specs)}"
                )
            item = dict(zip(io.specs, arrays, strict=True))
        if missing := set(io.specs) - set(item):
            raise ExportError(
                f"an example holds {sorted(item)}, and the model's inputs are "
                f"{list(io.specs)}: {sorted(missing)} is missing"
            )
        example = {}
        for name, spec in io.specs.items():
            array = np.asarray(item[name], dtype=spec.dtype.as_numpy_dtype)
            if array.ndim == len(spec.shape) - 1:
                array = array[None]
            fits = array.ndim == len(spec.shape) and all(
                want in (None, have)
                for want, have in zip(spec.shape[1:], array.shape[1:], strict=True)
            )
            if not fits or array.shape[0] != 1:
                raise ExportError(
                    f"an example for input {name!r} has shape {array.shape}, "
                    f"expected {(1, *spec.shape[1:])}"
                )
            example[name] = array
        examples.append(example)
    return examples


def calibration_data(
    data: Iterable[Any] | None, io: ModelIO, program: Program, stream: Any
) -> Callable[[], Iterator[Any]]:
    examples = [] if data is None else as_examples(data, io)
    if not examples:
        raise ExportError(
            "quantize='int8' needs representative_data: some hundred inputs of the "
            "training run, from which the ranges of the activations are taken"
        )
    if not any(array.any() for example in examples for array in example.values()):
        raise ExportError(
            "representative_data holds zeros alone: no range can be taken"
        )

    free = [n for n, spec in io.specs.items() if spec.shape[1:2] == [None]]

    def generate():
        for example in examples:
            yield SERVING, example
            if free:
                # A loop of a free length takes what does not fill a block first, and
                # by itself. Where examples begin with silence it would see nothing
                # else, and a range of no width ends the process that runs the file.
                later = {n: example[n][:, example[n].shape[1] // 2 :] for n in free}
                yield SERVING, {**example, **later}
            if stream is None:
                continue
            # The streamed ranges come from running the clip in chunks.
            run = program.signatures[STREAM]
            states = {n: tf.zeros(s.shape, s.dtype) for n, s in stream.states.items()}
            for piece in chunks(example, stream, _CALIBRATION_CHUNK):
                inputs = {n: tf.constant(a) for n, a in piece.items()}
                yield STREAM, {**piece, **{n: s.numpy() for n, s in states.items()}}
                results = run(**inputs, **states)
                states = {n: results[n] for n in states}

    return generate
