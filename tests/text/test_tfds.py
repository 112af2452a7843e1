"""`tfds:NAME`: sets of TensorFlow Datasets, prepared in a temporary folder."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from apps.core.errors import UserError
from apps.text.sources import find
from apps.text.table import Format

ROWS = {
    "train": [("Rain all day", 0), ("two goals in a minute", 1), ("not told", -1)],
    "test": [("sun", 0)],
}


class TinyTopics(tfds.core.GeneratorBasedBuilder):
    """Registered by name, as the sets that TensorFlow Datasets brings are."""

    VERSION = tfds.core.Version("1.0.0")
    name = "tiny_topics"
    topic: tfds.features.FeatureConnector = tfds.features.ClassLabel(
        names=["weather", "sport"]
    )

    def _info(self):
        text = tfds.features.Text()
        features = tfds.features.FeaturesDict(
            {"title": text, "description": text, "topic": self.topic}
        )
        return self.dataset_info_from_configs(features=features, citation="Nobody 2026")

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in ROWS}

    def _generate_examples(self, split):
        for number, (text, topic) in enumerate(ROWS[split]):
            yield number, {"title": "-", "description": text, "topic": topic}


class TinyNumbers(TinyTopics):
    name = "tiny_numbers"
    topic = tfds.features.Scalar(np.int64)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where TFDS prepares what no folder is named for."""
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return tmp_path


def test_a_set_by_name():
    corpus = find("tfds:tiny_topics", Format())
    rows = {
        split: sorted((row.text, row.label) for row in rows)
        for split, rows in corpus.splits.items()
    }
    # The description, not the title; the text whose label is hidden is left out.
    assert rows == {
        "train": [("Rain all day", "weather"), ("two goals in a minute", "sport")],
        "test": [("sun", "weather")],
    }
    assert corpus.splits["test"][0].source == "tfds:tiny_topics test 0"
    assert corpus.description["name"].startswith("tiny_topics/1.0.0")
    assert corpus.description["citation"] == "Nobody 2026"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_set_at_all", "has no set of that name"),
        ("tiny_numbers", "no text with a class label among"),
        ("banking77", "cannot be prepared: Manual directory .* Put train.csv"),
    ],
)
def test_what_is_no_text_set(name, message, capsys):
    with pytest.raises(UserError, match=message):
        find(f"tfds:{name}", Format())
    assert capsys.readouterr().out == ""  # where --json writes
