"""The data that `--data` may name: folders, CSV files, TensorFlow Datasets."""

import csv
import functools
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from apps.core.errors import UserError
from apps.speech.audio import SAMPLE_RATE, SUFFIXES, is_audio, read_audio
from apps.speech.clips import SILENCE, UNKNOWN, Clip, Recordings

SPLITS = ("train", "val", "test")
BACKGROUND_FOLDERS = ("_background_noise_", "background_noise")
_LONGEST_BACKGROUND_SECONDS = 3600.0
_LISTS = {"val": "validation_list.txt", "test": "testing_list.txt"}
_SPECIAL = {"_unknown_": UNKNOWN, "_silence_": SILENCE}


def find(source: str, splits: Sequence[str]) -> Recordings:
    """The recordings that `source` names.

    Args:
        source: A folder with train.csv (and val.csv, test.csv) of columns
            file,class; a folder that holds a folder a word, or files named
            WORD_SPEAKER_TAKE; or `tfds:NAME`.
        splits: The splits that will be asked for.

    Raises:
        UserError: missing, empty or malformed; the message says where.
    """
    if source.startswith("tfds:"):
        from apps.speech.tfds_source import from_tfds

        return from_tfds(source.removeprefix("tfds:"), splits)
    folder = Path(source)
    # os.path's tests, here and below: those of Path raise at a name too long for one.
    if not os.path.exists(folder):
        raise UserError(f"{source}: there is no such folder")
    if not folder.is_dir():
        raise UserError(
            f"{source}: is not a folder; expected one with a folder a word, or "
            "with train.csv and val.csv"
        )
    tables = {name: folder / f"{name}.csv" for name in SPLITS}
    if any(path.exists() for path in tables.values()):
        clips = _from_tables(folder, tables)
    else:
        clips = _from_word_folders(folder)
    paths = [
        path
        for name in BACKGROUND_FOLDERS
        if (folder / name).is_dir()
        for path in sorted((folder / name).iterdir())
        if is_audio(path)
    ]
    return Recordings(
        clips,
        functools.partial(_read_backgrounds, paths),
        {"name": folder.resolve().name},
        source,
    )


def _read_backgrounds(paths: Sequence[Path]) -> list[np.ndarray]:
    return [read_audio(path, _LONGEST_BACKGROUND_SECONDS) for path in paths]


def _noise_files(names: Sequence[str], option: str) -> list[Path]:
    found: list[Path] = []
    for name in names:
        path = Path(name)
        if not os.path.exists(path):
            raise UserError(f"{option} {name}: there is no such file or folder")
        inside = [path]
        if path.is_dir():
            inside = [file for file in sorted(path.iterdir()) if is_audio(file)]
        if not inside:
            raise UserError(
                f"{option} {name}: holds no recording ({', '.join(SUFFIXES)})"
            )
        found += inside
    return found


def read_noise(
    names: Sequence[str], option: str, shortest_seconds: float
) -> dict[str, np.ndarray]:
    """The recordings of noise that files and folders hold.

    Args:
        names: Files and folders.
        option: Where they come from, for messages.
        shortest_seconds: What each must have at least.

    Returns:
        float32 [samples] at 16 kHz, by the path of each.

    Raises:
        UserError: a path that does not exist, a folder without a recording, or
            a recording that is too short.
    """
    found = {}
    for path in _noise_files(names, option):
        samples = read_audio(path, _LONGEST_BACKGROUND_SECONDS)
        if len(samples) < shortest_seconds * SAMPLE_RATE:
            raise UserError(f"{option} {path}: is shorter than {shortest_seconds:g} s")
        found[str(path)] = samples
    return found


def speaker_of(stem: str, word: str) -> str:
    """Who speaks, as far as a file's name tells; else "".

    Reads names of the shape SPEAKER_TAKE, with or without the word before, as
    in Speech Commands (0a7c2a8d_nohash_0), Arabic Speech Commands
    (00000030_NO_01) and Free Spoken Digit (7_jackson_32).
    """
    before = word.lower().replace(" ", "_") + "_"
    if stem.lower().startswith(before):
        stem = stem[len(before) :]
    parts = stem.split("_")
    if len(parts) > 1 and re.fullmatch(r"\d+", parts[-1]):
        return "_".join(parts[:-1])
    return ""


