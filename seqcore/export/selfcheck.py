"""Never a wrong file: the converted model against the Keras model it came from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from seqcore.export.errors import ExportError, cause
from seqcore.export.overrides import overridden, time_distributed_calls
from seqcore.export.program import ModelIO, with_batch
from seqcore.export.runtime import TFLiteRunner
from seqcore.export.signatures import STREAM

# Largest difference allowed between the file and Keras, relative to the largest
# value of the output where that exceeds 1. Integers are checked by the caller's
# own metric as well; this bound catches a broken file, not a lost decimal.
TOLERANCES = {"none": 1e-4, "float16": 1e-2, "dynamic": 0.1, "int8": 0.2}

_LENGTHS = (1, 13, 64)
_LETTERS = 128


def probes(io: ModelIO, seed: int = 0) -> Iterator[dict[str, np.ndarray]]:
    """Random inputs; where a length is free: one step, an odd length, a long one.

    Integers are 0 and 1, which are ids of any vocabulary, but maybe padding alone: the
    last input has letters too. (Keras may refuse it, and `check` skips it then.)
    """
    rng = np.random.default_rng(seed)
    free = any(None in spec.shape[1:] for spec in io.specs.values())
    lengths = _LENGTHS if free else (0, 0)
    kinds = [(length, 2) for length in lengths]
    if any(spec.dtype.is_integer for spec in io.specs.values()):
        kinds.append((lengths[-1], _LETTERS))
    for length, integers in kinds:
        yield {
            name: _random(
                rng, [1] + [d or length for d in spec.shape[1:]], spec.dtype, integers
            )
            for name, spec in io.specs.items()
        }


def _random(
    rng: np.random.Generator, shape: list[int], dtype: tf.DType, integers: int = 2
):
    if dtype.is_floating:
        return rng.normal(0.0, 1.0, shape).astype(dtype.as_numpy_dtype)
    if dtype.is_bool:
        return rng.random(shape) < 0.5
    return rng.integers(0, integers, shape).astype(dtype.as_numpy_dtype)


class KerasReference:
    """What Keras itself computes, traced once for every length."""

    def __init__(self, model: Any, io: ModelIO):
        @tf.function(autograph=False)
        def run(**inputs):
            with overridden(time_distributed_calls(model)):
                return io.call(model, inputs)

        self._run = run.get_concrete_function(**with_batch(io.specs, 1))

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name for one example."""
        outputs = self._run(**{n: tf.convert_to_tensor(a) for n, a in inputs.items()})
        return {name: tensor.numpy() for name, tensor in outputs.items()}


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


def _incomparable(value: np.ndarray, tolerance: float) -> bool:
    """Whether only the model's other outputs can tell if a file is right.

    An index (of a best class, say) jumps where a score hardly moves: with quantised
    weights only the scores can be compared.
    """
    return np.issubdtype(value.dtype, np.integer) and tolerance > TOLERANCES["none"]


def check(
    content: bytes,
    reference: KerasReference,
    examples: list[dict[str, np.ndarray]],
    tolerance: float,
) -> tuple[float, dict[str, np.ndarray]]:
    """Run the file and Keras on ``examples``.

    Returns:
        The largest difference, NaN where no output can be compared, and the last
        example that Keras takes.

    Raises:
        ExportError: Keras takes none, or the difference is beyond ``tolerance``.
    """
    runner = TFLiteRunner(content)
    errors: list[float] = []
    taken = None
    for example in examples:
        try:
            want = reference(example)
        except (ValueError, tf.errors.OpError) as error:
            # A model of unpadded convolutions takes no single step, say.
            refused = error
            continue
        got = runner(example)
        runner.reset()
        if set(got) != set(want):
            raise ExportError(
                f"the file's outputs are {sorted(got)}, not {sorted(want)}"
            )
        for name in want:
            if _incomparable(want[name], tolerance):
                continue
            errors.append(difference(got[name], want[name]))
        taken = example
    runner.close()
    if taken is None:
        raise ExportError(
            "Keras refuses every probe input, so that the file cannot be checked; "
            f"pass inputs it accepts as probe_data= ({cause(refused)})"
        )
    worst = max(errors, default=math.nan)
    if errors and not worst <= tolerance:
        raise ExportError(
            f"the converted file differs from Keras by {worst:.2e}, beyond the "
            f"tolerance {tolerance:g}; nothing was written. Pass probe inputs like "
            "the model's own (probe_data=), or a larger tolerance= if the loss is meant"
        )
    return worst, taken


