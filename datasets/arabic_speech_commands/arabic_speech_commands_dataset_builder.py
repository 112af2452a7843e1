"""Arabic Speech Commands: 40 words, one second each, from a local copy."""

import csv
import hashlib
import re
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

WORDS = (
    "backward", "cancel", "close", "digit", "direction", "disable", "down", "eight",
    "enable", "enter", "five", "forward", "four", "left", "move", "next", "nine", "no",
    "ok", "one", "open", "options", "previous", "receive", "record", "right", "rotate",
    "send", "seven", "six", "start", "stop", "three", "two", "undo", "up", "yes",
    "zero", "zoom in", "zoom out",
)  # fmt: skip
"""The labels. The recordings say these words in Arabic."""
SAMPLE_RATE = 16_000
CHECKSUMS = Path(__file__).parent / "pcm_checksums.tsv"
_TABLES = {"train": "train", "validation": "val", "test": "test"}


class Builder(tfds.core.GeneratorBasedBuilder):
    """Reads train.csv, val.csv and test.csv (those that are there) and their clips."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "The official splits."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Put the published folder, or a copy of it with the clips as FLAC, into
    <manual_dir>/arabic_speech_commands: train.csv, val.csv and test.csv with the
    columns file,class, and the recordings that they name.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "audio": tfds.features.Audio(
                        sample_rate=SAMPLE_RATE, dtype=np.int16
                    ),
                    "label": tfds.features.ClassLabel(names=WORDS),
                    "speaker": tfds.features.Text(),
                    "file": tfds.features.Text(),
                }
            ),
            supervised_keys=("audio", "label"),
            homepage="https://doi.org/10.1016/j.engappai.2021.104267",
            license="CC BY 4.0",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        folder = dl_manager.manual_dir / self.name
        if not folder.exists():  # the folder itself, not its parent, was given
            folder = dl_manager.manual_dir
        tables = {
            split: folder / f"{name}.csv"
            for split, name in _TABLES.items()
            if (folder / f"{name}.csv").exists()
        }
        if not tables:
            raise FileNotFoundError(
                f"{folder}: has no train.csv, val.csv or test.csv. "
                f"{self.MANUAL_DOWNLOAD_INSTRUCTIONS.strip()}"
            )
        return {
            split: self._generate_examples(folder, table, split)
            for split, table in tables.items()
        }

    def _generate_examples(self, folder: Path, table: Path, split: str):
        recorded = load_checksums().get(split)
        digest = hashlib.sha256()
        count = 0
        for file, word, samples in read_clips(folder, table):
            digest.update(samples.tobytes())
            count += 1
            stem = Path(file).stem
            yield (
                f"{word}/{stem}",
                {
                    "audio": samples,
                    "label": word,
                    "speaker": re.sub(r"_\d+$", "", stem),
                    "file": file,
                },
            )
        # A part of the set cannot be told from a damaged whole: only as many
        # clips as were recorded are held to the recorded digest.
        if recorded and recorded[0] == count and recorded[1] != digest.hexdigest():
            raise tfds.core.download.download_manager.NonMatchingChecksumError(
                f"{table}: the {count} clips differ from the published ones "
                f"(SHA-256 of their samples {digest.hexdigest()}, expected "
                f"{recorded[1]})"
            )


def read_clips(folder: Path, table: Path):
    """Yields (file, word, int16 [samples]) in the order of the file names.

    Raises:
        ValueError: a clip that is not 16 kHz mono, a word that is no label, or a
            table of another data set.
    """
    import soundfile

    with table.open("r") as lines:
        table_rows = csv.DictReader(lines)
        if not {"file", "class"} <= set(table_rows.fieldnames or ()):
            raise ValueError(
                f"{table}: has no columns file and class: put this data set into a "
                "folder arabic_speech_commands of its own in the manual directory"
            )
        rows = sorted((row["file"], row["class"]) for row in table_rows)
    for file, word in rows:
        if word not in WORDS:
            raise ValueError(f"{table}: {word!r} is not one of the {len(WORDS)} words")
        with (folder / file).open("rb") as stream:
            samples, rate = soundfile.read(stream, dtype="int16")
        if rate != SAMPLE_RATE or samples.ndim != 1:
            raise ValueError(
                f"{folder / file}: expected mono at {SAMPLE_RATE} Hz, got shape "
                f"{samples.shape} at {rate} Hz"
            )
        yield file, word, samples


def load_checksums() -> dict[str, tuple[int, str]]:
    """(clips, SHA-256 of their 16-bit samples in order of file name) by split."""
    with CHECKSUMS.open("r") as lines:
        rows = csv.DictReader(lines, delimiter="\t")
        return {row["split"]: (int(row["clips"]), row["sha256"]) for row in rows}
