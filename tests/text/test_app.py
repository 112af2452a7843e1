"""The text application's command line: the whole way on a small CSV, bad input."""

import json
import shutil
import sys

import keras
import numpy as np
import pytest

import seqcore
from apps.core import flags
from apps.core.batches import BucketedBatches, bucket_boundaries
from apps.core.cli import build_parser, main
from apps.core.errors import UserError
from apps.text import APP
from apps.text.batches import WordBatches, class_weights
from apps.text.config import TextConfig
from apps.text.explain import word_effects
from apps.text.task import TextTask, decode, encode
from seqcore import read_metadata
from seqcore.export import ExportError, write_metadata

SMALL = (
    *("--config", "clstm"),
    *("--set", "epochs=8", "--set", "units=8", "--set", "embedding=8"),
    *("--set", "features=601", "--set", "least=1"),
    *("--set", "buckets=2", "--set", "batch_size=32"),
)
CARD, WEATHER = "card lost stolen wallet", "rain sunny cold umbrella"


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "messages.csv"
    lines = ["text,label"]
    for i in range(240):
        words = (CARD, WEATHER)[i % 2].split()
        text = " ".join(rng.choice(words, rng.integers(1, 7)))
        lines.append(f"{text} {i},{('card', 'weather')[i % 2]}")
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def run(messages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("text") / "run"
    arguments = ["train", "--data", str(messages), "--workdir", str(folder), *SMALL]
    assert main(APP, arguments) == 0
    return folder


def answer(capsys, *arguments):
    assert main(APP, [*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_trains_and_every_form_agrees(run, messages, capsys):
    found = {
        form: answer(capsys, "evaluate", run / form, "--data", messages)
        for form in ("model.keras", "saved_model", "model.tflite")
    }
    assert {row["n"] for row in found.values()} == {24}
    assert found["model.keras"]["accuracy"] == 1.0
    assert found["saved_model"]["accuracy"] == 1.0
    assert found["model.tflite"]["accuracy"] == 1.0
    report = (run / "report.md").read_text()
    assert "Most confidently wrong" in report


def test_evaluate_on_the_whole_file(run, messages, capsys):
    row = answer(
        capsys, "evaluate", run / "model.tflite", "--data", messages, "--whole"
    )
    assert row["n"] == 240


def test_predict_and_explain(run, tmp_path, capsys):
    path = tmp_path / "new.txt"
    path.write_text("my WALLET was stolen\n\nCold, cold rain!\n", encoding="utf-8")
    rows = answer(capsys, "predict", run / "model.tflite", path, "--explain")
    assert [row["candidates"][0]["label"] for row in rows] == ["card", "weather"]
    effects = {part["word"]: part["effect"] for part in rows[0]["explanation"]}
    assert list(effects) == ["my", "WALLET", "was", "stolen"]
    assert max(effects, key=lambda word: effects[word]) in ("WALLET", "stolen")


@pytest.mark.parametrize("length", [0, 16])
def test_an_export_is_checked_on_texts(run, tmp_path, monkeypatch, length):
    """Random zeros and ones are all the empty text: a broken file would pass."""
    found = []

    def probes(*arguments, probe_data, **options):
        found.extend(probe_data)
        raise ExportError("seen")

    monkeypatch.setattr(seqcore, "export_saved_model", lambda *_, **__: None)
    monkeypatch.setattr(seqcore, "export_tflite", probes)
    model = str(run / "model.keras")
    more = ["--length", str(length)] if length else []
    assert main(APP, ["export", model, "--out", str(tmp_path / "out"), *more]) == 2
    texts = [probe[0] for probe in found]
    assert any(decode(text).isascii() for text in texts)
    assert not all(decode(text).isascii() for text in texts)
    assert all(len(text) == length for text in texts if length)
    words = keras.saving.load_model(model, compile=False).get_layer("words")
    # More than the one word that is the end of every text.
    assert all(len(row) > 1 and row[0].any() for row in words.many(texts))


def test_exports_a_fixed_length(run, messages, tmp_path, capsys):
    out = tmp_path / "out"
    model, text = run / "model.keras", tmp_path / "text.txt"
    answer(capsys, "export", model, "--out", out, "--length", "64")
    row = answer(capsys, "evaluate", out / "model.tflite", "--data", messages)
    assert row["accuracy"] == 1.0
    text.write_text("lost " * 20)
    line = fails(capsys, "predict", out / "model.tflite", text)
    assert "has 99 bytes: this file takes 64 at most" in line


def test_predict_reads_utf_8_whatever_the_data_was_in(run, tmp_path, capsys):
    """A file that was trained on data in UTF-16 takes UTF-8 as any other."""
    model, text = tmp_path / "model.tflite", tmp_path / "new.txt"
    shutil.copy(run / "model.tflite", model)
    metadata = read_metadata(model)
    metadata["settings"]["encoding"] = "utf-16"
    write_metadata(model, metadata)
    for encoding in ("utf-8", "utf-16"):
        text.write_bytes("WALLET é stolen\nCold Ċ rain\n".encode(encoding))
        more = () if encoding == "utf-8" else ("--encoding", encoding)
        rows = answer(capsys, "predict", model, text, *more)
        assert [row["candidates"][0]["label"] for row in rows] == ["card", "weather"]
        assert rows[1]["file"].endswith("new.txt line 2: Cold Ċ rain")
    assert "add --encoding utf-16" in fails(capsys, "predict", model, text)
    line = fails(capsys, "predict", model, text, "--encoding", "hex")
    assert "encoding hex: there is no such encoding" in line


def test_inspect_takes_the_encoding_that_it_recommends(run, tmp_path, capsys):
    text = tmp_path / "new.txt"
    text.write_bytes("café, cold rain".encode("latin-1"))
    command = ["inspect", run / "model.keras", text, "--out", tmp_path / "out"]
    assert "name it with --encoding NAME" in fails(capsys, *command)
    found = answer(capsys, *command, "--encoding", "latin-1")
    assert found["file"].endswith("line 1: café, cold rain")


def test_columns_by_number_given_either_way(tmp_path, capsys):
    """Also when the run goes on, whose settings the preset knows nothing of."""
    where = ["--workdir", str(tmp_path / "run")]
    given = ["--text-column", "0", "--set", "label_column=1"]
    line = fails(capsys, "train", *where, *given, "--data", "/no/such")
    assert "/no/such: there is no such file" in line
    run, record = flags.training(
        APP, build_parser(APP).parse_args(["train", *where, *given])
    )
    config = record["settings"]
    assert (config.text_column, config.label_column) == ("0", "1")
    run.path.mkdir()
    run.start(APP, record["config"], config, None, "")
    for again in (given, ["--set", "label_column=1"]):
        arguments = ["train", *where, "--resume", *again]
        _, record = flags.training(APP, build_parser(APP).parse_args(arguments))
        assert record["settings"] == config


def test_predict_on_closed_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UserError, match="standard input: is closed"):
        TextTask(TextConfig()).read("-")


def fails(capsys, *arguments):
    assert main(APP, [str(part) for part in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [x for x in captured.err.splitlines() if x.startswith("error: ")]
    assert len(lines) == 1, captured.err
    return lines[0]


def test_evaluate_reads_utf_8_whatever_the_training_data_was_in(run, tmp_path, capsys):
    """Else words of another language would be read as nonsense, without a word."""
    model = tmp_path / "model.tflite"
    shutil.copy(run / "model.tflite", model)
    metadata = read_metadata(model)
    settings = metadata["settings"] | {"encoding": "latin-1", "skip_bad": True}
    write_metadata(model, metadata | {"settings": settings})
    data = tmp_path / "data.csv"
    data.write_bytes("text,label\ncafé,card\nrain,weather\n".encode("latin-1"))
    assert main(APP, ["evaluate", str(model), "--data", str(data), "--whole"]) == 2
    assert "data.csv line 2: byte 0xe9 is not utf-8" in capsys.readouterr().err
    command = ["evaluate", model, "--data", data, "--whole", "--encoding", "latin-1"]
    assert answer(capsys, *command)["n"] == 2


def test_unknown_label_at_evaluation(run, tmp_path, capsys):
    path = tmp_path / "test.csv"
    path.write_text("text,label\nhello,card\nhi,sport\n")
    line = fails(
        capsys, "evaluate", run / "model.tflite", "--data", path, "--split", "test"
    )
    assert "test.csv line 3: the label 'sport' is not one of those trained on" in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no text"),
        (b"\n  \n", "holds no text"),
        (b"fine\n\xff\xfe\n", "line 2: byte 0xff is not utf-8"),
        (b"x" * 10_000_000, "line 1: is 10,000,000 bytes long"),
    ],
)
def test_predict_on_bad_files(run, tmp_path, capsys, content, message):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    assert message in fails(capsys, "predict", run / "model.tflite", path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\na,x\nb,x\n", "every text has the label 'x'"),
        ("text,label\na,x\nb,y\n", "too few to set some aside"),
        ("text,label\na,x\n,y\n", "line 3: the text is empty"),
        ("words,label\na,x\n", "no text column"),
        ("text,label\na,x\nb,y,z\n", "line 3: has 3 fields where 2 are expected"),
    ],
)
def test_training_on_bad_files(tmp_path, capsys, content, message):
    path = tmp_path / "bad.csv"
    path.write_text(content)
    workdir = tmp_path / "run"
    line = fails(capsys, "train", "--data", path, "--workdir", workdir)
    assert message in line
    assert not workdir.exists()


@pytest.mark.parametrize(
    "setting",
    [
        *("model=gru", "dropout=1", "units=0", "validation=1", "text_column=3"),
        *("features=3", "networks=0", "least=0"),
    ],
)
def test_settings_are_checked(setting, messages, tmp_path, capsys):
    line = fails(
        capsys, "train", "--data", messages, "--workdir", tmp_path / "r", "--set",
        setting,
    )  # fmt: skip
    assert setting.split("=")[0] in line


def test_skipped_rows_and_duplicates_are_reported(tmp_path, capsys):
    (tmp_path / "train.csv").write_text("text,label\nGood  day,a\nbye,b\nbad,a,x\n")
    (tmp_path / "val.csv").write_text("text,label\ngood day,a\nnew,b\n")
    task = TextTask(TextConfig(skip_bad=True))
    data = task.load(str(tmp_path), ("train", "val"))
    assert data.description["rows left out"] == 1
    assert data.description["val texts also in train"] == 1
    assert "1 bad rows left out" in capsys.readouterr().err
    with pytest.raises(UserError, match="has no test split"):
        task.load(str(tmp_path), ("test",))


def test_encode_keeps_any_text():
    for text in ("", "héllo 👍", "a\udc80b"):
        value = encode(text)
        assert value.dtype == np.int32 and len(value) >= 1
    assert decode(encode("héllo 👍")) == "héllo 👍"


def texts(lengths):
    return [np.full((n, 22), i + 1, "int32") for i, n in enumerate(lengths)]


def test_batches_depend_on_seed_epoch_and_index_alone():
    lengths = np.random.default_rng(0).geometric(0.1, 300)
    config = TextConfig(batch_size=16, word_dropout=0.3, slot_dropout=0.3, buckets=3)
    made = [WordBatches(texts(lengths), lengths % 3, None, 3, config) for _ in range(2)]
    made[1].epoch = 5
    made[1][3]
    made[1].epoch = 0
    assert len(made[0]) == 300 // 16
    for index in reversed(range(len(made[0]))):
        for a, b in zip(made[0][index], made[1][index], strict=True):
            np.testing.assert_array_equal(a, b)
    first = made[0][0][0]
    made[0].epoch = 1
    assert first.shape != made[0][0][0].shape or (first != made[0][0][0]).any()


def test_buckets_pad_little_and_leave_no_one_out():
    lengths = np.random.default_rng(1).geometric(0.05, 500)
    batches = BucketedBatches(lengths.tolist(), 20, 0, buckets=4)
    seen = batches.order()
    assert len(set(seen)) == len(seen) == 500
    rows = seen.reshape(-1, 20)
    assert all(batches.padded_length(row) >= lengths[row].max() for row in rows)
    padded = sum(20 * batches.padded_length(row) for row in rows)
    assert padded < 0.5 * 500 * lengths.max()
    # Keras infers the shapes of all batches from the first two.
    assert batches.padded_length(rows[0]) != batches.padded_length(rows[1])


def test_boundaries_are_the_cheapest():
    lengths = [1] * 10 + [2] * 10 + [9] * 5 + [10]
    assert bucket_boundaries(lengths, 2).tolist() == [2, 10]
    assert bucket_boundaries(lengths, 9).tolist() == [1, 2, 9, 10]
    assert bucket_boundaries(lengths, 1).tolist() == [10]


def test_class_weights_average_to_one():
    targets = [0] * 90 + [1] * 10
    weights = class_weights(targets, 2)
    assert weights[1] / weights[0] == pytest.approx(3, rel=1e-5)
    assert np.mean([weights[t] for t in targets]) == pytest.approx(1)


def test_word_effects_name_the_word_that_counts():
    def classify(found):
        return [np.array([0.9, 0.1] if "key" in t else [0.2, 0.8]) for t in found]

    effects = word_effects(classify, "the key fits", np.array([0.9, 0.1]))
    assert [e["word"] for e in effects] == ["the", "key", "fits"]
    assert [round(e["effect"], 6) for e in effects] == [0, 0.7, 0]
    assert word_effects(classify, "", np.array([0.2, 0.8])) == []