_STREAM_TIMESTEPS = 48
_STREAM_CHUNKS = ((1,), (48,), (5, 1, 13, 2))


def check_stream(
    content: bytes,
    reference: KerasReference,
    io: ModelIO,
    stream: Any,
    chunk: int | None,
    limit: float,
) -> float:
    """Chunks of several sizes against Keras on the whole sequence.

    Returns the largest difference, NaN where no output can be compared; ExportError
    beyond ``limit``. It also finds the layers that no rule knows to look beyond their
    chunk.
    """
    length = _STREAM_TIMESTEPS
    if chunk is not None:
        length = max(2, length // chunk) * chunk
    steps = {spec.shape[1] for spec in io.specs.values()}
    fixed = [s for s in steps if s is not None]
    length = fixed[0] if fixed else length
    runner = TFLiteRunner(content)
    rng = np.random.default_rng(1)
    example = {
        n: _random(rng, [1, length, *s.shape[2:]], s.dtype) for n, s in io.specs.items()
    }
    want = reference(example)
    errors: list[float] = []
    for sizes in _STREAM_CHUNKS if chunk is None else ((chunk,),):
        got = run_stream(runner, stream, example, sizes)
        for name, value in want.items():
            if _incomparable(value, limit):
                continue
            pieces = got[name]
            if f"{name}_steps" in got:
                valid = [int(n[0]) for n in got[f"{name}_steps"]]
                pieces = [p[:, :n] for p, n in zip(pieces, valid, strict=True)]
            joined = np.concatenate(pieces, axis=1) if pieces[0].ndim > 1 else None
            if joined is not None and joined.shape == value.shape:
                error = difference(joined, value)
            else:
                error = difference(pieces[-1], value)
            errors.append(error)
    runner.close()
    worst = max(errors, default=math.nan)
    if errors and not worst <= limit:
        raise ExportError(
            f"streaming=True: outputs of chunks differ from the whole sequence's by "
            f"{worst:.2e} (tolerance {limit:g}); some layer looks "
            "beyond its chunk in a way the exporter does not know. Give that layer "
            "an attribute streaming_window = (steps, hop), or export with "
            "streaming=False"
        )
    return worst


def run_stream(
    runner: TFLiteRunner, stream: Any, example: Mapping[str, np.ndarray], sizes: Any
) -> dict[str, list[np.ndarray]]:
    """Feed ``example`` in chunks of the sizes given in turn, from zero state."""
    states = {
        n: np.zeros(s.shape, s.dtype.as_numpy_dtype) for n, s in stream.states.items()
    }
    outputs: dict[str, list[np.ndarray]] = {}
    for piece in chunks(example, stream, *sizes):
        result = runner({**piece, **states}, STREAM)
        states = {name: result.pop(name) for name in states}
        for name, value in result.items():
            outputs.setdefault(name, []).append(value)
    return outputs


def chunks(
    example: Mapping[str, np.ndarray], stream: Any, *sizes: int
) -> Iterator[dict[str, np.ndarray]]:
    """Cut ``example`` along time into chunks of ``sizes`` in turn.

    A signature of a fixed chunk gets that, and no incomplete one at the end.
    """
    fixed = next(iter(stream.inputs.values())).shape[1]
    length = next(iter(example.values())).shape[1]
    start = turn = 0
    while start < length:
        stop = start + (fixed or sizes[turn % len(sizes)])
        if fixed and stop > length:
            return
        yield {name: array[:, start:stop] for name, array in example.items()}
        start, turn = stop, turn + 1
