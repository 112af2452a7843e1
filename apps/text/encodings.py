"""Bytes of a file to text, in the encoding that the user names."""

import codecs
import io
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from apps.core.errors import UserError

Report = Callable[[str], None]
"""Takes the message about a line that does not decode; may raise it."""


def refuse(message: str) -> NoReturn:
    """A `Report` that stops at the first bad line."""
    raise UserError(message)


def find_codec(encoding: str) -> codecs.CodecInfo:
    """Raises:
    UserError: no encoding of texts has this name; "hex" is one of bytes.
    """
    try:
        " ".encode(encoding)
        return codecs.lookup(encoding)
    except (LookupError, UnicodeError):
        raise UserError(
            f"encoding {encoding}: there is no such encoding of texts (utf-8, latin-1, "
            "cp1252, utf-16 and so on)"
        ) from None


def decode(data: bytes, where: str, encoding: str, report: Report) -> str | None:
    """The text, without a byte order mark; None if it does not decode."""
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeError as error:
        what = "it"  # Few codecs do not say which byte.
        if isinstance(error, UnicodeDecodeError):
            what = f"byte 0x{error.object[error.start]:02x}"
        report(
            f"{where}: {what} is not {encoding}: if the file is in another encoding, "
            "name it with --encoding NAME (latin-1, cp1252)"
        )
        return None


def decode_lines(
    data: bytes, path: str | Path, encoding: str, report: Report
) -> list[str]:
    """The lines of a file, ends kept; those that do not decode are reported.

    Such a line leaves an empty one in its place, so that line numbers stay those
    of the file.

    Raises:
        UserError: there is no such encoding, or the whole file is in another.
    """
    codec = find_codec(encoding)
    if codec.name.startswith(("utf-16", "utf-32")):
        # Bytes that end a line may be half of a character here.
        text = decode(data, str(path), encoding, refuse) or ""
        return list(io.StringIO(text, newline=""))
    if codec.name == "utf-8":
        for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            if data.startswith(mark):
                raise UserError(f"{path}: is in UTF-16: add --encoding utf-16")
    lines = []
    for number, raw in enumerate(data.splitlines(keepends=True), 1):
        line = decode(raw, f"{path} line {number}", encoding, report)
        lines.append("\n" if line is None else line)
    return lines
