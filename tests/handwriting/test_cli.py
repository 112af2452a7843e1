"""The application from the command line, on a network too small to read well."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from apps.core.cli import main
from apps.handwriting import APP
from apps.handwriting.config import CONFIGS
from apps.handwriting.readers.json_ink import to_json
from apps.handwriting.sources import synthetic
from tests.handwriting import samples

TINY = (
    "epochs=1", "units=6", "filters=8", "layers=1", "synthetic_size=48",
    "batch_size=16", "buckets=2", "resample=1.0", "quantize=dynamic",
)  # fmt: skip


def run(*arguments):
    return main(APP, [str(a) for a in arguments])


def train(workdir, *arguments):
    settings = [part for setting in TINY for part in ("--set", setting)]
    return run("train", "--workdir", workdir, *settings, *arguments)


@pytest.fixture(scope="module")
def ink(tmp_path_factory):
    """A file of the synthetic writer's words, as a user's JSON Lines."""
    import dataclasses

    config = dataclasses.replace(CONFIGS["words"], synthetic_size=40)
    records = synthetic("train", config)
    path = tmp_path_factory.mktemp("ink") / "words.jsonl"
    path.write_text("\n".join(to_json(r) for r in records) + "\n")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory, ink):
    workdir = tmp_path_factory.mktemp("run") / "words"
    assert train(workdir, "--data", ink) == 0
    return workdir


def test_run_directory_is_complete(trained):
    for name in (
        "model.keras",
        "model.tflite",
        "saved_model/saved_model.pb",
        "report.md",
        "model_card.md",
        "metrics.jsonl",
        "figures/worst.png",
    ):
        assert (trained / name).exists(), name
    report = (trained / "report.md").read_text()
    assert "Character error rate" in report
    assert "Worst answers" in report


def answer(capsys, *arguments):
    assert run(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_every_form_reads_the_same(trained, ink, capsys):
    found = {}
    for form in ("model.keras", "saved_model"):
        found[form] = answer(capsys, "evaluate", trained / form, "--data", ink)
    float_file = trained / "quantized" / "none.tflite"
    found["tflite"] = answer(capsys, "evaluate", float_file, "--data", ink)
    rates = [(f["cer"], f["wer"], f["accuracy"], f["n"]) for f in found.values()]
    assert rates[0] == rates[1] == rates[2]
    assert rates[0][3] == 6  # every seventh of 40


def test_tflite_holds_builtins_only_and_its_transcript_is_greedy(trained, ink):
    from ai_edge_litert.interpreter import Interpreter

    from apps.handwriting import readers
    from apps.handwriting.decoding import from_indices, greedy
    from seqcore.export import read_metadata

    path = trained / "model.tflite"
    labels = read_metadata(path)["labels"]
    interpreter = Interpreter(model_path=str(path))
    names = {detail["op_name"] for detail in interpreter._get_ops_details()}
    assert not [n for n in names if n.startswith("Flex") or n == "CUSTOM"]
    runner = interpreter.get_signature_runner()
    for record in readers.collect(ink)[0][:4]:
        found = runner(points=record.ink.points()[None])
        text = greedy(found["scores"][0], labels)
        assert from_indices(found["transcript"][0], labels) == text


def test_predict_gives_candidates(trained, tmp_path, capsys):
    path = tmp_path / "one.json"
    path.write_text(samples.JSON)
    (found,) = answer(capsys, "predict", trained / "model.tflite", path, "--top", 4)
    assert found["file"].endswith("line 1")
    scores = [c["score"] for c in found["candidates"]]
    assert 1 <= len(scores) <= 4
    assert scores == sorted(scores, reverse=True)


def test_lexicon_and_language_model(trained, ink, tmp_path, capsys):
    words = tmp_path / "words.txt"
    words.write_text("see\nsea\nten\n")
    found = answer(capsys, "evaluate", trained / "model.tflite", "--data", ink,
                   "--lm", words, "--lm-weight", "0.3")  # fmt: skip
    assert found["decoder"] == "beam + language model"
    model = trained / "model.tflite"
    answers = answer(capsys, "predict", model, ink, "--lexicon", words, "--top", 1)
    assert {a["candidates"][0]["label"] for a in answers} <= {"see", "sea", "ten"}


@pytest.mark.parametrize("flag", [("--lm-weight", 0.3), ("--lm-unit", "word")])
def test_flags_of_a_language_model_want_one(flag, trained, ink, capsys):
    command = ("evaluate", trained / "model.tflite", "--data", ink, *flag)
    assert f"{flag[0]}: means nothing without --lm" in fails(capsys, *command)


def test_transcripts_of_a_split_are_written_one_a_line(ink, tmp_path, capsys):
    out = tmp_path / "train.txt"
    assert run("transcripts", ink, "--out", out) == 0
    assert "34 transcripts of the train split" in capsys.readouterr().out
    texts = [json.loads(line)["text"] for line in ink.read_text().splitlines()]
    assert out.read_text().splitlines() == [t for i, t in enumerate(texts) if i % 7]


def test_show_draws_with_and_without_a_reading(trained, ink, tmp_path, capsys):
    for name, extra in (
        ("a.svg", ()),
        ("b.png", ("--model", trained / "model.tflite")),
    ):
        assert run("show", ink, "--out", tmp_path / name, *extra) == 0
        assert "40 inks" in capsys.readouterr().out
    assert "<polyline" in (tmp_path / "a.svg").read_text()
    width, height = struct.unpack(">II", (tmp_path / "b.png").read_bytes()[16:24])
    assert width > 300 and height > 300


def fails(capsys, *arguments):
    """The one line that a mistake of the user's gives."""
    capsys.readouterr()
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [x for x in captured.err.splitlines() if x.startswith("error: ")]
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err
    return lines[0]


