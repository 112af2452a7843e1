"""What a file says about itself: ``metadata.json`` inside the file.

A ``.tflite`` carries it as a zip archive appended to the flatbuffer (interpreters
read the flatbuffer from the front and never see it; any zip tool reads from the
back), a SavedModel as ``assets.extra/metadata.json``, a ``.keras`` file as one
more entry of its zip archive.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

METADATA_NAME = "metadata.json"
_SAVED_MODEL_FOLDER = "assets.extra"


def encode(metadata: Mapping[str, Any]) -> bytes:
    """The JSON text of ``metadata``; ValueError names what JSON cannot hold."""
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must be a dict, got {metadata!r}")
    try:
        text = json.dumps(dict(metadata), indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"metadata must be plain JSON values: {error}") from None
    return (text + "\n").encode("utf-8")


def append_to_tflite(
    model: bytes,
    metadata: Mapping[str, Any],
    others: Iterable[tuple[zipfile.ZipInfo, bytes]] = (),
) -> bytes:
    """``model`` with ``metadata.json``, and other files, in a zip archive behind it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as z:
        for other, content in others:
            z.writestr(other, content)
        # A fixed date keeps the file a function of the model and its metadata.
        entry = zipfile.ZipInfo(METADATA_NAME, date_time=(1980, 1, 1, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_DEFLATED
        z.writestr(entry, encode(metadata))
    return model + archive.getvalue()


def read_metadata(path: str | os.PathLike) -> dict[str, Any]:
    """The metadata carried by an exported file.

    Args:
        path: A ``.tflite`` file, a SavedModel folder or a ``.keras`` file.

    Returns:
        The metadata, or an empty dict where the file carries none.

    Raises:
        ValueError: The path does not exist, or its metadata cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise ValueError(f"{path}: this folder is not a SavedModel")
        extra = path / _SAVED_MODEL_FOLDER / METADATA_NAME
        text = extra.read_bytes() if extra.is_file() else None
    elif path.is_file():
        text = _read_zip_entry(path)
    else:
        raise ValueError(f"{path}: no such file")
    if text is None:
        return {}
    try:
        metadata = json.loads(text.decode("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: its {METADATA_NAME} is damaged ({error})") from None
    if not isinstance(metadata, dict):
        raise ValueError(f"{path}: its {METADATA_NAME} does not hold an object")
    return metadata


def _read_zip_entry(path: Path) -> bytes | None:
    # Keras's own archive has a metadata.json too; ours must not collide with it.
    name = _KERAS_ENTRY if path.suffix == ".keras" else METADATA_NAME
    try:
        archive = zipfile.ZipFile(path)
    except _NO_ARCHIVE:
        if path.suffix == ".keras":
            raise ValueError(f"{path}: not a .keras file, or cut short") from None
        if _ARCHIVE_BEGINS.search(path.read_bytes()):
            raise ValueError(
                f"{path}: is cut short or damaged, within its {name}"
            ) from None
        return None
    with archive:
        if name not in archive.namelist():
            return None
        try:
            return archive.read(name)
        except (*_NO_ARCHIVE, zlib.error, EOFError) as error:
            raise ValueError(f"{path}: its {name} is damaged ({error})") from None


_KERAS_ENTRY = "seqcore.json"
# A version or a compression that it does not know is a RuntimeError of zipfile's.
_NO_ARCHIVE = (zipfile.BadZipFile, RuntimeError)
_ARCHIVE_BEGINS = re.compile(
    rb"PK\x03\x04.{26}" + re.escape(METADATA_NAME.encode()), re.DOTALL
)


def write_metadata(path: str | os.PathLike, metadata: Mapping[str, Any]) -> None:
    """Put ``metadata`` into a ``.keras`` or ``.tflite`` file, in place of any it has.

    Keras ignores the entry (``seqcore.json``) when it loads the model. The file is
    replaced in one step, so that a reader never sees it half written.

    Raises:
        ValueError: ``path`` is no such file, or the metadata is not plain JSON.
        OSError: The file cannot be written.
    """
    path = Path(path)
    text = encode(metadata)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.suffix == ".tflite":
            content, others = _taken_apart(path.read_bytes())
            temporary.write_bytes(append_to_tflite(content, metadata, others))
        else:
            with zipfile.ZipFile(path) as old, zipfile.ZipFile(temporary, "w") as new:
                for entry in old.infolist():
                    if entry.filename != _KERAS_ENTRY:
                        new.writestr(entry, old.read(entry))
                new.writestr(_KERAS_ENTRY, text)
        os.replace(temporary, path)
    except (*_NO_ARCHIVE, zlib.error, EOFError) as error:
        raise ValueError(
            f"{path}: not a {path.suffix or 'model'} file that opens ({error})"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def _taken_apart(content: bytes) -> tuple[bytes, list[tuple[zipfile.ZipInfo, bytes]]]:
    """The flatbuffer of a .tflite file, and what is behind it but for the metadata."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except zipfile.BadZipFile:
        return content, []
    with archive:
        entries = archive.infolist()
        begin = min((e.header_offset for e in entries), default=archive.start_dir)
        others = [(e, archive.read(e)) for e in entries if e.filename != METADATA_NAME]
        return content[:begin], others


def write_saved_model_metadata(folder: Path, metadata: Mapping[str, Any]) -> None:
    """Put ``metadata.json`` beside a SavedModel's assets."""
    extra = folder / _SAVED_MODEL_FOLDER
    extra.mkdir(exist_ok=True)
    (extra / METADATA_NAME).write_bytes(encode(metadata))


def weights_hash(model: Any) -> str:
    """SHA-256 over names, shapes, types and values of the model's weights."""
    digest = hashlib.sha256()
    for weight in model.weights:
        value = np.ascontiguousarray(keras_to_numpy(weight))
        digest.update(f"{weight.path}|{value.shape}|{value.dtype}|".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def keras_to_numpy(weight: Any) -> np.ndarray:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(weight))
