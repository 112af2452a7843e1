"""Holds the TFDS builder to its interface, on clips made for the purpose."""

import hashlib
import importlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds

module = importlib.import_module(
    "datasets.free_spoken_digit.free_spoken_digit_dataset_builder"
)
DUMMY = Path(module.__file__).parent / "dummy_data"


def prepare(manual, data):
    builder = module.Builder(data_dir=str(data))
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=str(manual), try_download_gcs=False
        )
    )
    return builder


def test_examples(tmp_path):
    builder = prepare(DUMMY, tmp_path)
    assert {k: v.num_examples for k, v in builder.info.splits.items()} == {"train": 4}
    data = builder.as_dataset(split="train", shuffle_files=False)
    found = {e["file"].decode(): e for e in tfds.as_numpy(data)}
    example = found["7_bob_0.flac"]
    clip, rate = soundfile.read(str(DUMMY / "7_bob_0.flac"), dtype="int16")
    assert rate == builder.info.features["audio"].sample_rate == 8000
    np.testing.assert_array_equal(example["audio"], clip)
    assert builder.info.features["label"].int2str(example["label"]) == "7"
    assert example["speaker"] == b"bob"
    assert "Jackson" in builder.info.citation
    tags = set(builder.get_metadata().tags)
    assert tags and tags <= set(tfds.core.dataset_metadata.valid_tags())


def test_wrong_samples_are_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "load_checksums", lambda: {"bob": (1, "0" * 64)})
    with pytest.raises(Exception, match="clips of bob differ"):
        prepare(DUMMY, tmp_path)


def test_a_clip_in_two_forms_is_not_counted_twice(tmp_path):
    shutil.copytree(DUMMY, tmp_path / "manual")
    clip, rate = soundfile.read(str(DUMMY / "7_bob_0.flac"), dtype="int16")
    soundfile.write(str(tmp_path / "manual" / "7_bob_0.wav"), clip, rate)
    with pytest.raises(ValueError, match=r"7_bob_0\..*the same clip is there as 7_bob"):
        prepare(tmp_path / "manual", tmp_path / "data")


def test_missing_recordings_say_what_to_do(tmp_path):
    (tmp_path / "manual" / "other").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="DIGIT_SPEAKER_TAKE"):
        prepare(tmp_path / "manual", tmp_path / "data")


def test_checksums_of_the_real_recordings(real_data):
    folder = Path(real_data) / "speech" / "free_spoken_digit"
    if not folder.exists():
        pytest.skip(f"no Free Spoken Digit in {real_data}")
    count, expected = module.load_checksums()["jackson"]
    digest = hashlib.sha256()
    clips = [c for _, _, s, c in module.read_clips(folder) if s == "jackson"]
    for clip in clips:
        digest.update(clip.tobytes())
    assert (len(clips), digest.hexdigest()) == (count, expected)
