"""Ink as XML: InkML (W3C 2011) and IAM-OnDB (Liwicki and Bunke 2005).

Parsed with defusedxml: entity definitions, external entities and document type
bombs are refused before anything is expanded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from apps.handwriting.readers.record import (
    BadInk,
    BadRecord,
    Found,
    Record,
    check_count,
    make_ink,
    number,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_TRUTH = ("truth", "label", "transcription")
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
# A prefix, then a number (a sign may be all that separates it from the last one)
# or a word, which is refused where a number is wanted.
_VALUE = re.compile(
    r"\s*([!'\"]?)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[^\s\d!'\"+-][^\s!'\"]*)"
)


def parse(data: bytes) -> Element:
    """The root element, every tag without its namespace.

    Raises:
        BadInk: not XML, or XML that defines entities.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException, ElementTree

    try:
        root = ElementTree.fromstring(data, forbid_dtd=False)
    except ParseError as error:
        raise BadInk(f"not well-formed XML: {error}") from None
    except DefusedXmlException as error:
        raise BadInk(
            f"refused XML with entities ({type(error).__name__}): "
            "ink needs none, and they are how an XML bomb is built"
        ) from None
    except (ValueError, LookupError, RecursionError) as error:
        raise BadInk(f"not readable as XML: {error}") from None
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]
    return root


def parse_iam(data: bytes, source: str, text: str | None, writer: str | None) -> Found:
    """One line of IAM-OnDB: `WhiteboardCaptureSession/StrokeSet/Stroke/Point`."""
    try:
        root = parse(data)
        strokes, times = [], []
        count = 0
        for s, stroke in enumerate(root.iter("Stroke"), 1):
            points = stroke.findall("Point")
            count += len(points)
            check_count(count)
            place = f"stroke {s}"
            strokes.append(
                [[number(p.get(c), f"{place}, {c}") for c in "xy"] for p in points]
            )
            times.append([number(p.get("time"), f"{place}, time") for p in points])
        return Record(make_ink(strokes, times), text, source, writer)
    except BadInk as error:
        return BadRecord(source, str(error))


def read_inkml(data: bytes, source: str) -> Iterator[Found]:
    """One record, or one a top-level `traceGroup` where only these have a truth."""
    try:
        root = parse(data)
        if root.tag != "ink":
            raise BadInk(f"expected the root element <ink>, got <{root.tag[:40]}>")
        channels = _channels(root)
    except BadInk as error:
        yield BadRecord(source, str(error))
        return
    truth, writer = _annotation(root, _TRUTH), _annotation(root, ("writer",))
    groups = [g for g in root.findall("traceGroup") if _annotation(g, _TRUTH)]
    if truth is None and groups:
        for count, group in enumerate(groups, 1):
            place = f"{source}, group {count}"
            yield _traces(group, channels, place, _annotation(group, _TRUTH), writer)
    else:
        yield _traces(root, channels, source, truth, writer)


def _annotation(element: Element, kinds: tuple[str, ...]) -> str | None:
    for kind in kinds:
        for annotation in element.findall("annotation"):
            if annotation.get("type") == kind and annotation.text:
                return annotation.text.strip()
    return None


def _channels(root: Element) -> list[tuple[str, float]]:
    """(name, factor to our unit) of each channel; X and Y without a traceFormat."""
    found = []
    for channel in root.findall(".//traceFormat//channel"):
        name, unit = channel.get("name", ""), channel.get("units", "ms")
        found.append((name, _SECONDS.get(unit, 1e-3) if name == "T" else 1.0))
    names = [name for name, _ in found]
    if not found:
        return [("X", 1.0), ("Y", 1.0)]
    if names.count("X") != 1 or names.count("Y") != 1:
        raise BadInk(f"traceFormat must have one X and one Y, got {names[:10]}")
    return found


def _traces(
    element: Element,
    channels: list[tuple[str, float]],
    source: str,
    text: str | None,
    writer: str | None,
) -> Found:
    try:
        names = [name for name, _ in channels]
        strokes, times, pressures = [], [], []
        count = 0
        for place, trace in enumerate(element.iter("trace"), 1):
            rows = _rows(trace.text or "", channels, f"trace {place}", count)
            count += len(rows)
            if trace.get("type") == "penUp":
                continue
            strokes.append(
                [[row[names.index("X")], row[names.index("Y")]] for row in rows]
            )
            times.append(
                [row[names.index("T")] if "T" in names else 0.0 for row in rows]
            )
            pressures.append(
                [row[names.index("F")] if "F" in names else 0.0 for row in rows]
            )
        ink = make_ink(
            strokes,
            times if "T" in names else None,
            pressures if "F" in names else None,
        )
        return Record(ink, text, source, writer)
    except BadInk as error:
        return BadRecord(source, str(error))


def _rows(
    text: str, channels: list[tuple[str, float]], what: str, before: int
) -> list[list[float]]:
    """Points of a trace, differences resolved (InkML section 3.2.1).

    A value after `'` is the difference to the last point's value, after `"` the
    difference of that difference, after `!` explicit again; each stays in
    force until the next prefix.
    """
    rows: list[list[float]] = []
    modes = ["!"] * len(channels)
    values = [0.0] * len(channels)
    slopes = [0.0] * len(channels)
    for point in text.split(","):
        found = _VALUE.findall(point)
        if not found and not point.strip():
            continue
        if len(found) != len(channels) or _VALUE.sub("", point).strip():
            raise BadInk(
                f"{what}: expected {len(channels)} values a point, "
                f"got {point.strip()[:40]!r}"
            )
        check_count(before + len(rows) + 1)
        for i, (prefix, text_value) in enumerate(found):
            modes[i] = prefix or modes[i]
            value = number(text_value, what)
            if modes[i] == "'":
                slopes[i] = value
                values[i] += value
            elif modes[i] == '"':
                slopes[i] += value
                values[i] += slopes[i]
            else:
                slopes[i] = value - values[i]
                values[i] = value
        rows.append(
            [v * factor for v, (_, factor) in zip(values, channels, strict=True)]
        )
    return rows
