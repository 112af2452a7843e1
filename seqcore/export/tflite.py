"""``export_tflite``: a Keras model as one clean .tflite file."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from seqcore.export.converter import INFERENCE_IO, QUANTIZATIONS, convert
from seqcore.export.errors import ExportError
from seqcore.export.examples import as_examples, calibration_data
from seqcore.export.flatbuffer import parse
from seqcore.export.inspection import constants
from seqcore.export.lowerings import LOWERINGS, make_lowering
from seqcore.export.metadata import append_to_tflite, encode, weights_hash
from seqcore.export.precision import in_float32
from seqcore.export.program import (
    Program,
    check_batch_of_one,
    check_model,
    model_io,
    serving,
    with_batch,
)
from seqcore.export.runtime import shape_appears_late
from seqcore.export.selfcheck import (
    TOLERANCES,
    KerasReference,
    check,
    check_stream,
    probes,
)
from seqcore.export.signatures import SERVING, STREAM
from seqcore.export.streaming import streaming_signature


@dataclass(frozen=True)
class ExportReport:
    """What :func:`export_tflite` wrote.

    Attributes:
        path: The file.
        size: Its bytes.
        max_difference: Largest difference from Keras on the probe inputs; NaN, with a
            note, where every output is an integer that quantised weights may change.
        notes: What a user should know, such as weights left in float32.
    """

    path: Path
    size: int
    max_difference: float
    notes: tuple[str, ...] = ()


def export_tflite(
    model: Any,
    path: str | os.PathLike,
    *,
    quantize: str = "none",
    inference_io: str = "float32",
    lowering: str = "auto",
    streaming: bool = False,
    chunk: int | None = None,
    shape: Any = None,
    representative_data: Iterable[Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    probe_data: Iterable[Any] | None = None,
    tolerance: float | None = None,
    verbose: bool = True,
) -> ExportReport:
    """Write ``model`` as a .tflite file that any LiteRT runtime opens.

    Args:
        model: A built Keras model whose recurrent layers are seqcore's.
        path: Where to write, by convention ``something.tflite``.
        quantize: ``none`` (float32), ``float16`` (weights), ``dynamic`` (int8
            weights, float activations) or ``int8`` (weights and activations, except
            in layers with a true attribute ``keeps_float``, for those whose values
            8 bits cannot hold, such as a power spectrum).
        inference_io: What an ``int8`` file takes and gives: ``float32``, or ``int8``
            with scale and zero point in the file, for microcontrollers and delegates
            that compute in integers only.
        lowering: How recurrences are written: ``loop``, ``unrolled``, ``fused``,
            or ``auto``, the fastest on a CPU.
        streaming: Add the signature ``stream``: a chunk and the state in, outputs
            and the new state out.
        chunk: Fixes the time steps a ``stream`` call takes; any number by default.
        shape: Fixes free lengths: the input's shape with a batch of 1, or a dict
            from input name to shape.
        representative_data: For ``int8``: some hundred inputs from the training
            run, each an array, or a dict from input name to array.
        metadata: JSON values to carry in the file as ``metadata.json``;
            ``seqcore`` (version, hash of the weights, options) is added.
        probe_data: Inputs for the check against Keras, in the form of
            ``representative_data``; random ones by default.
        tolerance: Largest difference from Keras that may be written.
        verbose: Print the difference and the notes.

    Returns:
        An :class:`ExportReport`.

    Raises:
        ExportError: (a ValueError) The model or an option cannot be exported, or
            the file disagrees with Keras. Nothing is written then.
        TypeError: ``model`` is not a Keras model.
    """
    if chunk is not None and (not streaming or type(chunk) is not int or chunk < 1):
        raise ExportError(
            f"chunk={chunk!r}: expected a positive integer, with streaming=True"
        )
    _check_choice("quantize", quantize, QUANTIZATIONS)
    _check_choice("lowering", lowering, LOWERINGS)
    _check_choice("inference_io", inference_io, INFERENCE_IO)
    _check_integer_io(model, inference_io, quantize, streaming)
    check_model(model)
    check_batch_of_one(model)
    encode(metadata or {})
    with in_float32(model):
        io = model_io(model, shape)
        batch_one = with_batch(io.specs, 1)
        lower = make_lowering(lowering, quantize, model=model)

        program = Program(model)
        program.add(SERVING, batch_one, serving(model, io, lower))
        stream = None
        if streaming:
            continued = make_lowering(lowering, quantize, continued=True)
            stream = streaming_signature(model, io, continued, chunk)
            program.add(STREAM, {**stream.inputs, **stream.states}, stream.function)
        representative = None
        if quantize == "int8":
            representative = calibration_data(
                representative_data, model, io, program, stream
            )
        content = convert(
            program, quantize, representative, _float_layers(model), inference_io
        )

        if probe_data is None:
            examples = list(probes(io))
        elif not (examples := as_examples(probe_data, io, "probe_data")):
            raise ExportError("probe_data holds no example: give some, or leave it out")
        limit = TOLERANCES[quantize] if tolerance is None else tolerance
        reference = KerasReference(model, io)
        worst, taken = check(content, reference, examples, limit)
        if stream is not None:
            # Both are NaN or neither is: what can be compared is the same.
            worst = max(
                worst, check_stream(content, reference, io, stream, chunk, limit)
            )

    notes = [*_float_weights(content, quantize), *_arena(content, lowering, quantize)]
    compared = not math.isnan(worst)
    if not compared:
        notes.append(
            "every output is an integer, such as the index of a best class, that "
            "quantised weights may change, so none was compared: measure it on data"
        )
    if lowering != "fused" and shape_appears_late(content, taken):
        notes.append(
            "an output's shape is known only after a run: for CompiledModel and "
            "browsers fix the input's with shape="
        )
    full = dict(metadata or {})
    full["seqcore"] = {
        **provenance(model),
        "quantize": quantize,
        "inference_io": inference_io,
        "lowering": lowering,
        "max_difference_from_keras": worst if compared else None,
    }
    content = append_to_tflite(content, full)
    path = Path(path)
    write_atomically(path, content)
    if verbose:
        said = "not compared with Keras"
        if compared:
            said = f"largest difference from Keras {worst:.1e}"
        print(f"{path}: {len(content):,} bytes, {said}")
        for note in notes:
            print(f"  {note}")
    return ExportReport(path, len(content), worst, tuple(notes))


def _float_weights(content: bytes, quantize: str) -> list[str]:
    """Say which weight matrices the converter left in float32."""
    if quantize not in ("dynamic", "int8"):
        return []
    left = [
        shape
        for kind, shape, _ in constants(parse(content))
        if kind == "float32" and len(shape) > 1 and min(shape) > 1
    ]
    if not left:
        return []
    shapes = ", ".join("x".join(map(str, shape)) for shape in sorted(set(left)))
    return [
        f"kept in float32 (under 1,024 weights, or no integer form): {shapes}; "
        f"{sum(4 * int(np.prod(shape)) for shape in left):,} bytes"
    ]


def _arena(content: bytes, lowering: str, quantize: str) -> list[str]:
    """The memory a microcontroller needs for a fused int8 file."""
    if lowering != "fused" or quantize != "int8":
        return []
    from seqcore.export.micro import arena_bytes

    needed = arena_bytes(content)
    if needed is None:
        return ["tflite-micro is not installed: the arena was not measured"]
    return [f"TensorFlow Lite Micro runs it in an arena of {needed:,} bytes"]


def _float_layers(model: Any) -> list[str]:
    """Names of the layers that ask, by ``keeps_float``, to be left out of int8."""
    layers = model._flatten_layers(include_self=False)
    return [layer.name for layer in layers if getattr(layer, "keeps_float", False)]


def _check_integer_io(
    model: Any, inference_io: str, quantize: str, streaming: bool
) -> None:
    if inference_io == "float32":
        return
    if quantize != "int8":
        raise ExportError(
            f"inference_io={inference_io!r} is for quantize='int8', not {quantize!r}"
        )
    if streaming:
        raise ExportError(
            f"inference_io={inference_io!r} does not go with streaming=True: a state "
            "would leave a chunk on another scale than it enters the next"
        )
    if _float_layers(model):
        raise ExportError(
            f"inference_io={inference_io!r}: layers {_float_layers(model)} ask to stay "
            "in float (keeps_float); export with inference_io='float32'"
        )


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ExportError(f"{name}={value!r}: expected one of {', '.join(choices)}")


def provenance(model: Any) -> dict[str, Any]:
    """Where a file comes from: version of seqcore and Keras, hash of the weights."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        own = version("seqcore")
    except PackageNotFoundError:
        own = "source"
    return {
        "version": own,
        "keras": keras.__version__,
        "model": model.name,
        "weights_sha256": weights_hash(model),
    }


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the target, then rename: never a half-written file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        raise ExportError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        temporary.unlink(missing_ok=True)