def _from_tables(folder: Path, tables: dict[str, Path]) -> list[Clip]:
    clips: list[Clip] = []
    split_of: dict[str, str] = {}
    for name, path in tables.items():
        if not path.exists():
            continue
        for clip in _from_table(folder, path, name):
            real = os.path.realpath(clip.source)
            if split_of.setdefault(real, name) != name:
                raise UserError(
                    f"{path}: {clip.source} is listed in {split_of[real]}.csv too: "
                    "leave it in one of them"
                )
            clips.append(clip)
    return clips


def _from_table(folder: Path, table: Path, split: str) -> list[Clip]:
    clips: list[Clip] = []
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = {"file", "class"} - set(reader.fieldnames or ())
            if missing:
                raise UserError(
                    f"{table}: has no column {sorted(missing)[0]!r}: expected the "
                    "columns file,class"
                )
            for row in reader:
                name, word = row["file"], (row["class"] or "").strip()
                where = f"{table} line {reader.line_num}"
                if not name or not word:
                    raise UserError(f"{where}: expected a file and a class")
                path = folder / name
                if not os.path.isfile(path):
                    raise UserError(f"{where}: there is no file {path}")
                word = _SPECIAL.get(word, word)
                clips.append(Clip(word, str(path), split, speaker_of(path.stem, word)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table}: cannot be read as CSV in UTF-8: {error}") from error
    if not clips:
        raise UserError(f"{table}: lists no clips")
    return clips


def _from_word_folders(folder: Path) -> list[Clip]:
    splits = {
        PurePosixPath(name.replace("\\", "/")).as_posix(): split
        for split, listing in _LISTS.items()
        for name in _lines(folder / listing)
    }
    rest = "train" if splits else ""
    clips: list[Clip] = []
    words = [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir()
        and path.name not in BACKGROUND_FOLDERS
        and not path.name.startswith(".")
    ]
    for word_folder in words:
        word = _SPECIAL.get(word_folder.name, word_folder.name)
        found = [path for path in sorted(word_folder.iterdir()) if is_audio(path)]
        if not found:
            raise UserError(
                f"{word_folder}: the class {word!r} has no clips: add recordings "
                f"({', '.join(SUFFIXES)}) or remove the folder"
            )
        for path in found:
            split = splits.get(f"{word_folder.name}/{path.name}", rest)
            clips.append(Clip(word, str(path), split, speaker_of(path.stem, word)))
    _check_lists(folder, splits, {clip.split for clip in clips})
    clips = clips or _from_names(folder)
    if not clips:
        raise UserError(
            f"{folder}: holds no recordings: expected a folder a word, train.csv and "
            "val.csv, or files named WORD_SPEAKER_TAKE"
        )
    return clips


def _check_lists(folder: Path, listed: dict[str, str], found: set[str]) -> None:
    """Of a part of a data set the lists name more than is there, but not only that."""
    for split, listing in _LISTS.items():
        names = [name for name, its_split in listed.items() if its_split == split]
        if names and split not in found:
            raise UserError(
                f"{folder / listing}: names no recording that is there (the first is "
                f"{names[0]!r}): expected lines such as yes/0a7c2a8d_nohash_0.wav"
            )


def _from_names(folder: Path) -> list[Clip]:
    """A folder of files named WORD_SPEAKER_TAKE, as Free Spoken Digit has them."""
    clips = []
    for path in sorted(folder.iterdir()):
        if not path.is_file() or not is_audio(path):
            continue
        word, _, rest = path.stem.partition("_")
        if not re.fullmatch(r".+_\d+", rest):
            raise UserError(
                f"{path}: its name does not say what is spoken: expected "
                "WORD_SPEAKER_TAKE, or a folder a word"
            )
        clips.append(Clip(word, str(path), "", speaker_of(path.stem, word)))
    return clips


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise UserError(
            f"{path}: byte 0x{byte:02x} is not UTF-8: convert the file"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]
