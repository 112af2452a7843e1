"""Never a wrong file: the converted model against the Keras model it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from seqcore.export.errors import ExportError
from seqcore.export.program import ModelIO
from seqcore.export.runtime import TFLiteRunner

# Largest difference allowed between the file and Keras, relative to the largest
# value of the output where that exceeds 1. Integers are checked by the caller's
# own metric as well; this bound catches a broken file, not a lost decimal.
TOLERANCES = {"none": 1e-4, "float16": 1e-2, "dynamic": 0.1, "int8": 0.2}

_LENGTHS = (1, 13, 64)


def probes(io: ModelIO, seed: int = 0) -> Iterator[dict[str, np.ndarray]]:
    """Random inputs; where a length is free: one step, an odd length, a long one."""
    rng = np.random.default_rng(seed)
    free = any(None in spec.shape[1:] for spec in io.specs.values())
    for length in _LENGTHS if free else (0, 0):
        yield {
            name: _random(rng, [1] + [d or length for d in spec.shape[1:]], spec.dtype)
            for name, spec in io.specs.items()
        }


def _random(rng: np.random.Generator, shape: list[int], dtype: tf.DType):
    if dtype.is_floating:
        return rng.normal(0.0, 1.0, shape).astype(dtype.as_numpy_dtype)
    if dtype.is_bool:
        return rng.random(shape) < 0.5
    # Small integers are valid ids of any vocabulary and bytes of any text.
    return rng.integers(0, 2, shape).astype(dtype.as_numpy_dtype)


def keras_outputs(model: Any, io: ModelIO, inputs: Mapping[str, np.ndarray]):
    """What Keras itself computes for ``inputs``, by output name."""
    tensors = {n: tf.convert_to_tensor(a) for n, a in inputs.items()}
    return {n: t.numpy() for n, t in io.call(model, tensors).items()}


def difference(got: np.ndarray, want: np.ndarray) -> float:
    """Largest absolute difference over max(1, largest value)."""
    if got.shape != want.shape:
        raise ExportError(f"the file gives shape {got.shape}, Keras {want.shape}")
    if want.size == 0:
        return 0.0
    got, want = got.astype(np.float64), want.astype(np.float64)
    if not np.array_equal(np.isfinite(got), np.isfinite(want)):
        return float("inf")
    finite = np.isfinite(want)
    scale = max(1.0, float(np.abs(want[finite]).max(initial=0.0)))
    return float(np.abs(got[finite] - want[finite]).max(initial=0.0)) / scale


def check(content: bytes, model: Any, io: ModelIO, inputs: Any, tolerance: float):
    """The largest difference over ``inputs``; ExportError beyond ``tolerance``."""
    runner = TFLiteRunner(content)
    worst = 0.0
    for example in inputs:
        want = keras_outputs(model, io, example)
        got = runner(example)
        if set(got) != set(want):
            raise ExportError(
                f"the file's outputs are {sorted(got)}, not {sorted(want)}"
            )
        for name in want:
            worst = max(worst, difference(got[name], want[name]))
    runner.close()
    if not worst <= tolerance:
        raise ExportError(
            f"the converted file differs from Keras by {worst:.2e}, beyond the "
            f"tolerance {tolerance:g}; nothing was written. Pass probe inputs like "
            "the model's own (probe_data=), or a larger tolerance= if the loss is meant"
        )
    return worst
