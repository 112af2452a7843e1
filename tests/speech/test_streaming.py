"""A streaming model: the same scores in pieces as at once, and what is made of them.

One small untrained model serves all; its numbers mean nothing, and must agree.
"""

import dataclasses
import json

import keras
import numpy as np
import pytest
import soundfile

import seqcore
from apps.core.cli import main
from apps.core.errors import UserError
from apps.speech import APP, models
from apps.speech.adapt import adopt
from apps.speech.config import CONFIGS
from apps.speech.detector import detect
from apps.speech.features import LogMelSpectrogram
from apps.speech.stream import Stream
from apps.speech.task import SpeechTask
from tests.speech.conftest import LABELS, RATE, RULE, STREAM_CONFIG, tone

SECONDS = 3


@pytest.fixture
def sound():
    rng = np.random.default_rng(2)
    parts = [tone(hertz) for hertz in (2500, 300, 900)]
    return (np.concatenate(parts) + rng.normal(0, 0.02, SECONDS * RATE)).astype("f4")


def all_scores(stream, pieces):
    stream.reset()
    return np.array([row for piece in pieces for row in stream.feed(piece)])


def test_the_last_second_is_the_whole_clip(stream_model, stream_files, sound):
    stream = Stream(str(stream_files / "model.tflite"))
    scores = all_scores(stream, [sound[:RATE]])
    assert scores.shape == (50, len(LABELS))
    expected = stream_model.predict_on_batch(sound[None, :RATE])[0]
    np.testing.assert_allclose(scores[-1], expected, atol=1e-5)
    np.testing.assert_allclose(stream.classify(sound[:RATE]), expected, atol=1e-5)


def test_training_sees_what_the_stream_does(stream_model, stream_files, sound):
    """Clip after clip, with the state that the stream has by then."""
    found = models.joined(stream_model, SECONDS).predict_on_batch(sound[None])[0]
    scores = all_scores(Stream(str(stream_files / "model.tflite")), [sound])
    np.testing.assert_allclose(found, scores[49::50], atol=1e-5)
    # The first clip finds the state at zero, the others do not.
    alone = stream_model.predict_on_batch(sound.reshape(SECONDS, RATE))
    np.testing.assert_allclose(found[0], alone[0], atol=1e-5)
    assert np.abs(found[1:] - alone[1:]).max() > 1e-4


