"""Pen-based digits of Alpaydin and Alimoglu (UCI): 30 writers, raw pen points."""

from typing import ClassVar

import tensorflow_datasets as tfds

from apps.handwriting import known, readers, tfds_ink

_TRAIN = ("pendigits-orig.tra", "pendigits-train")
_TEST = "pendigits-orig.tes"


class Builder(tfds.core.GeneratorBasedBuilder):
    """Writers 1 to 25 to train on, 26 to 30 for validation, 31 to 44 for the test."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Put pendigits-orig.tra (also taken: pendigits-train) from
    https://archive.ics.uci.edu/dataset/81, uncompressed, into the manual directory,
    and pendigits-orig.tes beside it for a test split.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds_ink.features(
                tfds.features.ClassLabel(names=list("0123456789"))
            ),
            supervised_keys=("points", "label"),
            homepage=known.PENDIGITS.homepage,
            license=known.PENDIGITS.licence,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        folder = tfds_ink.manual_folder(dl_manager, self.name)
        train = [p for n in _TRAIN if (p := folder / n).exists()]
        if not train:
            raise ValueError(
                f"{folder}: holds none of {', '.join(_TRAIN)}. "
                f"{' '.join(self.MANUAL_DOWNLOAD_INSTRUCTIONS.split())}"
            )
        found = tfds_ink.splits(train[0], self.MANUAL_DOWNLOAD_INSTRUCTIONS)
        if (folder / _TEST).exists():
            found["test"] = readers.collect(folder / _TEST)[0]
        return {
            tfds_ink.SPLIT_NAMES[name]: self._generate_examples(records)
            for name, records in found.items()
        }

    def _generate_examples(self, records):
        yield from tfds_ink.examples(records)
