"""IAM-OnDB: lines of English text on a whiteboard, with their transcripts."""

from typing import ClassVar

import tensorflow_datasets as tfds

from apps.handwriting import known, tfds_ink


class Builder(tfds.core.GeneratorBasedBuilder):
    """The official splits where their lists are; else the last writers validate."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Register at https://fki.tic.heia-fr.ch/databases/iam-on-line-handwriting-database
    and unpack lineStrokes-all, ascii-all, original-xml-all and the lists trainset.txt,
    testset_v.txt and testset_f.txt into the manual directory.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds_ink.features(tfds.features.Text()),
            supervised_keys=("points", "label"),
            homepage=known.IAM_ONDB.homepage,
            license=known.IAM_ONDB.licence,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        folder = tfds_ink.manual_folder(dl_manager, self.name)
        found = tfds_ink.splits(folder, self.MANUAL_DOWNLOAD_INSTRUCTIONS)
        return {
            tfds_ink.SPLIT_NAMES[name]: self._generate_examples(records)
            for name, records in found.items()
        }

    def _generate_examples(self, records):
        yield from tfds_ink.examples(records)
