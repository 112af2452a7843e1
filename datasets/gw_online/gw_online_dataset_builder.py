"""GW-online: pages of the George Washington letters, written again with a pen."""

import re
from typing import ClassVar

import tensorflow_datasets as tfds

from apps.handwriting import known, tfds_ink

_PLACE = re.compile(r"[/\\]\d{7}[/\\]\d+_[^/\\]*\.txt$")
"""Page and word, as the published files are named."""


class Builder(tfds.core.GeneratorBasedBuilder):
    """Words of one writer. The last two pages in eleven validate: 13 to 15 of 15."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Put the folders of the pages (2700270 and so on), or an archive of them, into
    the manual directory, or into gw_online there. The terms of use allow
    non-commercial research and education; nothing is downloaded.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds_ink.features(tfds.features.Text()),
            supervised_keys=("points", "label"),
            homepage=known.GW_ONLINE.homepage or None,
            license=known.GW_ONLINE.licence,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        folder = tfds_ink.manual_folder(dl_manager, self.name)
        found = tfds_ink.splits(folder, self.MANUAL_DOWNLOAD_INSTRUCTIONS)
        for records in found.values():
            for record in records:
                if not _PLACE.search(record.source):
                    raise ValueError(
                        f"{record.source}: is no word of GW-online: put its pages into "
                        "a folder gw_online of their own in the manual directory"
                    )
        return {
            tfds_ink.SPLIT_NAMES[name]: self._generate_examples(records)
            for name, records in found.items()
        }

    def _generate_examples(self, records):
        yield from tfds_ink.examples(records)