def test_any_pieces_give_the_same_detections(stream_files, sound):
    stream = Stream(str(stream_files / "model.tflite"))
    whole = all_scores(stream, [sound])
    for size in (1, 320, 999):
        pieces = np.split(sound[: RATE // 4], range(size, RATE // 4, size))
        found = all_scores(stream, pieces)
        np.testing.assert_array_equal(found, whole[: len(found)])
    assert detect(RULE, LABELS, whole)  # or nothing was compared


def test_features_of_a_stream(sound, tmp_path):
    samples = keras.Input((RATE,))
    frames = LogMelSpectrogram(padding="causal")(samples)
    model = keras.Model(samples, frames)
    assert model.output_shape == (None, 50, 40)
    # Check against librosa's frames in test_features.py: causal only adds zeros.
    plain = LogMelSpectrogram()(np.pad(sound[None, :RATE], [[0, 0], [160, 0]]))
    np.testing.assert_allclose(model(sound[None, :RATE]), plain, atol=1e-5)
    report = seqcore.export_tflite(
        model, tmp_path / "m.tflite", streaming=True, chunk=320, verbose=False
    )
    # The exporter compares every frame of the stream with the whole clip's.
    assert report.max_difference < 1e-5


def test_listen(stream_files, sound, tmp_path, capsys):
    soundfile.write(tmp_path / "long.flac", sound, RATE, "PCM_24")
    arguments = ["listen", str(stream_files / "model.tflite"), "--json"]
    assert main(APP, [*arguments, "--source", str(tmp_path / "long.flac")]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    scores = all_scores(Stream(str(stream_files / "model.tflite")), [sound])
    expected = detect(RULE, LABELS, scores)
    assert [(r["label"], r["seconds"]) for r in rows] == [
        (d.label, d.seconds) for d in expected
    ]
    assert rows and "silence" not in {r["label"] for r in rows}


def test_listen_refuses(stream_files, fails, tmp_path):
    model = stream_files / "model.tflite"
    assert "no such recording" in fails("listen", model, "--source", tmp_path / "x")
    assert "only a .tflite" in fails("listen", stream_files / "model.keras")
    line = fails("listen", model, "--source", tmp_path / "x", "--threshold", "7")
    assert "--threshold: threshold 7.0" in line


def test_selected_words_and_the_rest(stream_files, sound, tmp_path):
    arguments = ["select", str(stream_files / "model.keras"), "--words", "low"]
    assert main(APP, [*arguments, "--quantize", "none", "--out", str(tmp_path)]) == 0
    stream = Stream(str(tmp_path / "model.tflite"))
    assert stream.labels == ("low", "unknown", "silence")
    whole = Stream(str(stream_files / "model.tflite"))
    high, low, mid, silence = whole.classify(sound[:RATE])
    # One word and two others, together as frequent as the one: a half each.
    expected = np.array([low, 0.5 * (high + mid), silence])
    expected /= expected.sum()
    np.testing.assert_allclose(stream.classify(sound[:RATE]), expected, atol=1e-6)


def test_a_word_of_selected_ones(stream_files, sound, tmp_path):
    """Of a model with `unknown`, whose words weigh in it as they were weighed."""
    two, one = tmp_path / "two", tmp_path / "one"
    for source, words, out in (
        (stream_files, "low,mid", two),
        (two, "low", one),
    ):
        named = ["select", str(source / "model.keras"), "--words", words]
        assert main(APP, [*named, "--quantize", "none", "--out", str(out)]) == 0
    low, mid, unknown, silence = Stream(str(two / "model.tflite")).classify(
        sound[:RATE]
    )
    found = Stream(str(one / "model.tflite"))
    assert found.labels == ("low", "unknown", "silence")
    # One word, and one with an unknown as frequent as two: a third each.
    expected = np.array([low, (mid + unknown) / 3, silence])
    expected /= expected.sum()
    np.testing.assert_allclose(found.classify(sound[:RATE]), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("loud", "'loud' is no word"),
        ("high,low,mid", "must be left"),
        ("", "names no word"),
    ],
)
def test_words_that_cannot_be_selected(stream_files, fails, tmp_path, words, part):
    out = tmp_path / "out"
    model = stream_files / "model.keras"
    assert part in fails("select", model, "--words", words, "--out", out)
    assert not out.exists()


def test_adapting_begins_with_what_is_known(stream_model, stream_files):
    classes = ["mid", "new", "high"]
    fresh = models.build(STREAM_CONFIG, len(classes))
    new = fresh.get_layer("classes").get_weights()[0][:, 1].copy()
    assert adopt(fresh, classes, str(stream_files)) == 2
    kernel = stream_model.get_layer("classes").get_weights()[0]
    found = fresh.get_layer("classes").get_weights()[0]
    np.testing.assert_array_equal(found, np.stack([kernel[:, 2], new, kernel[:, 0]], 1))
    np.testing.assert_array_equal(_lstm(fresh), _lstm(stream_model))
    other = models.build(dataclasses.replace(STREAM_CONFIG, units=21), len(classes))
    with pytest.raises(UserError, match="units=14"):
        adopt(other, classes, str(stream_files))
    tflite = str(stream_files / "model.tflite")
    with pytest.raises(UserError, match=f"--adapt {tflite}: must be a .keras file"):
        adopt(other, classes, tflite)


def _lstm(model):
    (layer,) = (x for x in model.layers if isinstance(x, seqcore.LSTM))
    return layer.get_weights()[0]


def test_adapting_to_a_few_takes(stream_files, word_folder, capsys):
    """One epoch of the configuration made for that, without the exports."""
    config = dataclasses.replace(
        CONFIGS["adapt"],
        filters=2,
        units=14,
        words="high, low",
        adapt=str(stream_files),
        label_smoothing=0.0,
    ).validated()
    task = SpeechTask(config)
    data = task.load(str(word_folder), ("train",))
    model = task.build_model(data)
    assert "knows 4 of 5 classes" in capsys.readouterr().err
    batches = task.training_batches(data.splits["train"])
    sequences, targets = batches[0]
    assert sequences.shape == (4, 4 * RATE) and targets.shape == (4, 4, 5)
    part = task.trained_part(model)
    task.compile(part, keras.optimizers.Adam(1e-3))
    before = _lstm(model).copy()
    part.fit(batches, epochs=1, verbose=0)
    assert np.abs(_lstm(model) - before).max() > 0
    assert model.predict_on_batch(sequences[:, :RATE]).shape == (4, 4)


def test_too_few_takes_for_a_sequence(word_folder):
    config = dataclasses.replace(CONFIGS["adapt"], joined_clips=30, batch_size=30)
    task = SpeechTask(dataclasses.replace(config, val_speakers="b, c, d"))
    data = task.load(str(word_folder), ("train",))
    with pytest.raises(UserError, match="at least 30 are needed"):
        task.training_batches(data.splits["train"])