BAD = {
    "empty stroke": ('{"strokes": [[[0,0],[1,1]], []]}', "stroke 2 has no point"),
    "one point": ('{"strokes": [[[0, 0]]]}', "single point"),
    "NaN": ('{"strokes": [[[0, 0], [NaN, 1]]]}', "point 2"),
    "a million points": (
        '{"strokes": [[' + ",".join(["[1,2]"] * 1_000_000) + "]]}",
        "longer than",
    ),
    "wrong XML": ("<html/>", "expected the root element <ink>"),
    "entity bomb": (samples.ENTITY_BOMB, "refused XML with entities"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_ink_is_one_line_and_status_2(name, trained, tmp_path, capsys):
    text, words = BAD[name]
    path = tmp_path / "bad.json"
    path.write_text(text)
    line = fails(capsys, "predict", trained / "model.tflite", path)
    assert words in line
    assert "bad.json" in line


def test_text_outside_the_alphabet_is_an_error_or_a_skip(trained, tmp_path, capsys):
    path = tmp_path / "ink.jsonl"
    other = samples.JSON.replace('"hi"', '"hé"')
    # The first and every seventh record are the validation split.
    path.write_text("\n".join([other] + [samples.JSON] * 13))
    model = trained / "model.tflite"
    line = fails(capsys, "evaluate", model, "--data", path)
    assert "cannot write 'é'" in line
    assert "line 1" in line
    assert run("evaluate", model, "--data", path, "--skip-bad", "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["n"] == 1
    assert "val: left out 1 of 2 records, whose labels" in captured.err


def test_a_width_of_the_beam_alone_makes_it_a_beam_search(trained, ink, capsys):
    command = ("evaluate", trained / "model.tflite", "--data", ink)
    assert answer(capsys, *command)["decoder"] == "greedy"
    assert answer(capsys, *command, "--beam", 4)["decoder"] == "beam"


def test_a_fixed_length_is_that_of_the_tflite_file_alone(trained, ink, tmp_path):
    assert (
        run("export", trained / "model.keras", "--length", 40, "--out", tmp_path) == 0
    )
    import tensorflow as tf

    serve = tf.saved_model.load(str(tmp_path / "saved_model")).signatures
    points = np.zeros((1, 90, 4), "float32")
    points[0, :, 0] = np.arange(90)
    found = serve["serving_default"](points=points)["scores"]
    assert found.shape[1] > 40
    ninety = tmp_path / "ninety.json"
    ninety.write_text(json.dumps({"strokes": [[[i, i % 7] for i in range(90)]]}))
    assert run("predict", tmp_path / "saved_model", ninety) == 0


def test_other_mistakes_are_one_line(trained, tmp_path, capsys):
    model = trained / "model.tflite"
    assert "no such file" in fails(capsys, "predict", model, tmp_path / "none.json")
    assert "compose=3-" in fails(capsys, "train", "--set", "compose=3-")
    assert "model=lstm: must be" in fails(capsys, "train", "--set", "model=lstm")
    text = tmp_path / "text.txt"
    text.write_text("Straße\n")
    line = fails(capsys, "train", "--workdir", tmp_path / "w", "--set", f"text={text}")
    assert "no 'ß'" in line
    assert not (tmp_path / "w").exists()
    line = fails(capsys, "export", trained / "model.keras", "--out", tmp_path / "x",
                 "--quantize", "int8")  # fmt: skip
    assert "choose from none, float16, dynamic" in line


def test_classifier_from_unipen_end_to_end(tmp_path, capsys):
    rng = np.random.default_rng(0)
    lines = []
    for number in range(66):
        label, writer = number % 2, number % 11 + 1
        lines += [
            f'.SEGMENT DIGIT 0 ? "{label}"',
            f".COMMENT {label} {writer} {number}",
        ]
        angle = np.linspace(0, 6.0 if label else 0.4, 12)
        x, y = 100 + 40 * np.cos(angle), 100 + 40 * np.sin(angle)
        jitter = rng.normal(0, 1, (12, 2))
        points = np.stack([x, y], axis=1) + jitter
        lines += [".PEN_DOWN", *(f" {a:.0f} {b:.0f}" for a, b in points), ".PEN_UP"]
    path = tmp_path / "digits"
    path.write_text("\n".join(lines) + "\n")
    workdir = tmp_path / "run"
    settings = (
        "resample=0.2",
        "epochs=10",
        "learning_rate=0.02",
        "weight_averaging=0",
        "dropout=0",
        "augment=0",
        "buckets=1",
    )
    flags = [part for setting in settings for part in ("--set", setting)]
    assert train(workdir, "--config", "digits", "--data", path, *flags) == 0
    capsys.readouterr()
    found = answer(capsys, "evaluate", workdir / "model.tflite", "--data", path)
    assert found["n"] == 12  # the last two of eleven writers
    assert found["accuracy"] > 0.9
    report = (workdir / "report.md").read_text()
    assert "confusion.png" in report
    # A file of fixed length reads the same, filled up, and says what is too long.
    fixed = tmp_path / "fixed"
    keras_file = workdir / "model.keras"
    assert run("export", keras_file, "--length", 40, "--out", fixed) == 0
    capsys.readouterr()
    again = answer(capsys, "evaluate", fixed / "model.tflite", "--data", path)
    assert again["confusion"] == found["confusion"]
    longer = tmp_path / "long.json"
    longer.write_text(json.dumps({"strokes": [[[i, i % 7] for i in range(41)]]}))
    command = ("evaluate", workdir / "model.tflite", "--data", path, "--lm", path)
    assert "is for transcripts" in fails(capsys, *command)
    assert "is for transcripts" in fails(capsys, *command[:-2], "--beam", 4)
    line = fails(capsys, "predict", fixed / "model.tflite", longer)
    assert "41 points" in line and "40 at most" in line


def test_the_shipped_digits_recogniser_reads_its_example(capsys):
    folder = Path(__file__).parents[2] / "saved_models" / "handwriting_digits"
    model = folder / "model.tflite"
    assert model.stat().st_size <= 200_000
    (found,) = answer(capsys, "predict", model, folder / "eight.json")
    best = found["candidates"][0]
    assert best["label"] == "8"
    assert best["score"] > 0.9


def test_the_shipped_transcriber_reads_its_example(capsys):
    folder = Path(__file__).parents[2] / "saved_models" / "handwriting_words"
    (found,) = answer(capsys, "predict", folder / "model.tflite", folder / "word.json")
    assert found["candidates"][0]["label"] == "letters"
    scores = [c["score"] for c in found["candidates"]]
    assert scores == sorted(scores, reverse=True) and scores[0] < 0
