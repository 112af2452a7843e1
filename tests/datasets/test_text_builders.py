"""Hold the BANKING77 and SNIPS builders to their interface, on made-up copies."""

import importlib

import pytest
import tensorflow_datasets as tfds
from etils import epath

from apps.text.sources import find
from apps.text.table import Format

NAMES = ("banking77", "snips")


def module_of(name):
    return importlib.import_module(f"datasets.{name}.{name}_dataset_builder")


def dummy_of(name):
    return epath.Path(module_of(name).__file__).parent / "dummy_data"


@pytest.mark.parametrize("name", NAMES)
def test_prepares_from_a_local_copy(name, tmp_path):
    builder = module_of(name).Builder(data_dir=str(tmp_path))
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=str(dummy_of(name)))
    )
    counts = {k: v.num_examples for k, v in builder.info.splits.items()}
    assert counts == ({"train": 3, "test": 1} if name == "banking77" else {"train": 7})
    data = tfds.as_numpy(builder.as_dataset(split="train"))
    label = builder.info.features["label"]
    found = {(e["text"].decode(), label.int2str(e["label"])) for e in data}
    expected = (
        ("I lost my card, help!", "lost_card")
        if name == "banking77"
        else ("please do GetWeather à Rome now", "GetWeather")
    )
    assert expected in found
    tags = set(builder.get_metadata().tags)
    assert tags and tags <= set(tfds.core.dataset_metadata.valid_tags())


@pytest.mark.parametrize("name", NAMES)
def test_the_application_reads_the_same_copy(name):
    corpus = find(str(dummy_of(name)), Format())
    assert len(corpus.splits["train"]) == (3 if name == "banking77" else 7)
    assert corpus.description["licence"] in ("CC BY 4.0", "CC0")


def test_an_intent_that_is_not_listed_is_named(tmp_path):
    for path in dummy_of("banking77").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "train.csv").write_text("text,category\nhello,greeting\n")
    with pytest.raises(ValueError, match=r"line 2: 'greeting' is not in"):
        list(module_of("banking77").read(tmp_path, "train"))


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "rows", "labels"), [("banking77", 10_003, 77), ("snips", 13_784, 7)]
)
def test_real_copy(real_data, name, rows, labels):
    splits = find(str(real_data / "text" / name), Format()).splits
    assert len(splits["train"]) == rows
    assert len({row.label for row in splits["train"]}) == labels
