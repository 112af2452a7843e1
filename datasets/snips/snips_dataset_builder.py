"""SNIPS: some 14,000 requests to a voice assistant, 7 intents."""

import json
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds

INTENTS = (
    "AddToPlaylist",
    "BookRestaurant",
    "GetWeather",
    "PlayMusic",
    "RateBook",
    "SearchCreativeWork",
    "SearchScreeningEvent",
)
FILES = {"train": "train_{}_full.json", "test": "validate_{}.json"}

DESCRIPTION = {
    "name": "SNIPS natural language understanding benchmark, 2017-06",
    "licence": "CC0",
    "citation": "Coucke et al. 2018: Snips Voice Platform, an embedded Spoken "
    "Language Understanding system for private-by-design voice interfaces, "
    "arXiv:1805.10190",
    "homepage": "https://github.com/sonos/nlu-benchmark",
}


def available_splits(folder: Path) -> list[str]:
    """The splits of which a local copy holds every intent."""
    return [
        split
        for split, name in FILES.items()
        if all((folder / name.format(intent)).exists() for intent in INTENTS)
    ]


def read(folder: Path, split: str) -> Iterator[tuple[str, str, str]]:
    """(text, intent, file and number) of every request of a split.

    The files are UTF-8, some of them Latin-1; a request comes in pieces, of
    which those that fill a slot carry its name.

    Raises:
        ValueError: a file is not of that form.
    """
    for intent in INTENTS:
        path = folder / FILES[split].format(intent)
        data = path.read_bytes()
        try:
            content = data.decode("utf-8")
        except UnicodeDecodeError:
            content = data.decode("latin-1")
        try:
            for number, request in enumerate(json.loads(content)[intent], 1):
                text = "".join(piece["text"] for piece in request["data"])
                # Line feeds and double spaces in the pieces are no part of speech.
                yield " ".join(text.split()), intent, f"{path} request {number}"
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path}: expected {{{intent!r}: [{{'data': [{{'text': ...}}]}}]}}: "
                f"{error!r}"
            ) from error


class Builder(tfds.core.GeneratorBasedBuilder):
    """SNIPS from a local copy in the manual directory."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Put the files train_INTENT_full.json (and validate_INTENT.json) of the seven
    intents, from the folder 2017-06-custom-intent-engines of
    https://github.com/sonos/nlu-benchmark, into the manual directory.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "text": tfds.features.Text(),
                    "label": tfds.features.ClassLabel(names=INTENTS),
                }
            ),
            supervised_keys=("text", "label"),
            homepage=DESCRIPTION["homepage"],
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        folder = Path(dl_manager.manual_dir)
        splits = available_splits(folder)
        if "train" not in splits:
            raise ValueError(f"{folder}: lacks some of the train_INTENT_full.json")
        return {split: self._generate_examples(folder, split) for split in splits}

    def _generate_examples(self, folder: Path, split: str):
        for index, (text, label, _) in enumerate(read(folder, split)):
            yield index, {"text": text, "label": label}
