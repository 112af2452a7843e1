"""Ink as JSON: our own interchange form, and QuickDraw's.

Ours, one object a line (a file of one object over many lines is read too)::

    {"strokes": [[[x, y], [x, y, t], ...], ...], "text": "...", "writer": "..."}

y grows downwards, t is in seconds, a fourth number is pressure; "text" and
"writer" may be missing.

QuickDraw (Ha and Eck, arXiv:1704.03477), one object a line::

    {"word": "cat", "drawing": [[[x, ...], [y, ...], [t, ...]], ...]}

t in milliseconds, missing in the simplified files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from apps.handwriting.ink import Ink
from apps.handwriting.readers.record import (
    MAX_BYTES,
    BadInk,
    BadRecord,
    Found,
    Record,
    check_count,
    decode,
    lines_of,
    make_ink,
    number,
)


def read(path: str | os.PathLike) -> Iterator[Found]:
    """Reads JSON Lines of either form, or a single JSON object.

    Raises:
        UserError: the file cannot be read.
    """
    yield from read_lines(lines_of(path), str(path))


def read_lines(lines: Iterable[tuple[int, bytes]], source: str) -> Iterator[Found]:
    """The same from numbered lines."""
    numbered = iter(lines)
    empty = True
    try:
        for count, line in numbered:
            if not line.strip():
                continue
            if empty and not _is_complete(line):
                yield from _pretty_printed([(count, line), *_bounded(numbered)], source)
                return
            empty = False
            yield parse(line, f"{source}, line {count}")
    except BadInk as error:
        yield BadRecord(source, str(error))
        return
    if empty:
        yield BadRecord(source, "the file is empty")


def _bounded(numbered: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    size = 0
    for count, line in numbered:
        size += len(line)
        if size > MAX_BYTES:
            raise BadInk(f"larger than {MAX_BYTES} bytes without a complete record")
        yield count, line


def _pretty_printed(lines: list[tuple[int, bytes]], source: str) -> Iterator[Found]:
    """One object over several lines; or else lines of which the first is cut off."""
    whole = parse(b"".join(line for _, line in lines), source)
    filled = [(count, line) for count, line in lines if line.strip()]
    if isinstance(whole, Record) or not any(_is_complete(x) for _, x in filled[:-1]):
        yield whole
        return
    for count, line in filled:
        yield parse(line, f"{source}, line {count}")


def _is_complete(line: bytes) -> bool:
    """Whether the first line is meant as a record of its own."""
    return line.rstrip().endswith(b"}")


def parse(data: bytes, source: str) -> Found:
    try:
        try:
            value = json.loads(decode(data))
        except (ValueError, RecursionError) as error:
            raise BadInk(f"not valid JSON: {error}") from None
        if not isinstance(value, dict):
            raise BadInk("expected a JSON object with strokes")
        if "drawing" in value:
            return _quickdraw(value, source)
        if "strokes" not in value:
            raise BadInk('the object has no "strokes"')
        ink = _strokes(value["strokes"])
        return Record(ink, _text(value, "text"), source, _text(value, "writer"))
    except BadInk as error:
        return BadRecord(source, str(error))


def _text(value: dict[str, Any], key: str) -> str | None:
    text = value.get(key)
    if text is not None and not isinstance(text, str):
        raise BadInk(f'"{key}" must be a string, got {str(text)[:40]}')
    return text


def _strokes(strokes: Any) -> Ink:
    if not isinstance(strokes, list):
        raise BadInk('"strokes" must be a list of strokes')
    columns = 4
    points: list[list[list[float]]] = []
    count = 0
    for s, stroke in enumerate(strokes, 1):
        if not isinstance(stroke, list):
            raise BadInk(f"stroke {s} must be a list of points")
        count += len(stroke)
        check_count(count)
        points.append([])
        for p, point in enumerate(stroke, 1):
            if not isinstance(point, list) or not 2 <= len(point) <= 4:
                raise BadInk(
                    f"stroke {s}, point {p}: expected [x, y], [x, y, t] or "
                    f"[x, y, t, pressure], got {str(point)[:40]}"
                )
            columns = min(columns, len(point))
            points[-1].append([number(v, f"stroke {s}, point {p}") for v in point])
    return make_ink(
        [[p[:2] for p in stroke] for stroke in points],
        [[p[2] for p in stroke] for stroke in points] if columns > 2 else None,
        [[p[3] for p in stroke] for stroke in points] if columns > 3 else None,
    )


def _quickdraw(value: dict[str, Any], source: str) -> Record:
    drawing = value["drawing"]
    if not isinstance(drawing, list):
        raise BadInk('"drawing" must be a list of strokes')
    strokes, times = [], []
    count = 0
    for s, stroke in enumerate(drawing, 1):
        if not isinstance(stroke, list) or not 2 <= len(stroke) <= 3:
            raise BadInk(f"stroke {s}: expected [[x, ...], [y, ...]] and times")
        if not all(isinstance(column, list) for column in stroke):
            raise BadInk(f"stroke {s}: x, y and times must be lists")
        if len({len(column) for column in stroke}) > 1:
            raise BadInk(f"stroke {s}: x, y and times differ in length")
        count += len(stroke[0])
        check_count(count)
        columns = [[number(v, f"stroke {s}") for v in column] for column in stroke]
        strokes.append([[x, y] for x, y in zip(*columns[:2], strict=True)])
        if len(columns) == 3:
            times.append([t / 1000 for t in columns[2]])
    whole = len(times) == len(strokes)
    ink = make_ink(strokes, times if whole else None)
    writer = value.get("countrycode")
    return Record(ink, _text(value, "word"), source, writer and str(writer))


def to_json(record: Record) -> str:
    """One line of our own form, without the line end."""
    ink = record.ink
    strokes = []
    for s, stroke in enumerate(ink.strokes):
        rows = [stroke]
        if ink.times is not None:
            rows.append(ink.times[s][:, None])
            if ink.pressures is not None:
                rows.append(ink.pressures[s][:, None])
        strokes.append(np.concatenate(rows, axis=1).tolist())
    value: dict[str, Any] = {"strokes": strokes}
    if record.text is not None:
        value["text"] = record.text
    if record.writer is not None:
        value["writer"] = record.writer
    return json.dumps(value, ensure_ascii=False)
