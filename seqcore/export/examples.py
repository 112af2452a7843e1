"""Inputs a user hands to an export: for its check, and for int8 calibration."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from seqcore.export.errors import ExportError, cause
from seqcore.export.lowerings.scan import scan
from seqcore.export.lowerings.steps import Lowered
from seqcore.export.program import ModelIO, Program, serving, trace
from seqcore.export.selfcheck import chunks
from seqcore.export.signatures import SERVING, STREAM

_CALIBRATION_CHUNK = 8

Example = dict[str, np.ndarray]


def as_examples(data: Iterable[Any], io: ModelIO, source: str) -> list[Example]:
    """User data as dicts of arrays with a batch of 1.

    Raises:
        ExportError: an example does not fit the model, or holds NaN or infinity; the
            message begins with ``source``, the argument that ``data`` was.
    """
    examples = []
    for number, item in enumerate(data):
        where = f"{source}: example {number}"
        if not isinstance(item, Mapping):
            arrays = keras.tree.flatten(item)
            if len(arrays) != len(io.specs):
                raise ExportError(
                    f"{where} holds {len(arrays)} arrays, and the model has the "
                    f"inputs {list(io.specs)}"
                )
            item = dict(zip(io.specs, arrays, strict=True))
        if missing := set(io.specs) - set(item):
            raise ExportError(
                f"{where} holds {sorted(item)}, and the model's inputs are "
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
                    f"{where}, input {name!r}, has shape {array.shape}, "
                    f"expected {(1, *spec.shape[1:])}"
                )
            if not np.isfinite(array).all():
                place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
                raise ExportError(
                    f"{where}, input {name!r}, holds {array[place]} at {place}: an "
                    "export takes finite numbers; mend the example, or leave it out"
                )
            example[name] = array
        examples.append(example)
    return examples


def calibration_data(
    data: Iterable[Any] | None, model: Any, io: ModelIO, program: Program, stream: Any
) -> Callable[[], Iterator[Any]]:
    """What the int8 converter runs to take its ranges: signatures and their inputs.

    TensorFlow runs all of it first. It says what is wrong with an example, where LiteRT
    names an operator or ends the process.

    Raises:
        ExportError: there are no examples, or one that the model does not take.
    """
    source = "representative_data"
    examples = [] if data is None else as_examples(data, io, source)
    if not examples:
        raise ExportError(
            "quantize='int8' needs representative_data: some hundred inputs of the "
            "training run, from which the ranges of the activations are taken"
        )
    if not any(array.any() for example in examples for array in example.values()):
        raise ExportError(
            "representative_data holds zeros alone: no range can be taken"
        )

    run = program.signatures[SERVING]
    free = [n for n, spec in io.specs.items() if spec.shape[1:2] == [None]]
    fixed = [n for n, s in io.specs.items() if len(s.shape) == 3 and n not in free]
    cuts = [
        [{**e, **cut} for cut in (*_cuts(e, free), *_moved(e, fixed))] for e in examples
    ]
    every = [*examples, *(cut for some in cuts for cut in some)]
    short = _too_short(model, io, every) if free else set()

    def refusal(example: Example) -> str:
        if _sizes(example) in short:
            return "leaves no step for a layer to compute"
        return _refusal(run, example)

    runs = []
    for number, example in enumerate(examples):
        if refused := refusal(example):
            shapes = {name: array.shape for name, array in example.items()}
            raise ExportError(
                f"{source}: example {number}, of shape {shapes}, {refused}; mend it, "
                "or leave it out"
            )
        whole = [example, *(cut for cut in cuts[number] if not refusal(cut))]
        streamed = []
        if stream is not None:
            # Its loops, of a chunk, are to meet sound first as well.
            streamed = [example, *list(_trimmed(example, list(io.specs)))[:1]]
        runs.append((whole, streamed))

    def generate():
        for whole, streamed in runs:
            for example in whole:
                yield SERVING, example
            for example in streamed:
                yield from _streamed(example, program.signatures[STREAM], stream)

    return generate


def _streamed(example: Example, run: Any, stream: Any) -> Iterator[Any]:
    """The streamed ranges come from running the clip in chunks."""
    states = {n: tf.zeros(s.shape, s.dtype) for n, s in stream.states.items()}
    for piece in chunks(example, stream, _CALIBRATION_CHUNK):
        inputs = {n: tf.constant(a) for n, a in piece.items()}
        yield STREAM, {**piece, **{n: s.numpy() for n, s in states.items()}}
        results = run(**inputs, **states)
        states = {n: results[n] for n in states}


def _refusal(run: Any, example: Example) -> str:
    """What a signature says against an example; nothing where it takes it."""
    try:
        run(**{name: tf.constant(array) for name, array in example.items()})
    except (ValueError, tf.errors.OpError) as error:
        return f"is not for this model ({cause(error)})"
    return ""


def _sizes(example: Example) -> tuple[int, ...]:
    return tuple(size for array in example.values() for size in array.shape)


def _too_short(model: Any, io: ModelIO, examples: list[Example]) -> set[tuple]:
    """Sizes of examples of which some layer is left nothing, by a kernel say.

    TensorFlow runs them all the same, on memory that nobody wrote. Only the graph of
    that very length shows it; what is as long as an example that does is not looked at.
    """
    short: set[tuple[int, ...]] = set()
    enough: list[tuple[int, ...]] = []
    each = {_sizes(example): example for example in examples}
    for sizes in sorted(each):
        if any(all(map(operator.ge, sizes, known)) for known in enough):
            continue
        specs = {
            n: tf.TensorSpec(a.shape, a.dtype, name=n) for n, a in each[sizes].items()
        }
        try:
            graph = trace(serving(model, io, _scan), specs).graph
        except ExportError:
            short.add(sizes)
            continue
        shapes = [t.shape for o in graph.get_operations() for t in o.outputs]
        # Vectors that say something of shapes, such as axes, may well be empty.
        empty = any(0 in shape for shape in shapes if (shape.rank or 0) > 2)
        (short.add if empty else enough.append)(sizes)
    return short


def _scan(layer: Any, sequences: tf.Tensor, states: list[Any], mask: Any) -> Lowered:
    """`scan`, with outputs whose length is known where that of the inputs is."""
    last, outputs, new = scan(layer, sequences, states, mask)
    if layer.return_sequences:
        outputs.set_shape([*sequences.shape[:2], None])
    return last, outputs, new


def _cuts(example: Example, names: list[str]) -> Iterator[Example]:
    """Parts of the inputs of a free length, to run beside the whole.

    Such a loop takes what does not fill a turn first, and by itself (both directions
    do, each at its own end). Where all it meets there is silence, its range has no
    width, which ends the process that runs the file; and how many steps fill a turn is
    not known here. So an example with silence at an end is cut there, to two lengths in
    a row. Any other gives its second half, from the next step that is not silent.
    """
    steps = _sounding(example, names)
    if trimmed := list(_trimmed(example, names)):
        yield from trimmed
    elif names and all(map(len, steps.values())):
        middle = {name: example[name].shape[1] // 2 for name in names}
        begin = {n: s[s >= middle[n]][0] for n, s in steps.items()}
        yield {name: example[name][:, begin[name] :] for name in names}


def _moved(example: Example, names: list[str]) -> Iterator[Example]:
    """The inputs of a fixed length, their silence all at the end, then all in front."""
    for name, steps in _sounding(example, names).items():
        last = example[name].shape[1] - 1
        for shift in (-steps[0], last - steps[-1]) if len(steps) else ():
            if shift:
                yield {name: np.roll(example[name], shift, axis=1)}


def _trimmed(example: Example, names: list[str]) -> Iterator[Example]:
    """The example without silence at its ends, one step less, and one less in front.

    Nothing where there is no silence, or nothing else.
    """
    steps = _sounding(example, names)
    ends = {name: (s[0], s[-1] + 1) for name, s in steps.items() if len(s)}
    whole = {name: (0, example[name].shape[1]) for name in names}
    if len(ends) < len(names) or ends == whole:
        return
    for later, earlier in ((0, 0), (0, 1), (1, 0)):
        cut = {n: example[n][:, s + later : e - earlier] for n, (s, e) in ends.items()}
        if all(array.shape[1] for array in cut.values()):
            yield cut


def _sounding(example: Example, names: list[str]) -> dict[str, np.ndarray]:
    """By input, the steps where it and all others of its length are not silent.

    Where there are none: the steps where one of them is not.
    """
    arrays = {name: example[name][0] for name in names}
    loud = {n: np.any(a != 0, axis=tuple(range(1, a.ndim))) for n, a in arrays.items()}
    found = {}
    for name in names:
        peers = [steps for steps in loud.values() if len(steps) == len(loud[name])]
        every = np.logical_and.reduce(peers)
        found[name] = np.flatnonzero(every if every.any() else np.any(peers, axis=0))
    return found
