"""From a trained .keras file to the files that are deployed."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

import seqcore
from apps.core import files
from apps.core.errors import UserError
from seqcore.export import ExportError
from seqcore.export.saved_model import check_replaceable

_PROBES = 4


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """What cannot be exported, or not to there, is for the user to read."""
    try:
        yield
    except ExportError as error:
        raise UserError(str(error)) from error


def export_tflite(
    model: keras.Model,
    path: Path,
    quantize: str,
    metadata: dict[str, Any],
    representative: Iterable[np.ndarray] | None = None,
    streaming: bool = False,
    chunk: int | None = None,
    shape: Sequence[int] | None = None,
) -> None:
    """Writes the .tflite file; `representative` inputs have no batch axis."""
    samples = None
    if representative is not None:
        samples = [value[None] for value in representative]
    elif quantize == "int8":
        raise UserError(
            "int8 needs representative inputs: give the data the model was "
            "trained on with --data"
        )
    files.make_folder(path.parent)
    with _explained():
        seqcore.export_tflite(
            model,
            path,
            quantize=quantize,
            representative_data=samples if quantize == "int8" else None,
            # Random numbers are a poor check of a model that reads real inputs.
            probe_data=samples[:_PROBES] if samples else None,
            metadata=metadata,
            streaming=streaming,
            chunk=chunk if streaming else None,
            shape=shape,
            verbose=False,
        )


def export_all(
    model: keras.Model,
    folder: Path,
    quantize: str,
    metadata: dict[str, Any],
    representative: Iterable[np.ndarray] | None = None,
    streaming: bool = False,
    chunk: int | None = None,
    fix: Callable[[keras.Model], Sequence[int] | None] = lambda model: None,
    fixed: Mapping[str, Any] | None = None,
) -> dict[str, Path]:
    """Writes saved_model/ and model.tflite into `folder`.

    Where one of them cannot be exported, neither is replaced.

    Args:
        fix: Fixes the model's lengths for model.tflite, where they are to be; returns
            the shape of its input, batch axis included. The SavedModel, made
            before, takes any.
        fixed: What the metadata of model.tflite has in place of the same in `metadata`.
    """
    files.make_folder(folder)
    path, saved_model = folder / "model.tflite", folder / "saved_model"
    with _explained():
        check_replaceable(saved_model)
    # It is made first, of free lengths, and put in its place last.
    with files.replacing(saved_model) as temporary:
        with _explained():
            seqcore.export_saved_model(model, temporary, metadata=metadata)
        shape = fix(model)
        metadata = metadata | dict(fixed or {})
        export_tflite(
            model, path, quantize, metadata, representative, streaming, chunk, shape
        )
    return {"tflite": path, "saved_model": saved_model}


def size_of(path: Path) -> int:
    """Bytes of a file, or of all the files below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
