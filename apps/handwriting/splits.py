"""Which records train and which validate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from apps.core.errors import UserError
from apps.handwriting import readers
from apps.handwriting.compose import natural
from apps.handwriting.readers import Record, iam_ondb

SPLITS = ("train", "val", "test")


def split_files(source: Path) -> dict[str, Path] | None:
    """train.jsonl, val/ and so on, where a folder holds such.

    Raises:
        UserError: two of them are the same split.
    """
    if not os.path.isdir(source):  # Path's own test raises at too long a name.
        return None
    found: dict[str, list[Path]] = {}
    for path in sorted(source.iterdir()):
        # A train.txt with the transcripts may live beside the ink.
        if path.stem in SPLITS and readers.is_ink(path):
            found.setdefault(path.stem, []).append(path)
    # trainset.txt and testset_v.txt of IAM-OnDB have other stems.
    if "train" not in found and "val" not in found:
        return None
    for name, paths in found.items():
        if len(paths) > 1:
            raise UserError(
                f"{source}: {paths[0].name} and {paths[1].name} are both its {name} "
                "split: rename one, or move it elsewhere"
            )
    return {name: path for name, (path,) in found.items()}


def divide(
    records: Sequence[Record], source: str, val_writers: str = ""
) -> dict[str, list[Record]]:
    """Splits by writer, so that no writer is in two of them.

    IAM-OnDB's own lists are followed where they are there. Else the validation
    writers are those of `val_writers` (by commas; "all" puts every record
    there), or the last two in eleven by name: pendigits' 26 to 30, GW-online's
    pages 13 to 15. Of the records without a writer every seventh validates, unless
    `val_writers` says who does; of all records, where one writer is named or none.

    Raises:
        UserError: a writer in `val_writers` that wrote nothing.
    """
    path = Path(source)
    forms = iam_ondb.split_forms(path) if path.is_dir() else None
    if forms and not val_writers:
        named = {name: [r for r in records if iam_ondb.form_of(r.source) in chosen]
                 for name, chosen in forms.items()}  # fmt: skip
        return {name: chosen for name, chosen in named.items() if chosen}
    if val_writers == "all":
        return {"val": list(records)}
    writers = sorted({r.writer for r in records if r.writer}, key=natural)
    held: set[str] = set()
    single: Sequence[Record] = ()  # of which every seventh validates
    if val_writers:
        held = {w.strip() for w in val_writers.split(",")}
        unknown = sorted(held - set(writers))
        if unknown:
            raise UserError(
                f"val_writers: {unknown[0]!r} wrote nothing in {source} "
                f"(writers: {', '.join(writers[:40])})"
            )
    elif len(writers) < 2:
        single = records
    else:
        held = set(writers[-max(1, round(2 * len(writers) / 11)) :])
        single = [r for r in records if not r.writer]
    chosen = {id(r) for r in single[::7]}
    validates = [r.writer in held or id(r) in chosen for r in records]
    return {
        "train": [r for r, val in zip(records, validates, strict=True) if not val],
        "val": [r for r, val in zip(records, validates, strict=True) if val],
    }
