"""Text files of one ink each: Omniglot's strokes and GW-online's words.

Omniglot (Lake et al., Science 2015): `START`, then `x,y,t` a line, t in
milliseconds, y upwards, `BREAK` behind each stroke. The path says the rest:
`.../Latin/character01/0683_07.txt` is drawer 07's first letter of Latin.

GW-online: the transcript on the first line, then `x y penstate`, penstate 1 at a
stroke's last point. y grows downwards, as the words show when they are drawn (its
Readme says upwards). Two of its files lack the transcript; it
is then taken from the name, `1426619859856_word.txt`.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from apps.handwriting.readers.record import (
    BadInk,
    BadRecord,
    Found,
    Record,
    check_count,
    decode,
    make_ink,
    number,
)

_OMNIGLOT = re.compile(r"([^/]+)/character(\d+)/[^/_]+_(\d+)\.txt$")
_GW = re.compile(r"^\d+_(.+)\.txt$")


def parse_omniglot(data: bytes, source: str) -> Found:
    try:
        strokes: list[list[list[float]]] = [[]]
        lines = decode(data).split()
        if not lines or lines[0] != "START":
            raise BadInk("expected START on the first line")
        check_count(len(lines) - len([line for line in lines if line == "BREAK"]) - 1)
        for place, line in enumerate(lines[1:], 2):
            if line == "BREAK":
                strokes.append([])
                continue
            fields = line.split(",")
            if len(fields) != 3:
                raise BadInk(f"line {place}: expected x,y,t, got {line[:40]!r}")
            x, y, t = (number(f, f"line {place}") for f in fields)
            strokes[-1].append([x, -y, t / 1000])
        if not strokes[-1]:
            strokes.pop()
        ink = make_ink(
            [[p[:2] for p in stroke] for stroke in strokes],
            [[p[2] for p in stroke] for stroke in strokes],
        )
    except BadInk as error:
        return BadRecord(source, str(error))
    text, writer = None, None
    if found := _OMNIGLOT.search(source):
        alphabet, character, drawer = found.groups()
        text, writer = symbol_name(alphabet, int(character)), drawer
    return Record(ink, text, source, writer)


def symbol_name(alphabet: str, character: int) -> str:
    """ "a" to "z" for Omniglot's Latin letters, else "Greek-03"."""
    if alphabet == "Latin" and 1 <= character <= 26:
        return chr(ord("a") + character - 1)
    return f"{alphabet}-{character:02d}"


def parse_gw(data: bytes, source: str) -> Found:
    try:
        lines = decode(data).splitlines()
        if not lines:
            raise BadInk("the file is empty")
        text: str | None = lines[0].strip()
        first = 1
        if _is_point(lines[0]):
            found = _GW.match(PurePosixPath(source.replace("\\", "/")).name)
            text, first = (found.group(1) if found else None), 0
        check_count(len(lines) - first)
        strokes: list[list[list[float]]] = [[]]
        for place, line in enumerate(lines[first:], first + 1):
            fields = line.split()
            if not fields:
                continue
            if len(fields) != 3 or fields[2] not in ("0", "1"):
                raise BadInk(f"line {place}: expected x y penstate, got {line[:40]!r}")
            x, y = (number(f, f"line {place}") for f in fields[:2])
            strokes[-1].append([x, y])
            if fields[2] == "1":
                strokes.append([])
        if not strokes[-1]:
            strokes.pop()
        page = PurePosixPath(source.replace("\\", "/")).parent.name or None
        return Record(make_ink(strokes), text or None, source, page)
    except BadInk as error:
        return BadRecord(source, str(error))


def _is_point(line: str) -> bool:
    fields = line.split()
    if len(fields) != 3 or fields[2] not in ("0", "1"):
        return False
    try:
        float(fields[0]), float(fields[1])
    except ValueError:
        return False
    return True
