"""Protects the pieces: batches, metrics, settings, atomic files."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import builders, config, figures, files
from apps.core.batches import Batches, one_hot, padded_batches
from apps.core.errors import UserError
from apps.core.markdown import cell
from apps.core.metrics import classification_metrics
from tests.core.toy import CONFIGS, ToyConfig


class Indices(Batches):
    def make_batch(self, indices, rng):
        return indices, rng.integers(1000)


@given(st.integers(1, 50), st.integers(1, 20), st.integers(0, 5), st.integers(0, 9))
def test_batches_depend_on_seed_epoch_and_index_alone(count, size, seed, epoch):
    one, two = Indices(count, size, seed), Indices(count, size, seed)
    one.epoch = two.epoch = epoch
    forward = [one[i] for i in range(len(one))]
    backward = [two[i] for i in reversed(range(len(two)))][::-1]
    seen = np.concatenate([indices for indices, _ in forward])
    assert len(seen) == len(set(seen.tolist())) == len(one) * min(size, count)
    for (a, m), (b, n) in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(a, b)
        assert m == n


def test_batches_differ_between_epochs():
    batches = Indices(40, 8, 0)
    first = batches[0][0].tolist()
    batches.epoch = 1
    assert batches[0][0].tolist() != first


@given(st.lists(st.integers(1, 4), min_size=1, max_size=30), st.integers(1, 7))
def test_padded_batches_cover_every_example_once(lengths, size):
    inputs = [np.full((n,), i) for i, n in enumerate(lengths)]
    seen = []
    for indices, batch in padded_batches(inputs, size):
        assert len(batch) <= size
        for row, index in zip(batch, indices, strict=False):
            np.testing.assert_array_equal(row, inputs[index])
        seen += indices
    assert sorted(seen) == list(range(len(lengths)))


def test_one_hot():
    np.testing.assert_array_equal(one_hot([2, 0], 3), [[0, 0, 1], [1, 0, 0]])


def test_classification_metrics_by_hand():
    outputs = np.array([[0.8, 0.2, 0], [0.6, 0.4, 0], [0.1, 0.9, 0], [0, 0.5, 0.5]])
    found = classification_metrics([0, 1, 1, 1], list(outputs), ["a", "b", "c"])
    assert found["n"] == 4
    assert found["accuracy"] == 0.75
    assert found["confusion"] == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert found["per_class"]["a"] == {
        "n": 1,
        "recall": 1.0,
        "precision": 0.5,
        "f1": pytest.approx(2 / 3),
    }
    assert found["per_class"]["b"]["recall"] == pytest.approx(2 / 3)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 0.8) / 2)
    expected = -np.log([0.8, 0.4, 0.9, 0.5]).mean()
    assert found["loss"] == pytest.approx(expected)


@pytest.mark.filterwarnings("error")
def test_confusion_of_labels_in_any_letters(tmp_path):
    """A dollar begins no formula, and letters that the font lacks end no training."""
    path = tmp_path / "confusion.png"
    figures.confusion([[2, 0], [1, 1]], ["$5_$ fee", "日本|語"], path)
    assert path.stat().st_size > 3000
    assert cell("日本|語\n") == "日本\\|語"


def test_a_builder_that_is_not_there_is_a_user_error():
    assert builders.is_ours("banking77") and not builders.is_ours("../apps")
    with pytest.raises(UserError, match=r"nothing: has no builder; the repository's"):
        builders.builder_module("nothing")


def test_override_parses_by_type():
    found = config.override(
        CONFIGS["small"], ["epochs=7", "learning_rate=1e-4", "loud=true", "model= x "]
    )
    assert (found.epochs, found.learning_rate, found.loud) == (7, 1e-4, True)
    assert found.model == "x"
    assert CONFIGS["small"].epochs == 6


def test_config_json_round_trip():
    value = dataclasses.replace(CONFIGS["averaged"], seed=5)
    assert config.from_json(ToyConfig, config.to_json(value), "here") == value
    with pytest.raises(UserError, match="here: unknown setting colour"):
        config.from_json(ToyConfig, {"colour": 1}, "here")


def test_replacing_keeps_the_old_file_on_failure(tmp_path):
    path = tmp_path / "value.json"
    files.write_json(path, [1])
    with pytest.raises(RuntimeError), files.replacing(path) as temporary:
        temporary.write_text("[2")
        raise RuntimeError("killed")
    assert files.read_json(path) == [1]
    assert [p.name for p in tmp_path.iterdir()] == ["value.json"]


def test_replacing_a_folder(tmp_path):
    folder = tmp_path / "model"
    for text in ("one", "two"):
        with files.replacing(folder) as temporary:
            temporary.mkdir()
            (temporary / text).write_text(text)
    assert [p.name for p in folder.iterdir()] == ["two"]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_replacing_keeps_the_old_folder_where_the_new_one_cannot_be_moved(
    tmp_path, monkeypatch
):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").touch()
    rename = Path.rename

    def failing(source, target):
        if target == folder and not source.name.endswith(".old"):
            raise PermissionError(13, "Permission denied")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", failing)
    denied = pytest.raises(UserError, match="Permission denied")
    with denied, files.replacing(folder) as temporary:
        temporary.mkdir()
    assert [p.name for p in tmp_path.rglob("*")] == ["model", "old"]


def test_names_too_long_to_write_end_with_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot be written: File name too long"):
        files.write_text(tmp_path / ("x" * 250), "text")


def test_a_fault_while_writing_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), files.replacing(tmp_path / "new"):
        (tmp_path / "another").read_text()


def test_unwritable_place_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        files.write_text(tmp_path / "file" / "below.txt", "x")


def test_read_json_errors_name_the_file(tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    with pytest.raises(UserError, match=r"bad\.json: not valid JSON"):
        files.read_json(bad)
    with pytest.raises(UserError, match=r"no\.json: cannot be read"):
        files.read_json(tmp_path / "no.json")
