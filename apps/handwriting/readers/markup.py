"""Ink as XML: InkML (W3C 2011) and IAM-OnDB (Liwicki and Bunke 2005).

Parsed with defusedxml: entity definitions, external entities and document type
bombs are refused before anything is expanded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
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
_ID = "{http://www.w3.org/XML/1998/namespace}id"
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
    """One record; or one a top-level `traceGroup`, and one of the traces outside,
    where a truth stands in groups only. What has none there has no text."""
    try:
        root = parse(data)
        if root.tag != "ink":
            raise BadInk(f"expected the root element <ink>, got <{root.tag[:40]}>")
        channels = _channels(root)
    except BadInk as error:
        yield BadRecord(source, str(error))
        return
    truth, writer = _annotation(root, _TRUTH), _annotation(root, ("writer",))
    groups = root.findall("traceGroup")
    truths = [_annotation(group, _TRUTH) for group in groups]
    if truth is not None or not any(truths):
        yield _record(root.iter("trace"), channels, source, truth, writer)
        return
    for count, (group, text) in enumerate(zip(groups, truths, strict=True), 1):
        if text or _is_drawn(group.iter("trace")):
            place = f"{source}, group {count}"
            yield _record(group.iter("trace"), channels, place, text, writer)
    loose = root.findall("trace")
    if _is_drawn(loose):
        yield _record(loose, channels, f"{source}, outside groups", None, writer)


def _is_drawn(traces: Iterable[Element]) -> bool:
    return any(trace.get("type") != "penUp" for trace in traces)


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
        sign = -1.0 if channel.get("orientation") == "-ve" else 1.0
        factor = _SECONDS.get(unit, 1e-3) if name == "T" else 1.0
        found.append((name, sign * factor))
    names = [name for name, _ in found]
    if not found:
        return [("X", 1.0), ("Y", 1.0)]
    if names.count("X") != 1 or names.count("Y") != 1:
        raise BadInk(f"traceFormat must have one X and one Y, got {names[:10]}")
    return found


def _record(
    traces: Iterable[Element],
    channels: list[tuple[str, float]],
    source: str,
    text: str | None,
    writer: str | None,
) -> Found:
    try:
        strokes: list[list[list[float]]] = []  # rows of all channels
        begun: dict[str, list[list[float]]] = {}  # by the names of traces
        count = 0
        for place, trace in enumerate(traces, 1):
            rows = _rows(trace.text or "", channels, f"trace {place}", count)
            count += len(rows)
            if trace.get("type") == "penUp":
                continue
            if trace.get("continuation") in ("middle", "end"):
                prior = (trace.get("priorRef") or "").rpartition("#")[2]
                if prior not in begun:
                    raise BadInk(
                        f"trace {place}: goes on with the trace {prior[:40]!r} "
                        "(priorRef), which is not before it"
                    )
                stroke = begun[prior]
                stroke += rows
            else:
                stroke = rows
                strokes.append(stroke)
            if name := trace.get(_ID) or trace.get("id"):
                begun[name] = stroke
        names = [name for name, _ in channels]
        x, y = names.index("X"), names.index("Y")
        ink = make_ink(
            [[[row[x], row[y]] for row in rows] for rows in strokes],
            _column(strokes, names, "T"),
            _column(strokes, names, "F"),
        )
        return Record(ink, text, source, writer)
    except BadInk as error:
        return BadRecord(source, str(error))


def _column(
    strokes: list[list[list[float]]], names: list[str], name: str
) -> list[list[float]] | None:
    if name not in names:
        return None
    place = names.index(name)
    return [[row[place] for row in rows] for rows in strokes]


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
