"""Reading ink, whatever the format: `records` and `collect`.

| what | recognised by |
|---|---|
| JSON Lines, ours or QuickDraw's ndjson | `{` or `[` first |
| UNIPEN text (pendigits) | a line that begins with a dot and a capital |
| InkML | root element `ink` |
| IAM-OnDB | a folder with `lineStrokes`; a line's XML on its own has no transcript |
| Omniglot strokes | `START` first |
| GW-online | lines of `x y penstate` |

A folder or a .zip archive is read file by file. What is none of these is left out
there, unless its name says that it is ink.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from apps.core.errors import UserError
from apps.handwriting.readers import (
    iam_ondb,
    json_ink,
    markup,
    trajectory,
    tree,
    unipen,
)
from apps.handwriting.readers.record import (
    BadRecord,
    Found,
    Record,
    decode,
    is_utf16,
)

__all__ = ["BadRecord", "Record", "collect", "is_ink", "records", "sniff"]

_HEAD = 4096
_NAMED_INK = (".json", ".jsonl", ".ndjson", ".inkml")
"""A file of such a name is damaged ink where its first bytes say nothing. (.xml and
.txt are the names of much that lives beside ink.)"""
_BESIDE = (".py", ".md", ".csv")
"""Names of what is no ink, whatever it begins with."""


def sniff(head: bytes) -> str | None:
    """Format of a file by its first bytes: json, unipen, inkml, iam, omniglot, gw."""
    text = decode(head).lstrip()
    if text.startswith(("{", "[")):
        return "json"
    if re.match(r"\.[A-Z_]+\b", text):
        return "unipen"
    if text.startswith("<"):
        return "iam" if "<WhiteboardCaptureSession" in text else "inkml"
    if text.startswith("START"):
        return "omniglot"
    second = [*text.splitlines(), "", ""][1].split()
    if len(second) == 3 and second[2] in ("0", "1"):
        return "gw"
    return None


def is_ink(path: Path) -> bool:
    """Whether a folder's member is a folder, an archive or a file of ink, be it
    damaged."""
    if path.is_dir() or path.suffix.lower() == ".zip":
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _may_be_ink(path.name, sniff(file.read(_HEAD)))


def _may_be_ink(name: str, kind: str | None) -> bool:
    """The same of a file that may as well be a readme, a script or a picture, by its
    name and what `sniff` says of it."""
    suffix = Path(name).suffix.lower()
    return suffix not in _BESIDE and (kind is not None or suffix in _NAMED_INK)


def records(path: str | os.PathLike) -> Iterator[Found]:
    """Every ink in a file, folder or archive, malformed ones as `BadRecord`.

    Raises:
        UserError: `path` does not exist, cannot be read, or holds no ink.
    """
    path = Path(path)
    # Path's own test raises at a name that is too long for one.
    if not os.path.exists(path):
        raise UserError(f"{path}: there is no such file or folder")
    if path.is_dir() and iam_ondb.is_iam(path):
        yield from iam_ondb.read(path)
        return
    if path.is_dir() or path.suffix.lower() == ".zip":
        any_ink = False
        for name, data in tree.members(path):
            if isinstance(data, BadRecord):
                yield data
                continue
            kind = sniff(data[:_HEAD])
            if not _may_be_ink(name, kind):
                continue
            any_ink = True
            yield from _parse(kind, data, name)
        if not any_ink:
            raise UserError(
                f"{path}: holds no ink: expected JSON Lines, UNIPEN, InkML, IAM-OnDB, "
                "QuickDraw, Omniglot or GW-online files"
            )
        return
    with path.open("rb") as file:
        head = file.read(_HEAD)
    kind = sniff(head)
    # What may be larger than other files is read line by line.
    if kind == "json" and not is_utf16(head):
        yield from json_ink.read(path)
    elif kind == "unipen" and not is_utf16(head):
        yield from unipen.read(path)
    else:
        data = tree.read_bytes(path) if kind else head
        yield from _parse(kind, data, str(path))


def _parse(kind: str | None, data: bytes, name: str) -> Iterator[Found]:
    if kind in ("json", "unipen"):
        lines = (decode(data).encode() if is_utf16(data) else data).splitlines(True)
        read_lines = json_ink.read_lines if kind == "json" else unipen.read_lines
        yield from read_lines(enumerate(lines, 1), name)
    elif kind == "inkml":
        yield from markup.read_inkml(data, name)
    elif kind == "iam":
        yield markup.parse_iam(data, name, None, None)
    elif kind == "omniglot":
        yield trajectory.parse_omniglot(data, name)
    elif kind == "gw":
        yield trajectory.parse_gw(data, name)
    elif not data.strip():
        yield BadRecord(name, "the file is empty")
    else:
        yield BadRecord(
            name,
            "is no ink that is known here (JSON Lines, UNIPEN, InkML, IAM-OnDB, "
            "QuickDraw, Omniglot, GW-online)",
        )


def collect(
    path: str | os.PathLike, skip_bad: bool = False
) -> tuple[list[Record], list[BadRecord]]:
    """All records of `path`, and the malformed ones that were skipped.

    Raises:
        UserError: a malformed record and not `skip_bad`; nothing readable at all.
    """
    good: list[Record] = []
    bad: list[BadRecord] = []
    for found in records(path):
        if isinstance(found, Record):
            good.append(found)
            continue
        if not skip_bad:
            raise UserError(
                f"{found.source}: {found.problem} "
                "(--skip-bad leaves such records out and counts them)"
            )
        bad.append(found)
    if bad:
        print(
            f"{path}: skipped {len(bad)} malformed of {len(bad) + len(good)} records, "
            f"first: {bad[0].source}: {bad[0].problem}",
            file=sys.stderr,
        )
    if not good:
        raise UserError(f"{path}: no readable ink in it")
    return good, bad
