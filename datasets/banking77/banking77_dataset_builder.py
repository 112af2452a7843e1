"""BANKING77: 13,083 customer queries to a bank, 77 intents."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds

FILES = {"train": "train.csv", "test": "test.csv"}
LABELS = "categories.json"

DESCRIPTION = {
    "name": "BANKING77",
    "licence": "CC BY 4.0",
    "citation": "Casanueva, Temčinas, Gerz, Henderson, Vulić 2020: Efficient Intent "
    "Detection with Dual Sentence Encoders, arXiv:2003.04807",
    "homepage": "https://github.com/PolyAI-LDN/task-specific-datasets",
}


def available_splits(folder: Path) -> list[str]:
    """The splits that a local copy holds."""
    return [split for split, name in FILES.items() if (folder / name).exists()]


def read_labels(folder: Path) -> list[str]:
    """Raises:
    ValueError: categories.json is not a list of names.
    """
    path = folder / LABELS
    labels = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(labels, list) or not all(isinstance(x, str) for x in labels):
        raise ValueError(f"{path}: expected a JSON list of intents")
    return labels


def read(folder: Path, split: str) -> Iterator[tuple[str, str, str]]:
    """(text, intent, file and line) of every query of a split.

    Raises:
        ValueError: a missing column, or an intent that is not in categories.json.
    """
    known = set(read_labels(folder))
    path = folder / FILES[split]
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != ["text", "category"]:
            raise ValueError(f"{path}: expected the columns text,category")
        for row in reader:
            where = f"{path} line {reader.line_num}"
            if row["category"] not in known:
                raise ValueError(
                    f"{where}: {row['category']!r} is not in {folder / LABELS}"
                )
            yield row["text"].strip(), row["category"], where


class Builder(tfds.core.GeneratorBasedBuilder):
    """BANKING77 from a local copy in the manual directory."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Put train.csv, test.csv (if you have it) and categories.json from
    https://github.com/PolyAI-LDN/task-specific-datasets/tree/master/banking_data
    into the manual directory.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {"text": tfds.features.Text(), "label": tfds.features.ClassLabel()}
            ),
            supervised_keys=("text", "label"),
            homepage=DESCRIPTION["homepage"],
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        folder = Path(dl_manager.manual_dir)
        self.info.features["label"].names = read_labels(folder)
        splits = available_splits(folder)
        if "train" not in splits:
            raise ValueError(f"{folder}: holds no {FILES['train']}")
        return {split: self._generate_examples(folder, split) for split in splits}

    def _generate_examples(self, folder: Path, split: str):
        for index, (text, label, _) in enumerate(read(folder, split)):
            yield index, {"text": text, "label": label}
