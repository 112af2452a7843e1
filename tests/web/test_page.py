"""What the page promises beside its answers: size, cache, keyboard, plain words."""

import json
import os
import shutil
import time
import zipfile
from pathlib import Path

import pytest

from apps.web import build as builder
from apps.web.__main__ import main
from apps.web.build import build
from seqcore.export.metadata import append_to_tflite, read_metadata
from tests.web.conftest import SAVED
from tests.web.test_speak import real_clips, recording

DIGITS = SAVED / "handwriting_digits" / "model.tflite"
SPEECH = SAVED / "arabic_speech_commands_12" / "model.tflite"
STREAM = SAVED / "arabic_speech_commands_stream" / "model.tflite"
MOST_BYTES = 15_000_000


def bare(path) -> bytes:
    """A shipped file without its metadata."""
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return content[: archive.infolist()[0].header_offset]


def test_first_visit_is_small_and_the_second_needs_no_network(browse, record_property):
    result = browse("visits")["result"]
    size = result["firstVisit"] / 1e6
    record_property("measured", f"first visit, all panels: {size:.1f} MB")
    assert 0 < result["firstVisit"] < MOST_BYTES, result["sizes"]
    assert result["offline"] in ("lost_or_stolen_card", "compromised_card")
    assert result["asked"] == []


