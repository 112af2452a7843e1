"""The data that `--data` may name: files, folders, TensorFlow Datasets."""

import dataclasses
import os
from pathlib import Path
from typing import Any

from apps.core.builders import builder_module
from apps.core.errors import UserError
from apps.text.encodings import decode, find_codec
from apps.text.table import BadRows, Format, Row, good, read_file

SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""The names that files and folders of each split go by."""
_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".ft", ".txt")


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Labelled texts by split, with what is known of where they come from."""

    splits: dict[str, list[Row]]
    description: dict[str, Any]
    bad: BadRows


def find(source: str | None, form: Format) -> Corpus:
    """Reads what `source` names.

    Args:
        source: A file (.csv, .tsv, .jsonl, fastText's .txt), which is training
            data unless it is named val or test; a folder with such files; a
            folder that holds a folder a class of .txt files, or such folders
            named train, val and test; a local copy of SNIPS; `tfds:NAME`; or
            None for the default data.
        form: Encoding and columns.

    Raises:
        UserError: missing, empty or malformed; the message says where.
    """
    bad = BadRows(form.skip_bad)
    if source is None:
        from apps.text.languages import language_corpus

        return language_corpus()
    if source.startswith("tfds:"):
        from apps.text.tfds_source import from_tfds

        return from_tfds(source.removeprefix("tfds:"), bad)
    path = Path(source)
    # Path's own test raises at a name that is too long for one.
    if not os.path.exists(path):
        raise UserError(f"{source}: there is no such file or folder")
    description: dict[str, Any] = {"name": path.resolve().stem}
    if not path.is_dir():
        if not path.is_file():
            raise UserError(f"{source}: is neither a file nor a folder")
        split = next((s for s, names in SPLITS.items() if path.stem in names), "train")
        splits = {split: read_file(path, form, bad)}
    elif list(path.glob("train_*_full.json")):
        splits, description = _from_builder(path, "snips", bad)
    elif (path / "categories.json").exists() and (path / "train.csv").exists():
        splits, description = _from_builder(path, "banking77", bad)
    else:
        splits = _from_folder(path, form, bad)
    for name, rows in splits.items():
        if not rows:
            raise UserError(f"{source}: the {name} split holds no texts")
    return Corpus(splits, description, bad)


def _from_builder(
    folder: Path, name: str, bad: BadRows
) -> tuple[dict[str, list[Row]], dict[str, Any]]:
    """A local copy of a set that datasets/ describes, read by the builder's code."""
    module = builder_module(name)
    try:
        splits = {
            split: [
                row
                for text, label, where in module.read(folder, split)
                if good(row := Row(text, label, where), bad)
            ]
            for split in module.available_splits(folder)
        }
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from error
    return splits, dict(module.DESCRIPTION)


def _from_folder(folder: Path, form: Format, bad: BadRows) -> dict[str, list[Row]]:
    splits: dict[str, list[Row]] = {}
    for split, names in SPLITS.items():
        for name in names:
            files = [folder / (name + suffix) for suffix in _SUFFIXES]
            found = [path for path in files if path.is_file()]
            if (folder / name).is_dir():
                found.append(folder / name)
            if len(found) > 1 or (found and split in splits):
                raise UserError(
                    f"{folder}: holds the {split} split more than once "
                    f"({', '.join(path.name for path in found)}): leave one"
                )
            for path in found:
                splits[split] = (
                    _from_class_folders(path, form, bad)
                    if path.is_dir()
                    else read_file(path, form, bad)
                )
    return splits or {"train": _from_class_folders(folder, form, bad)}


def _from_class_folders(folder: Path, form: Format, bad: BadRows) -> list[Row]:
    classes = sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith((".", "_"))
    )
    if not classes:
        raise UserError(
            f"{folder}: holds no texts: expected train.csv (.tsv, .jsonl, .txt), or a "
            "folder a class with .txt files"
        )
    find_codec(form.encoding)
    rows: list[Row] = []
    for folder_of_class in classes:
        files = sorted(folder_of_class.glob("*.txt"))
        if not files:
            raise UserError(
                f"{folder_of_class}: the class {folder_of_class.name!r} has no .txt "
                "files: add texts or remove the folder"
            )
        for path in files:
            try:
                data = path.read_bytes()
            except OSError as error:
                raise UserError(f"{path}: cannot be read: {error.strerror}") from error
            text = decode(data, str(path), form.encoding, bad.report)
            if text is None:
                continue
            row = Row(text.strip(), folder_of_class.name, str(path))
            if good(row, bad):
                rows.append(row)
    return rows
