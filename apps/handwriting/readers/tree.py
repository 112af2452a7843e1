"""Files below a folder or inside a .zip archive, read one at a time and bounded."""

from __future__ import annotations

import lzma
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from apps.core.errors import UserError
from apps.handwriting.readers.record import MAX_BYTES, BadRecord

MAX_FILES = 500_000
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(EOFError, OSError, RuntimeError, ValueError),
)
"""What `zipfile` raises at archives that are cut short, altered or encrypted."""


def read_bytes(path: str | os.PathLike, limit: int = MAX_BYTES) -> bytes:
    """The whole file.

    Raises:
        UserError: missing, unreadable, or larger than `limit` bytes.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise UserError(f"{path}: is larger than {limit} bytes, the most that is read")
    return data


def members(path: str | os.PathLike) -> Iterator[tuple[str, bytes | BadRecord]]:
    """(path, content) of every file below `path`, in the order of their names.

    A member of an archive is named "archive.zip/inner/name". Archives in a folder
    are read too. Hidden files and the resource forks that macOS adds to archives
    are left out. A file that is too large is yielded as a `BadRecord`.

    Raises:
        UserError: not a readable folder or archive, or too many files.
    """
    path = Path(path)
    if path.is_dir():
        names = sorted(
            f for f in path.rglob("*") if f.is_file() and _wanted(f.relative_to(path))
        )
        _check_count(path, len(names))
        for file in names:
            if file.suffix.lower() == ".zip":
                yield from members(file)
                continue
            try:
                yield str(file), read_bytes(file)
            except UserError as error:
                yield str(file), BadRecord(str(file), str(error))
        return
    try:
        with zipfile.ZipFile(path) as archive:
            infos = sorted(
                (i for i in archive.infolist() if not i.is_dir()),
                key=lambda i: i.filename,
            )
            infos = [i for i in infos if _wanted(Path(i.filename))]
            _check_count(path, len(infos))
            for info in infos:
                name = f"{path}/{info.filename}"
                # Read with a limit: the size in the header may lie.
                try:
                    with archive.open(info) as member:
                        data = member.read(MAX_BYTES + 1)
                except _DAMAGED as error:
                    problem = str(error) or "it ends early"
                    yield name, BadRecord(name, f"damaged archive member: {problem}")
                    continue
                if len(data) > MAX_BYTES:
                    yield name, BadRecord(name, f"is larger than {MAX_BYTES} bytes")
                    continue
                yield name, data
    except _DAMAGED as error:
        raise UserError(f"{path}: is not a readable .zip archive: {error}") from error


def _wanted(path: Path) -> bool:
    return not any(p.startswith(".") or p == "__MACOSX" for p in path.parts)


def _check_count(path: Path, count: int) -> None:
    if count > MAX_FILES:
        raise UserError(f"{path}: holds {count} files: at most {MAX_FILES} are read")
