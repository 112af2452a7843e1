"""Free Spoken Digit: English digits by a few speakers, from a local copy."""

import csv
import hashlib
import re
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

DIGITS = tuple("0123456789")
SAMPLE_RATE = 8_000
CHECKSUMS = Path(__file__).parent / "pcm_checksums.tsv"
_NAME = re.compile(r"([0-9])_([a-z]+)_(\d+)\.(wav|flac)")


class Builder(tfds.core.GeneratorBasedBuilder):
    """Reads files named DIGIT_SPEAKER_TAKE; leave a speaker out to evaluate."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "Every clip in one split."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Put the published recordings, as WAV or FLAC, into
    <manual_dir>/free_spoken_digit: files named DIGIT_SPEAKER_TAKE.wav.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "audio": tfds.features.Audio(
                        sample_rate=SAMPLE_RATE, dtype=np.int16
                    ),
                    "label": tfds.features.ClassLabel(names=DIGITS),
                    "speaker": tfds.features.Text(),
                    "file": tfds.features.Text(),
                }
            ),
            supervised_keys=("audio", "label"),
            homepage="https://doi.org/10.5281/zenodo.1342401",
            license="CC BY-SA 4.0",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        folder = dl_manager.manual_dir / self.name
        if not folder.exists():  # the folder itself, not its parent, was given
            folder = dl_manager.manual_dir
        if not any(_NAME.fullmatch(path.name) for path in folder.iterdir()):
            raise FileNotFoundError(
                f"{folder}: has no recording named DIGIT_SPEAKER_TAKE. "
                f"{self.MANUAL_DOWNLOAD_INSTRUCTIONS.strip()}"
            )
        return {"train": self._generate_examples(folder)}

    def _generate_examples(self, folder: Path):
        recorded = load_checksums()
        digests: dict[str, tuple[int, hashlib._Hash]] = {}
        for name, digit, speaker, samples in read_clips(folder):
            count, digest = digests.get(speaker, (0, hashlib.sha256()))
            digest.update(samples.tobytes())
            digests[speaker] = (count + 1, digest)
            yield (
                name,
                {
                    "audio": samples,
                    "label": digit,
                    "speaker": speaker,
                    "file": name,
                },
            )
        # More clips were published over the years: only as many of a speaker as
        # were recorded are held to the recorded digest.
        for speaker, (count, digest) in digests.items():
            known = recorded.get(speaker, (0, ""))
            if known[0] == count and known[1] != digest.hexdigest():
                raise tfds.core.download.download_manager.NonMatchingChecksumError(
                    f"{folder}: the {count} clips of {speaker} differ from the "
                    f"published ones (SHA-256 of their samples {digest.hexdigest()}, "
                    f"expected {known[1]})"
                )


def read_clips(folder: Path):
    """Yields (file, digit, speaker, int16 [samples]) in the order of speaker, name.

    Raises:
        ValueError: a clip that is not mono at 8 kHz, or two files of one clip.
    """
    import soundfile

    found = [
        (m, path) for path in folder.iterdir() if (m := _NAME.fullmatch(path.name))
    ]
    clips: dict[str, Path] = {}
    for _, path in found:
        if path.stem in clips:
            raise ValueError(
                f"{path}: the same clip is there as {clips[path.stem].name}: leave one "
                "of the two forms in the folder"
            )
        clips[path.stem] = path
    for match, path in sorted(found, key=lambda pair: (pair[0][2], pair[1].stem)):
        with path.open("rb") as stream:
            samples, rate = soundfile.read(stream, dtype="int16")
        if rate != SAMPLE_RATE or samples.ndim != 1:
            raise ValueError(
                f"{path}: expected mono at {SAMPLE_RATE} Hz, got shape "
                f"{samples.shape} at {rate} Hz"
            )
        yield path.name, match[1], match[2], samples


def load_checksums() -> dict[str, tuple[int, str]]:
    """(clips, SHA-256 of their samples in order of file name) by speaker."""
    with CHECKSUMS.open("r") as lines:
        rows = csv.DictReader(lines, delimiter="\t")
        return {row["speaker"]: (int(row["clips"]), row["sha256"]) for row in rows}
