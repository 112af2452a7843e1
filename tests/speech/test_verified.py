"""Two models on one stream: the second is asked where the first hears a word."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import seqcore
from apps.core.cli import main
from apps.core.config import to_json
from apps.speech import APP, models
from apps.speech.config import CONFIGS
from apps.speech.detector import Detector, Rule
from apps.speech.stream import Stream, Verified, detections
from tests.speech.conftest import LABELS, RATE, RULE, tone

CONFIG = dataclasses.replace(CONFIGS["crnn"], filters=2, units=4)
KNOWN = ["silence", "mid", "other", "low", "high"]
"""Labels of the verifier: in another order, and one that the stream has not."""


def write_verifier(path, labels):
    keras.utils.set_random_seed(4)
    metadata = {"app": "speech", "labels": labels, "settings": to_json(CONFIG)}
    model = models.build(CONFIG, len(labels))
    seqcore.export_tflite(model, path, metadata=metadata, verbose=False)
    return model


@pytest.fixture(scope="module")
def verifier(tmp_path_factory):
    """Its folder, and the model in it."""
    folder = tmp_path_factory.mktemp("verifier")
    return folder, write_verifier(folder / "whole.tflite", KNOWN)


@pytest.fixture
def verified(stream_files, verifier):
    stream = Stream(str(stream_files / "model.tflite"))
    return Verified(stream, str(verifier[0] / "whole.tflite"))


@pytest.fixture
def sound():
    rng = np.random.default_rng(2)
    parts = [tone(hertz) for hertz in (2500, 300)]
    return (np.concatenate(parts) + rng.normal(0, 0.02, 2 * RATE)).astype("f4")


def all_scores(scorer, pieces):
    scorer.reset()
    return np.array([row for piece in pieces for row in scorer.feed(piece)])


def test_scores_are_the_mean_of_both(verified, verifier, stream_files, sound):
    scores = all_scores(verified, [sound])
    alone = all_scores(Stream(str(stream_files / "model.tflite")), [sound])
    assert scores.shape == alone.shape == (100, 4)
    assert not scores[:4].any()  # it is asked at every fifth chunk, not before
    assert (alone[:, :3].max(axis=1) > 0.1).all()
    for chunk in (4, 49, 77, 99):
        asked = (chunk + 1) // 5 * 5
        heard = np.concatenate([np.zeros(RATE, "f4"), sound[: asked * 320]])[-RATE:]
        silence, mid, _, low, high = verifier[1].predict_on_batch(heard[None])[0]
        expected = alone[chunk] ** 0.3 * np.array([high, low, mid, silence]) ** 0.7
        np.testing.assert_allclose(scores[chunk], expected, atol=1e-4)


def test_it_is_asked_only_where_the_stream_hears_a_word(verified, monkeypatch):
    asked = []
    monkeypatch.setattr(
        verified, "opinion", lambda clip: asked.append(clip) or np.ones(4, "f4")
    )
    given = np.full((20, 4), 0.02, "f4")
    given[:, 3] = 0.94  # silence is no word
    given[7:12, 1] = 0.5
    rows = iter(given)
    monkeypatch.setattr(verified._stream, "step", lambda chunk: next(rows))
    scores = np.array([verified.step(np.full(320, i, "f4")) for i in range(20)])
    # At chunk 9 alone (of 4, 9, 14 and 19), and its opinion holds until 14.
    assert len(asked) == 1
    np.testing.assert_array_equal(asked[0][-3200::320], np.arange(10))
    assert scores[9:14].all() and not scores[:9].any() and not scores[14:].any()
    np.testing.assert_allclose(scores[10], given[10] ** 0.3, rtol=1e-5)


def test_words_that_the_stream_calls_unknown(verified):
    stream = verified._stream
    stream.labels = ("low", "high", "unknown", "silence")
    again = Verified(stream, verified.path)
    # silence, mid, other, low, high
    np.testing.assert_array_equal(np.arange(1, 6) @ again._columns, [4, 5, 2 + 3, 1])


def test_any_pieces_give_the_same_scores(verified, sound):
    whole = all_scores(verified, [sound])
    assert whole[10:].all()
    for size in (320, 999):
        pieces = np.split(sound[: RATE // 2], range(size, RATE // 2, size))
        found = all_scores(verified, pieces)
        assert len(found) == 25
        np.testing.assert_array_equal(found, whole[:25])


def test_listen_with_a_verifier(verified, stream_files, sound, tmp_path, capsys):
    import soundfile

    path = tmp_path / "long.wav"
    soundfile.write(path, sound, RATE, "FLOAT")
    arguments = ["listen", str(stream_files / "model.tflite"), "--json"]
    arguments += ["--verify", verified.path, "--source", str(path)]
    assert main(APP, [*arguments, "--threshold", "0.1"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    rule = dataclasses.replace(RULE, smoothing_ms=400, threshold=0.1)
    assert dataclasses.replace(verified.rule, threshold=0.1) == rule
    verified.rule = rule
    verified.reset()
    expected = list(detections(verified, [sound]))
    assert rows == [dataclasses.asdict(found) for found in expected] and expected
    detector = Detector(rule, LABELS)
    found = [detector.step(row) for row in all_scores(verified, [sound])]
    assert [x for x in found if x] == expected


def test_a_field_test_writes_into_the_verifier(
    verifier, stream_files, word_folder, tmp_path, capsys
):
    model, second = tmp_path / "model.tflite", tmp_path / "whole.tflite"
    model.write_bytes((stream_files / "model.tflite").read_bytes())
    second.write_bytes((verifier[0] / "whole.tflite").read_bytes())
    arguments = ["field-test", str(model), "--verify", str(second), "--keywords"]
    arguments += [str(word_folder), "--background"]
    arguments += [str(word_folder / "_background_noise_"), "--hours", "0.01", "--json"]
    assert main(APP, arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verify"] == str(second)
    assert model.read_bytes() == (stream_files / "model.tflite").read_bytes()
    written = seqcore.read_metadata(second)["verifier"]
    rule = Rule(threshold=found["threshold"], smoothing_ms=400, refractory_ms=100)
    assert written == rule.to_json()
    assert Verified(Stream(str(model)), str(second)).rule == rule


def test_what_cannot_verify(stream_files, verifier, fails, tmp_path):
    common = ("listen", stream_files / "model.tflite", "--source", tmp_path / "x")
    line = fails(*common, "--verify", stream_files / "model.keras")
    assert "only a .tflite file verifies" in line
    write_verifier(tmp_path / "few.tflite", ["high", "low", "silence"])
    line = fails(*common, "--verify", tmp_path / "few.tflite")
    assert line.endswith(f"--verify {tmp_path / 'few.tflite'}: does not know 'mid'")
