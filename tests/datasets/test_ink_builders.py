"""The builders of ink: splits by writer, points as the readers give them."""

import importlib
import shutil
from pathlib import Path

import pytest
import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.core.dataset_metadata import valid_tags

EXPECTED = {
    "pendigits": {"train": 9, "validation": 2, "test": 2},
    "gw_online": {"train": 3, "validation": 1},
    "iam_ondb": {"train": 2, "validation": 1},
}


def module(name):
    return importlib.import_module(f"datasets.{name}.{name}_dataset_builder")


def prepare(name, manual, data):
    builder = module(name).Builder(data_dir=str(data))
    config = tfds.download.DownloadConfig(manual_dir=str(manual))
    builder.download_and_prepare(download_config=config)
    return builder


@pytest.mark.parametrize("name", EXPECTED)
def test_splits_share_no_writer(name, tmp_path):
    dummy = epath.Path(module(name).__file__).parent / "dummy_data"
    builder = prepare(name, dummy, tmp_path)
    found = {split: info.num_examples for split, info in builder.info.splits.items()}
    assert found == EXPECTED[name]
    writers = []
    for split in found:
        examples = list(tfds.as_numpy(builder.as_dataset(split=split)))
        writers.append({e["writer"] for e in examples})
        for example in examples:
            assert example["points"].shape[1] == 4
            assert example["points"][-1, 3] == 1
    assert sum(map(len, writers)) == len(set.union(*writers))
    assert builder.info.citation.startswith("@")
    tags = set(builder.get_metadata().tags)
    assert tags and tags <= set(valid_tags())


@pytest.mark.parametrize("name", EXPECTED)
def test_nothing_there_says_what_to_put_there(name, tmp_path):
    (tmp_path / "manual").mkdir()
    (tmp_path / "manual" / "notes.md").write_text("nothing here yet")
    with pytest.raises(ValueError, match="into the manual directory"):
        prepare(name, tmp_path / "manual", tmp_path / "data")


@pytest.mark.parametrize("name", EXPECTED)
def test_a_folder_of_its_own_in_the_directory_of_all(name, tmp_path):
    manual = tmp_path / "manual"
    dummy = Path(module(name).__file__).parent / "dummy_data"
    shutil.copytree(dummy, manual / name)
    other = "gw_online" if name == "pendigits" else "pendigits"
    dummy = Path(module(other).__file__).parent / "dummy_data"
    shutil.copytree(dummy, manual, dirs_exist_ok=True)
    builder = prepare(name, manual, tmp_path / "data")
    found = {split: info.num_examples for split, info in builder.info.splits.items()}
    assert found == EXPECTED[name]


def test_gw_takes_all_its_archives_and_no_other_ink(tmp_path):
    dummy = Path(module("gw_online").__file__).parent / "dummy_data"
    manual = tmp_path / "manual"
    manual.mkdir()
    for page in dummy.iterdir():
        shutil.make_archive(str(manual / page.name), "zip", dummy, page.name)
    builder = prepare("gw_online", manual, tmp_path / "data")
    assert sum(s.num_examples for s in builder.info.splits.values()) == 4
    pendigits = Path(module("pendigits").__file__).parent / "dummy_data"
    shutil.copytree(pendigits, manual, dirs_exist_ok=True)
    with pytest.raises(ValueError, match="is no word of GW-online"):
        prepare("gw_online", manual, tmp_path / "again")


def test_lines_without_transcripts_say_what_to_unpack(tmp_path):
    dummy = Path(module("iam_ondb").__file__).parent / "dummy_data"
    shutil.copytree(dummy, tmp_path / "iam_ondb")
    shutil.rmtree(tmp_path / "iam_ondb" / "ascii")
    with pytest.raises(ValueError, match=r"has no transcript.*ascii-all"):
        prepare("iam_ondb", tmp_path, tmp_path / "data")


def test_iam_transcripts(tmp_path):
    dummy = epath.Path(module("iam_ondb").__file__).parent / "dummy_data"
    builder = prepare("iam_ondb", dummy, tmp_path)
    examples = tfds.as_numpy(builder.as_dataset(split="train"))
    assert {e["label"] for e in examples} == {b"A MOVE to", b"stop Mr."}
    assert {e["writer"] for e in examples} == {b"10102"}