def test_own_files_are_taken_or_refused_with_a_sentence(browse, tmp_path):
    metadata = read_metadata(DIGITS)
    model = bare(DIGITS)
    listening = read_metadata(STREAM)
    detector = listening["detector"] | {"chunk": 160}
    files = {
        "mine.tflite": DIGITS.read_bytes(),
        "notes.tflite": b"these are my notes, not a model",
        "empty.tflite": b"",
        "bare.tflite": model,
        "broken-zip.tflite": DIGITS.read_bytes()[:-400]
        + bytes(378)
        + DIGITS.read_bytes()[-22:],
        "speech.tflite": SPEECH.read_bytes(),
        "other.tflite": append_to_tflite(model, metadata | {"app": "weather"}),
        "unlabelled.tflite": append_to_tflite(model, metadata | {"labels": []}),
        "numbers.tflite": append_to_tflite(model, metadata | {"labels": [*range(10)]}),
        "half-chunks.tflite": append_to_tflite(
            bare(STREAM), listening | {"detector": detector}
        ),
        "few-labels.tflite": append_to_tflite(model, metadata | {"labels": ["a", "b"]}),
        "micro.tflite": append_to_tflite(
            model,
            metadata | {"seqcore": metadata["seqcore"] | {"lowering": "fused"}},
        ),
        # The last: it may crash the engine.
        "cut.tflite": append_to_tflite(model[: len(model) // 2], metadata),
    }
    drops = []
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        drops.append(str(tmp_path / name))
    found = browse("own", drops=drops)
    answers = dict(zip(files, found["result"], strict=True))
    taken = answers.pop("mine.tflite")
    assert taken == {"problem": "", "title": "mine.tflite"}
    expected = {
        "notes.tflite": "not a .tflite file",
        "empty.tflite": "not a .tflite file",
        "bare.tflite": "not exported by",
        "cut.tflite": "damaged",
        "broken-zip.tflite": "metadata cannot be read",
        "speech.tflite": "a model for Speak",
        "other.tflite": "weather",
        "unlabelled.tflite": "no labels",
        "numbers.tflite": "labels that are not texts",
        "half-chunks.tflite": "its stream takes 320 samples, its detector 160",
        "few-labels.tflite": "names 2 labels and scores 10",
        "micro.tflite": "microcontrollers",
    }
    for name, words in expected.items():
        problem = answers[name]["problem"]
        assert words in problem, (name, problem)
        # A sentence that names the file, and no stack trace.
        assert problem.startswith(name) and problem.endswith(".")
        assert "\n" not in problem and " at " not in problem
        assert answers[name]["title"] != name


def test_trouble_is_told_in_words(browse):
    result = browse("trouble")["result"]
    assert "microphone" in result["microphone"]
    assert "notes.txt" in result["recording"]
    assert "WebAssembly" in result["webAssembly"]
    assert "missing on the server" in result["model"]
    assert "engine could not be loaded" in result["engine"]
    assert "list of models" in result["list"]
    assert result["listAfterwards"] == 0
    assert (result["example"], result["cards"]) == (0, 1)
    assert result["theme"] == "dark"


def test_what_comes_late_disturbs_nothing(browse):
    result = browse("late")["result"]
    assert result["tracks"] == ["ended"]
    assert result["written"] > 0
    assert result["chosen"] == 2 * [["Digits", "dynamic"]]
    assert "/handwriting_digits/eight.json?" in result["example"]


@pytest.fixture(scope="module")
def with_float(tmp_path_factory, built, serve):
    """A page with the digits alone, in both variants."""
    saved = tmp_path_factory.mktemp("saved")
    (saved / "digits").symlink_to(DIGITS.parent)
    (saved / "banking77").symlink_to(SAVED / "banking77")
    out = tmp_path_factory.mktemp("web") / "both"
    build(out, saved)
    return saved, out, serve(out)


def test_keyboard_alone_draws_chooses_and_moves(browse, with_float):
    _, folder, address = with_float
    entry, _ = json.loads((folder / "models.json").read_text())["models"]
    assert [v["quantize"] for v in entry["variants"]] == ["dynamic", "none"]
    result = browse("keys", at=address)["result"]
    assert result["drawn"] == "1"
    assert result["afterUndo"] == 0
    assert result["variant"] == "float"
    assert result["shown"] == ["type"]
    assert result["focused"] == "tab-type"


def test_float_variant_is_kept_while_its_weights_are(with_float):
    saved, folder, _ = with_float
    path = folder / "models" / "digits" / "float.tflite"
    assert read_metadata(path)["seqcore"]["quantize"] == "none"
    before = path.stat().st_mtime_ns
    build(folder, saved)
    assert path.stat().st_mtime_ns == before


@pytest.mark.usefixtures("built")
def test_a_build_follows_what_it_is_made_of(tmp_path):
    saved, out = tmp_path / "saved", tmp_path / "page"
    shutil.copytree(SAVED / "banking77", saved / "texts")
    (saved / "texts" / "short.txt").write_text("hello\n")
    (saved / "sounds").symlink_to(SAVED / "arabic_speech_commands_40")

    def built_again() -> tuple[list[str], str]:
        build(out, saved, float_variants=False)
        models = json.loads((out / "models.json").read_text())["models"]
        return models[-1]["examples"], (out / "files.js").read_text()

    started = time.time()
    (queries, short), files = built_again()
    # A server takes a file for unchanged that keeps the date of its source.
    assert (out / "page" / "main.js").stat().st_mtime >= started - 1
    (saved / "sounds").unlink()
    (saved / "texts" / "short.txt").unlink()
    (saved / "texts" / "queries.txt").write_text("where is my card?\n")
    (changed,), changed_files = built_again()
    assert short.startswith("models/texts/short.txt?")
    assert changed.startswith("models/texts/queries.txt?") and changed != queries
    assert changed_files != files
    left = {p.relative_to(out / "models").as_posix() for p in out.glob("models/**/*")}
    assert left == {"texts", "texts/dynamic.tflite", "texts/queries.txt"}


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("key", ["settings", "seqcore", "labels"])
def test_a_build_names_the_metadata_that_is_missing(tmp_path, capsys, key):
    folder = tmp_path / "saved" / "mine"
    folder.mkdir(parents=True)
    metadata = read_metadata(DIGITS)
    del metadata[key]
    (folder / "model.tflite").write_bytes(append_to_tflite(bare(DIGITS), metadata))
    out = str(tmp_path / "page")
    assert main(["build", "--out", out, "--models", str(folder.parent)]) == 2
    error = capsys.readouterr().err
    assert str(folder) in error and f"'{key}'" in error


def test_panels_are_accessible_and_fit(browse, tmp_path):
    """With SEQCORE_SCREENSHOTS, also writes pictures of the panels to that folder."""
    folder = os.environ.get("SEQCORE_SCREENSHOTS")
    sound = None
    if folder and (data := os.environ.get("SEQCORE_DATA")):
        sound = str(tmp_path / "words.wav")
        recording(real_clips(Path(data) / "speech" / "arabic_speech_commands"), sound)
    found = browse(
        "looks",
        folder=folder and str(Path(folder).resolve()),
        recording=sound,
        text="I forgot my PIN, how do I unlock it?",
    )
    assert not found["result"], "\n".join(found["result"])
    assert not found["problems"]


def test_a_build_that_failed_can_be_done_again(tmp_path, monkeypatch, capsys):
    """As when somebody has read that npm ci is missing, and has run it."""
    monkeypatch.setattr(builder, "PACKAGES", tmp_path / "none")
    for _ in range(2):
        assert main(["build", "--out", str(tmp_path / "page")]) == 2
        assert "npm ci" in capsys.readouterr().err


def test_command_line_refuses_with_one_line(tmp_path, capsys):
    (tmp_path / "precious.txt").write_text("mine")
    assert main(["build", "--out", str(tmp_path)]) == 2
    assert (
        main(["build", "--out", str(tmp_path / "new"), "--models", str(tmp_path)]) == 2
    )
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("error: ") for line in lines)
    assert (tmp_path / "precious.txt").read_text() == "mine"
