"""Rows of labelled text, and how a file becomes them."""

import csv
import dataclasses
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from apps.core.errors import UserError
from apps.text.encodings import decode_lines

TEXT_COLUMNS = (
    "text",
    "sentence",
    "message",
    "utterance",
    "query",
    "question",
    "content",
)
LABEL_COLUMNS = ("label", "category", "class", "intent", "topic", "sentiment", "target")
LONGEST_TEXT = 1_000_000
"""Bytes of one text; a longer one is a mistake in the file, not a message."""

csv.field_size_limit(100_000_000)


@dataclasses.dataclass(frozen=True)
class Row:
    text: str
    label: str
    source: str
    """File and line."""


@dataclasses.dataclass(frozen=True)
class Format:
    """How the user says files are to be read."""

    encoding: str = "utf-8"
    text_column: str = ""
    """Name of the column, or its number from 0 where there is no header row."""
    label_column: str = ""
    skip_bad: bool = False
    """Count bad rows and go on, in place of stopping at the first."""


class BadRows:
    """Stops at a bad row, or counts it where the user asked for that."""

    def __init__(self, skip: bool):
        self.skip = skip
        self.count = 0
        self.first = ""

    def report(self, message: str) -> None:
        """Raises:
        UserError: `message`, unless bad rows are skipped.
        """
        if not self.skip:
            raise UserError(f"{message} (or leave such rows out: --skip-bad)")
        self.count += 1
        self.first = self.first or message


def read_file(path: Path, form: Format, bad: BadRows) -> list[Row]:
    """The rows of a .csv, .tsv, .jsonl or fastText file, checked.

    Raises:
        UserError: the file is missing, of another kind, in another encoding, or
            has a bad row and `bad` does not skip; the message names the line.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    readers: dict[str, Callable[..., Iterator[Row]]] = {
        ".csv": _delimited,
        ".tsv": _delimited,
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".txt": _fasttext,
        ".ft": _fasttext,
    }
    if path.suffix.lower() not in readers:
        raise UserError(
            f"{path}: expected a .csv, .tsv, .jsonl or fastText .txt file "
            "(lines of __label__NAME text)"
        )
    lines = decode_lines(data, path, form.encoding, bad.report)
    return [
        row
        for row in readers[path.suffix.lower()](path, lines, form, bad)
        if good(row, bad)
    ]


def good(row: Row, bad: BadRows) -> bool:
    """Whether a row has a text and a label of reasonable length."""
    if not row.text.strip():
        bad.report(f"{row.source}: the text is empty: give one or remove the row")
    elif not row.label.strip():
        bad.report(f"{row.source}: the label is empty: give one or remove the row")
    elif len(row.text.encode("utf-8", "replace")) > LONGEST_TEXT:
        bad.report(
            f"{row.source}: the text is {len(row.text):,} characters long: more than "
            f"{LONGEST_TEXT:,} bytes is no text to classify; split it"
        )
    else:
        return True
    return False


class _NoColumn(Exception):
    """No column has the texts, or none the labels."""


def _columns(names: Sequence[str], form: Format) -> tuple[int, int]:
    """Indices in `names` of the columns with the texts and the labels."""
    text = _column(names, "text", form.text_column, TEXT_COLUMNS)
    return text, _column(names, "label", form.label_column, LABEL_COLUMNS)


def _column(names: Sequence[str], kind: str, wanted: str, known: Sequence[str]) -> int:
    folded = [name.strip().casefold() for name in names]
    for name in [wanted] if wanted else known:
        if name.casefold() in folded:
            return folded.index(name.casefold())
    asked = f"no column {wanted!r}" if wanted else f"no {kind} column"
    raise _NoColumn(
        f"{asked} among {', '.join(map(repr, names)) or 'none'}: name it with "
        f"--{kind}-column NAME"
    )


def _delimited(
    path: Path, lines: list[str], form: Format, bad: BadRows
) -> Iterator[Row]:
    is_tsv = path.suffix.lower() == ".tsv"
    # Tab separated files do not quote: a quotation mark in one is text.
    reader = csv.reader(
        io.StringIO("".join(lines), newline=""),
        delimiter="\t" if is_tsv else ",",
        quoting=csv.QUOTE_NONE if is_tsv else csv.QUOTE_MINIMAL,
        strict=not is_tsv,
    )
    columns: tuple[int, int] | None = None
    width = 0
    if form.text_column.isdecimal() and form.label_column.isdecimal():
        columns = int(form.text_column), int(form.label_column)
    line = 1
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"{path} line {line}: a quotation mark is not closed or not "
                f"doubled: {error}"
            ) from error
        where, line = f"{path} line {line}", reader.line_num + 1
        if not fields or fields == [""]:
            continue
        if columns is None:
            width = len(fields)
            try:
                columns = _columns(fields, form)
            except _NoColumn as error:
                raise UserError(
                    f"{path}: {error}, or by number from 0 where there is no header row"
                ) from error
            continue
        width = width or len(fields)
        if len(fields) != width or max(columns) >= width:
            expected = max(width, max(columns) + 1)
            bad.report(
                f"{where}: has {len(fields)} fields where {expected} are expected: "
                "put texts with commas in quotation marks"
            )
            continue
        yield Row(fields[columns[0]].strip(), fields[columns[1]].strip(), where)


def _json_lines(
    path: Path, lines: list[str], form: Format, bad: BadRows
) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path} line {number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            bad.report(f"{where}: is not JSON: {error}")
            continue
        if not isinstance(value, dict):
            bad.report(f"{where}: is not a JSON object with a text and a label")
            continue
        names = list(value)
        try:
            text, label = (value[names[column]] for column in _columns(names, form))
        except _NoColumn as error:
            bad.report(f"{where}: {error}")
            continue
        if not isinstance(text, str) or not isinstance(label, str | int):
            bad.report(f"{where}: the text must be a string, the label a string too")
            continue
        yield Row(text.strip(), str(label).strip(), where)


def _fasttext(
    path: Path, lines: list[str], form: Format, bad: BadRows
) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path} line {number}"
        # White space as fastText has it: a no-break space is part of a name.
        label, *rest = re.split(r"\s+", line.strip(), maxsplit=1, flags=re.ASCII)
        text = rest[0] if rest else ""
        if not label.startswith("__label__"):
            bad.report(f"{where}: does not begin with __label__NAME")
        elif text.startswith("__label__"):
            bad.report(f"{where}: has several labels: a text belongs to one class here")
        else:
            yield Row(text.strip(), label.removeprefix("__label__"), where)
