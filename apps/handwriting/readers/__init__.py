"""Reading ink, whatever the format: `records` and `collect`.

| what | recognised by |
|---|---|
| JSON Lines, ours or QuickDraw's ndjson | `{` or `[` first |
| UNIPEN text (pendigits) | a line that begins with a dot and a capital |
| InkML | root element `ink` |
| IAM-OnDB | a folder with `lineStrokes`; a line's XML on its own has no transcript |
| Omniglot strokes | `START` first |
| GW-online | lines of `x y penstate` |

A folder or a .zip archive is read file by file.
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
from apps.handwriting.readers.record import BadRecord, Found, Record, decode

__all__ = ["BadRecord", "Record", "collect", "records", "sniff"]

_HEAD = 4096


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
            # Readme, scripts and pictures live beside the ink.
            if kind is None or Path(name).suffix in (".py", ".md", ".csv"):
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
    if not head.strip():
        yield BadRecord(str(path), "the file is empty")
    elif kind is None:
        yield BadRecord(
            str(path),
            "is no ink that is known here (JSON Lines, UNIPEN, InkML, IAM-OnDB, "
            "QuickDraw, Omniglot, GW-online)",
        )
    elif kind == "json":
        yield from json_ink.read(path)
    elif kind == "unipen":
        yield from unipen.read(path)
    else:
        yield from _parse(kind, tree.read_bytes(path), str(path))


def _parse(kind: str, data: bytes, name: str) -> Iterator[Found]:
    if kind == "json":
        yield from json_ink.read_lines(enumerate(data.splitlines(True), 1), name)
    elif kind == "unipen":
        yield from unipen.read_lines(enumerate(data.splitlines(), 1), name)
    elif kind == "inkml":
        yield from markup.read_inkml(data, name)
    elif kind == "iam":
        yield markup.parse_iam(data, name, None, None)
    elif kind == "omniglot":
        yield trajectory.parse_omniglot(data, name)
    else:
        yield trajectory.parse_gw(data, name)


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
