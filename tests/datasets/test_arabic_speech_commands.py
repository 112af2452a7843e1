"""Holds the TFDS builder to its interface, on clips made for the purpose."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow_datasets as tfds

module = importlib.import_module(
    "datasets.arabic_speech_commands.arabic_speech_commands_dataset_builder"
)


def prepare(manual, data):
    builder = module.Builder(data_dir=str(data))
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=str(manual), try_download_gcs=False
        )
    )
    return builder


@pytest.fixture
def dummy():
    return Path(module.__file__).parent / "dummy_data"


def test_splits_are_the_tables_and_share_no_clip(dummy, tmp_path):
    """What tfds.testing.DatasetBuilderTestCase checks, without its dependencies."""
    registered = tfds.builder("arabic_speech_commands", data_dir=str(tmp_path / "x"))
    assert isinstance(registered, module.Builder)
    builder = prepare(dummy, tmp_path)
    assert {k: v.num_examples for k, v in builder.info.splits.items()} == {
        "train": 3,
        "validation": 2,
        "test": 1,
    }
    speakers = [
        {e["speaker"] for e in tfds.as_numpy(builder.as_dataset(split=split))}
        for split in builder.info.splits
    ]
    assert len(set.union(*speakers)) == sum(map(len, speakers)) == 4
    tags = set(builder.get_metadata().tags)
    valid = tfds.core.dataset_metadata.valid_tags()
    assert tags and tags <= set(valid)
    assert len(module.WORDS) == len(set(module.WORDS)) == 40


def test_examples(dummy, tmp_path):
    builder = prepare(dummy, tmp_path)
    data = builder.as_dataset(split="train", shuffle_files=False)
    found = {e["file"].decode(): e for e in tfds.as_numpy(data)}
    example = found["dataset/zoom in/00000001_NO_02.flac"]
    clip, rate = soundfile.read(
        str(dummy / "dataset/zoom in/00000001_NO_02.flac"), dtype="int16"
    )
    assert rate == builder.info.features["audio"].sample_rate == 16000
    np.testing.assert_array_equal(example["audio"], clip)
    assert builder.info.features["label"].int2str(example["label"]) == "zoom in"
    assert example["speaker"] == b"00000001_NO"
    assert "Ghandoura" in builder.info.citation


def test_wrong_samples_are_noticed(dummy, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "load_checksums", lambda: {"train": (3, "0" * 64)})
    with pytest.raises(Exception, match="differ from the published ones"):
        prepare(dummy, tmp_path)


def test_a_table_of_another_data_set_is_named(tmp_path):
    (tmp_path / "manual").mkdir()
    (tmp_path / "manual" / "train.csv").write_text(
        "text,category\nhello,card_arrival\n"
    )
    with pytest.raises(ValueError, match=r"train\.csv: has no columns file and class"):
        prepare(tmp_path / "manual", tmp_path / "data")


def test_missing_folder_says_what_to_do(tmp_path):
    (tmp_path / "manual" / "other").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"train\.csv"):
        prepare(tmp_path / "manual", tmp_path / "data")


def test_checksums_of_the_real_recordings(real_data):
    """The recorded digests are those of the published clips."""
    import hashlib

    folder = Path(real_data) / "speech" / "arabic_speech_commands"
    if not folder.exists():
        pytest.skip(f"no Arabic Speech Commands in {real_data}")
    count, expected = module.load_checksums()["validation"]
    digest = hashlib.sha256()
    clips = [c for _, _, c in module.read_clips(folder, folder / "val.csv")]
    for clip in clips:
        digest.update(clip.tobytes())
    assert (len(clips), digest.hexdigest()) == (count, expected)
