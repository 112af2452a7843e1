"""``export_saved_model``: a folder that plain TensorFlow loads."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqcore.export.errors import ExportError
from seqcore.export.lowerings.scan import scan
from seqcore.export.metadata import encode, write_saved_model_metadata
from seqcore.export.program import Program, check_model, model_io, serving
from seqcore.export.signatures import SERVING
from seqcore.export.tflite import provenance


def export_saved_model(
    model: Any,
    path: str | os.PathLike,
    *,
    metadata: Mapping[str, Any] | None = None,
    shape: Any = None,
) -> Path:
    """Write ``model`` as a SavedModel that loads without seqcore and Keras.

    Args:
        model: A built Keras model whose recurrent layers are seqcore's.
        path: The folder to write. An earlier SavedModel there is replaced.
        metadata: JSON values to carry as ``assets.extra/metadata.json``.
        shape: Fixes free lengths, as in :func:`export_tflite`; the batch stays free.

    Returns:
        The folder. Its signature is ``serving_default``, with the model's input
        and output names.

    Raises:
        ExportError: (a ValueError) The model cannot be exported.
        TypeError: ``model`` is not a Keras model.
    """
    check_model(model)
    path = Path(path)
    check_replaceable(path)
    full = {**(metadata or {}), "seqcore": provenance(model)}
    encode(full)
    io = model_io(model, shape)
    program = Program(model)
    program.add(SERVING, io.specs, serving(model, io, scan))
    parent = path.resolve().parent
    if not parent.is_dir():
        raise ExportError(f"{parent}: no such folder")
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=parent))
    try:
        program.save(str(temporary))
        write_saved_model_metadata(temporary, full)
        os.chmod(temporary, 0o755)
        _move(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return path


def check_replaceable(path: Path) -> None:
    """Raises:
    ExportError: ``path`` is there, and no SavedModel.
    """
    if path.exists() and not (path / "saved_model.pb").is_file():
        raise ExportError(f"{path} exists and is no SavedModel; give another folder")


def _move(new: Path, path: Path) -> None:
    """Put the folder ``new`` at ``path``; one that is there stays if that fails.

    (Ended between the two renames, it is beside ``path``, its name with ``.old``.)
    """
    if not path.exists():
        os.replace(new, path)
        return
    old = new.with_name(f"{new.name}.old")
    os.replace(path, old)
    try:
        os.replace(new, path)
    except OSError:
        os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)
