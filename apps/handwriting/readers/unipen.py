"""UNIPEN text (Guyon et al. 1994), in the use that pendigits makes of it.

A record begins at `.SEGMENT ... "label"`; its strokes are the points between
`.PEN_DOWN` and `.PEN_UP`. `.COMMENT label writer index` behind it names the
writer, as the digits of Alpaydin and Alimoglu (UCI, 1998) have it. Columns are
those of `.COORD` (X and Y without it), y growing upwards.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from apps.handwriting.readers.record import (
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

_LABEL = re.compile(r'"([^"]*)"\s*$')


class _Segment:
    """A record while it is being read."""

    def __init__(self, source: str, line: str, columns: list[str]):
        self.source = source
        found = _LABEL.search(line)
        self.text = found.group(1) if found else None
        self.writer: str | None = None
        self.columns = columns
        self.strokes: list[list[list[float]]] = []
        self.count = 0
        self.problem: str | None = None
        self.down = False

    def point(self, line: str, place: int) -> None:
        if not self.down or self.problem:
            return
        fields = line.split()
        try:
            if len(fields) != len(self.columns):
                raise BadInk(f"expected {len(self.columns)} numbers, got {line[:40]!r}")
            values = dict(
                zip(self.columns, (number(f, "point") for f in fields), strict=True)
            )
            self.count += 1
            check_count(self.count)
            self.strokes[-1].append([values["X"], -values["Y"], values.get("T", 0.0)])
        except BadInk as error:
            self.problem = f"line {place}: {error}"

    def record(self) -> Found:
        if self.problem:
            return BadRecord(self.source, self.problem)
        try:
            times = [[p[2] / 1000 for p in stroke] for stroke in self.strokes]
            ink = make_ink(
                [[p[:2] for p in stroke] for stroke in self.strokes],
                times if "T" in self.columns else None,
            )
        except BadInk as error:
            return BadRecord(self.source, str(error))
        return Record(ink, self.text, self.source, self.writer)


def read(path: str | os.PathLike) -> Iterator[Found]:
    """Reads every segment of a file.

    Raises:
        UserError: the file cannot be read.
    """
    yield from read_lines(lines_of(path), str(path))


def read_lines(lines: Iterable[tuple[int, bytes]], path: str) -> Iterator[Found]:
    """The same from numbered lines."""
    segment: _Segment | None = None
    columns = ["X", "Y"]
    any_segment = False
    try:
        for place, data in lines:
            line = decode(data).strip()
            if not line.startswith("."):
                if segment and line:
                    segment.point(line, place)
                continue
            keyword, _, rest = line.partition(" ")
            if keyword == ".COORD":
                columns = rest.split()
                if not {"X", "Y"} <= set(columns) or len(set(columns)) < len(columns):
                    yield BadRecord(f"{path}, line {place}", f"columns {rest[:40]!r}")
                    return
            elif keyword == ".SEGMENT":
                if segment:
                    yield segment.record()
                any_segment = True
                segment = _Segment(f"{path}, line {place}", line, columns)
            elif segment and keyword == ".COMMENT":
                fields = rest.split()
                if len(fields) == 3:
                    segment.writer = fields[1]
            elif segment and keyword == ".PEN_DOWN":
                segment.down = True
                segment.strokes.append([])
            elif segment and keyword == ".PEN_UP":
                segment.down = False
    except BadInk as error:
        yield BadRecord(path, str(error))
        return
    if segment:
        yield segment.record()
    if not any_segment:
        yield BadRecord(path, "UNIPEN text without a .SEGMENT")
