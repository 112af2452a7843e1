"""A folder of IAM-OnDB: line strokes as XML, transcripts beside them.

In the official layout the lines are `lineStrokes/a01/a01-000/a01-000u-01.xml`,
their transcripts the lines below `CSR:` of `ascii/a01/a01-000/a01-000u.txt`,
the writer an attribute of `original/a01/a01-000/strokesu.xml`, and the splits
lists of forms in `trainset.txt`, `testset_v.txt` (validation) and
`testset_f.txt` (test). Transcripts are also taken from any `.mlf` file: a
character a line, some under a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from apps.core.errors import UserError
from apps.handwriting.readers import markup
from apps.handwriting.readers.record import BadInk, BadRecord, Found, decode
from apps.handwriting.readers.tree import read_bytes

CHARACTER_NAMES = {"sp": " ", "pt": ".", "cm": ",", "cl": ":", "mi": "-"}
"""Characters that stand in an MLF under a name."""
SPLIT_FILES = {
    "train": "trainset.txt",
    "val": "testset_v.txt",
    "test": "testset_f.txt",
}
_LINE = re.compile(r"^([a-z]\d\d-\d{3}[a-z]?)-(\d\d)$")


def is_iam(path: Path) -> bool:
    """Whether a folder looks like IAM-OnDB."""
    return any(path.glob("lineStrokes*")) or any(path.glob("*/lineStrokes*"))


def read(path: Path) -> Iterator[Found]:
    """Every line, in the order of names; without a transcript where none is found.

    Raises:
        UserError: a transcript file that cannot be read.
    """
    labels = _mlf_labels(path)
    pages: dict[str, list[str]] = {}
    for file in sorted(path.rglob("*.txt")):
        if re.fullmatch(r"[a-z]\d\d-\d{3}[a-z]?", file.stem):
            pages[file.stem] = csr_lines(decode(read_bytes(file)))
    writers = _writers(path)
    for file in sorted(path.rglob("*.xml")):
        found = _LINE.match(file.stem)
        if not found:
            continue
        form, line = found.group(1), int(found.group(2))
        text: str | BadInk | None = labels.get(file.stem)
        if text is None and form in pages:
            lines = pages[form]
            text = lines[line - 1] if line <= len(lines) else None
            if text is None:
                text = BadInk(f"the transcript of {form} has only {len(lines)} lines")
        if isinstance(text, BadInk):
            yield BadRecord(str(file), str(text))
            continue
        try:
            data = read_bytes(file)
        except UserError as error:
            yield BadRecord(str(file), str(error))
            continue
        yield markup.parse_iam(data, str(file), text, writers.get(form, form))


def csr_lines(text: str) -> list[str]:
    """The corrected transcript (`CSR:`) of an ascii file, a string a line."""
    _, found, below = text.partition("CSR:")
    return (
        [line.strip() for line in below.splitlines() if line.strip()] if found else []
    )


def _mlf_labels(path: Path) -> dict[str, str | BadInk]:
    labels: dict[str, str | BadInk] = {}
    for file in sorted(path.rglob("*.mlf")):
        labels |= parse_mlf(decode(read_bytes(file)), str(file))
    return labels


def parse_mlf(text: str, source: str) -> dict[str, str | BadInk]:
    """HTK master label file: transcript by the name of the line.

    A label that is neither a character nor one of `CHARACTER_NAMES` makes that
    line's transcript a `BadInk`.

    Raises:
        UserError: not an MLF.
    """
    lines = text.splitlines()
    if not lines or lines[0].strip() != "#!MLF!#":
        raise UserError(f"{source}, line 1: expected #!MLF!#: not a master label file")
    labels: dict[str, str | BadInk] = {}
    name: str | None = None
    characters: list[str] = []
    problem: BadInk | None = None
    for place, line in enumerate(lines[1:], 2):
        line = line.strip()
        if line.startswith('"') and line.endswith('"') and len(line) > 2:
            name = Path(line.strip('"')).stem
            characters, problem = [], None
        elif line == "." and name is not None:
            labels[name] = problem or "".join(characters).strip()
            name = None
        elif name is not None and line:
            if len(line) > 1 and line not in CHARACTER_NAMES:
                known = ", ".join(CHARACTER_NAMES)
                problem = BadInk(
                    f"{source}, line {place}: unknown label {line[:20]!r}: neither "
                    f"one character nor one of {known}"
                )
            characters.append(CHARACTER_NAMES.get(line, line))
    return labels


def _writers(path: Path) -> dict[str, str]:
    """Writer of each form, from the original forms' XML where they are there."""
    writers = {}
    for file in sorted(path.rglob("strokes*.xml")):
        suffix = file.stem.removeprefix("strokes")
        try:
            root = markup.parse(read_bytes(file))
        except (BadInk, UserError):
            continue  # only a name is lost: the form then counts as a writer
        for form in root.iter("Form"):
            if form.get("writerID"):
                # The letter z marks the only form of a text and is part of its name.
                writers[file.parent.name + suffix] = str(form.get("writerID"))
    return writers


def form_of(source: str) -> str | None:
    """The form a line belongs to ("a01-000u"), by the name of its file."""
    found = _LINE.match(Path(source).stem)
    return found.group(1) if found else None


def split_forms(path: Path) -> dict[str, set[str]] | None:
    """Forms of each official split; None where the lists are not there."""
    found = {}
    for split, name in SPLIT_FILES.items():
        for file in sorted(path.rglob(name)):
            found[split] = set(decode(read_bytes(file)).split())
    return found if "train" in found else None
