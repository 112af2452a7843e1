"""The model in saved_models/ is what its card says."""

import json
from pathlib import Path

import numpy as np
import pytest

from apps.core.cli import main
from apps.speech import APP
from apps.speech.audio import read_audio
from apps.speech.detector import Rule
from apps.speech.stream import detections, open_scorer
from seqcore import read_metadata

FOLDER = Path(__file__).parents[2] / "saved_models" / "arabic_speech_commands_12"
KEYWORDS = (
    "yes",
    "no",
    "up",
    "down",
    "left",
    "right",
    "start",
    "stop",
    "open",
    "close",
)
SHOWN_ACCURACY = 0.96


def test_files():
    assert (FOLDER / "model.tflite").stat().st_size <= 300_000
    assert sum(f.stat().st_size for f in FOLDER.iterdir()) <= 1_500_000
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "CC BY 4.0" in card and "Ghandoura" in card


@pytest.mark.parametrize("name", ["model.tflite", "model.keras"])
def test_predicts_the_example(name, capsys):
    capsys.readouterr()
    recording = FOLDER / "stop.flac"
    arguments = ["predict", str(FOLDER / name), str(recording), "--json", "--top", "12"]
    assert main(APP, arguments) == 0
    ((answer,)) = json.loads(capsys.readouterr().out)
    assert answer["candidates"][0]["label"] == "stop"
    assert answer["candidates"][0]["score"] > 0.5
    labels = {c["label"] for c in answer["candidates"]}
    assert labels == {*KEYWORDS, "unknown", "silence"}


FORTY = FOLDER.with_name("arabic_speech_commands_40")


def test_forty_words(capsys):
    assert (FORTY / "model.tflite").stat().st_size <= 480_000
    card = (FORTY / "README.md").read_text(encoding="utf-8")
    assert "CC BY 4.0" in card and "Ghandoura" in card
    labels = read_metadata(FORTY / "model.tflite")["labels"]
    assert len(labels) == 41 and set(KEYWORDS) < set(labels)
    capsys.readouterr()
    recording = str(FOLDER / "stop.flac")
    arguments = ["predict", str(FORTY / "model.tflite"), recording, "--json"]
    assert main(APP, arguments) == 0
    ((answer,)) = json.loads(capsys.readouterr().out)
    assert answer["candidates"][0]["label"] == "stop"
    assert answer["candidates"][0]["score"] > 0.5


STREAM = FOLDER.with_name("arabic_speech_commands_stream")


def test_streaming_files():
    """At most 250 KB, with a rule whose threshold field-test has chosen."""
    assert (STREAM / "model.tflite").stat().st_size <= 250_000
    card = (STREAM / "README.md").read_text(encoding="utf-8")
    assert "CC BY 4.0" in card and "Ghandoura" in card and "Warden" in card
    for name in ("model.tflite", "model.keras"):
        metadata = read_metadata(STREAM / name)
        rule = Rule.from_metadata(metadata, name)
        assert rule.chunk == 320 and set(rule.ignore) == {"unknown", "silence"}
        assert set(metadata["labels"]) == {*KEYWORDS, "unknown", "silence"}


def test_hears_the_example_in_a_stream(capsys):
    capsys.readouterr()
    arguments = ["listen", str(STREAM / "model.tflite"), "--json"]
    assert main(APP, [*arguments, "--source", str(FOLDER / "stop.flac")]) == 0
    (row,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert row["label"] == "stop" and 0.3 < row["seconds"] <= 1.0


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "n", "shown"), [(FOLDER, 360, SHOWN_ACCURACY), (FORTY, 1320, 0.98)]
)
def test_accuracy_on_the_validation_split(folder, n, shown, real_data, capsys):
    data = real_data / "speech" / "arabic_speech_commands"
    if not data.exists():
        pytest.skip(f"no Arabic Speech Commands in {real_data}")
    capsys.readouterr()
    arguments = ["evaluate", str(folder / "model.tflite"), "--data", str(data)]
    assert main(APP, [*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n"] == n and found["accuracy"] >= shown


def test_the_whole_clip_model_verifies_the_stream():
    """With a rule for both, whose threshold field-test has chosen."""
    scorer = open_scorer(str(STREAM / "model.tflite"), str(FORTY / "model.tflite"))
    written = read_metadata(FORTY / "model.tflite")["verifier"]
    assert scorer.rule.to_json() == written and written["smoothing_ms"] == 400
    # The word as a stream has it: with a second of nothing around it.
    clip = np.pad(read_audio(FOLDER / "stop.flac"), 16_000)
    assert [found.label for found in detections(scorer, [clip])] == ["stop"]
    card = (FORTY / "README.md").read_text(encoding="utf-8")
    assert "--verify" in card and "Warden" in card
