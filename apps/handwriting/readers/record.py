"""What every reader yields, and the limits all of them keep."""

from __future__ import annotations

import codecs
import dataclasses
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

from apps.core.errors import UserError
from apps.handwriting.ink import MAX_COORDINATE, MAX_POINTS, Ink

MAX_BYTES = 64 * 2**20
"""Largest file, and largest member of an archive, that is read whole."""
MAX_LINE_BYTES = 4 * 2**20
"""Longest line of a file that is read line by line: one ink."""


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
    """One ink with what its file says about it."""

    ink: Ink
    text: str | None
    """Transcript, or the name of a symbol; None where the file has none."""
    source: str
    """File and place, for messages and reports."""
    writer: str | None = None


@dataclasses.dataclass(frozen=True)
class BadRecord:
    """A record that could not be read; reading goes on behind it."""

    source: str
    problem: str


Found = Record | BadRecord


class BadInk(ValueError):
    """Raised while one record is parsed; becomes a `BadRecord`."""


def number(text: Any, what: str) -> float:
    """`text` as a finite float.

    Raises:
        BadInk: it is none; the message quotes it.
    """
    if isinstance(text, bool):
        raise BadInk(f"{what}: expected a number, got {text}")
    try:
        value = float(text)
    except (TypeError, ValueError, OverflowError):
        raise BadInk(f"{what}: expected a number, got {str(text)[:40]!r}") from None
    if not math.isfinite(value):
        raise BadInk(f"{what}: expected a finite number, got {str(text)[:40]}")
    if abs(value) > MAX_COORDINATE * 1e6:
        raise BadInk(f"{what}: {value:g} is no pen's position or time")
    return value


def make_ink(
    strokes: Sequence[Sequence[Sequence[float]]],
    times: Sequence[Sequence[float]] | None = None,
    pressures: Sequence[Sequence[float]] | None = None,
) -> Ink:
    """An `Ink` from plain lists.

    Raises:
        BadInk: what `Ink` refuses.
    """
    try:
        return Ink(
            tuple(strokes),  # type: ignore[arg-type]
            tuple(times) if times is not None else None,  # type: ignore[arg-type]
            tuple(pressures) if pressures is not None else None,  # type: ignore[arg-type]
        )
    except ValueError as error:
        raise BadInk(str(error)) from None


def check_count(count: int) -> None:
    """Stops parsing an endless ink before it fills the memory."""
    if count > MAX_POINTS:
        raise BadInk(f"more than {MAX_POINTS} points in one ink")


def lines_of(path: str | os.PathLike) -> Iterator[tuple[int, bytes]]:
    """(line number, line) of a file that may be large, none longer than the limit.

    Raises:
        UserError: the file cannot be read.
        BadInk: a line is longer than `MAX_LINE_BYTES`.
    """
    try:
        with open(path, "rb") as file:
            count = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                count += 1
                if len(line) > MAX_LINE_BYTES:
                    raise BadInk(f"line {count} is longer than {MAX_LINE_BYTES} bytes")
                yield count, line
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def is_utf16(data: bytes) -> bool:
    """Whether text begins with the byte order mark of UTF-16."""
    return data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def decode(data: bytes) -> str:
    """Text in UTF-8 (with or without a byte order mark), in UTF-16 with one or,
    failing that, in Latin-1."""
    if is_utf16(data):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
