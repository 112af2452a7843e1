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
from apps.core.config import to_json
from apps.core.errors import UserError
from apps.core.training import save_model
from apps.speech import APP, field, models
from apps.speech.adapt import adopt
from apps.speech.config import CONFIGS, STREAM_CHUNK
from apps.speech.detector import Rule, Stream, detect
from apps.speech.features import LogMelSpectrogram
from apps.speech.task import SpeechTask
from tests.speech.conftest import RATE, tone

LABELS = ["high", "low", "mid", "silence"]
CONFIG = dataclasses.replace(CONFIGS["stream_crnn"], filters=2, units=14)
# Low enough that an untrained model detects something.
RULE = Rule(threshold=0.255, refractory_ms=100)
SECONDS = 3


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return models.build(CONFIG, len(LABELS))


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stream")
    metadata = {"app": "speech", "labels": LABELS, "settings": to_json(CONFIG)}
    metadata["detector"] = RULE.to_json()
    seqcore.export_tflite(
        model,
        folder / "model.tflite",
        streaming=True,
        chunk=STREAM_CHUNK,
        metadata=metadata,
        verbose=False,
    )
    save_model(model, folder / "model.keras", metadata)
    return folder


@pytest.fixture
def sound():
    rng = np.random.default_rng(2)
    parts = [tone(hertz) for hertz in (2500, 300, 900)]
    return (np.concatenate(parts) + rng.normal(0, 0.02, SECONDS * RATE)).astype("f4")


def all_scores(stream, pieces):
    stream.reset()
    return np.array([row for piece in pieces for row in stream.feed(piece)])


def test_the_last_second_is_the_whole_clip(model, files, sound):
    stream = Stream(str(files / "model.tflite"))
    scores = all_scores(stream, [sound[:RATE]])
    assert scores.shape == (50, len(LABELS))
    expected = model.predict_on_batch(sound[None, :RATE])[0]
    np.testing.assert_allclose(scores[-1], expected, atol=1e-5)
    np.testing.assert_allclose(stream.classify(sound[:RATE]), expected, atol=1e-5)


def test_training_sees_what_the_stream_does(model, files, sound):
    """Clip after clip, with the state that the stream has by then."""
    found = models.joined(model, SECONDS).predict_on_batch(sound[None])[0]
    scores = all_scores(Stream(str(files / "model.tflite")), [sound])
    np.testing.assert_allclose(found, scores[49::50], atol=1e-5)
    # The first clip finds the state at zero, the others do not.
    alone = model.predict_on_batch(sound.reshape(SECONDS, RATE))
    np.testing.assert_allclose(found[0], alone[0], atol=1e-5)
    assert np.abs(found[1:] - alone[1:]).max() > 1e-4


def test_any_pieces_give_the_same_detections(files, sound):
    stream = Stream(str(files / "model.tflite"))
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


def test_listen(files, sound, tmp_path, capsys):
    soundfile.write(tmp_path / "long.flac", sound, RATE, "PCM_24")
    arguments = ["listen", str(files / "model.tflite"), "--json"]
    assert main(APP, [*arguments, "--source", str(tmp_path / "long.flac")]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    scores = all_scores(Stream(str(files / "model.tflite")), [sound])
    expected = detect(RULE, LABELS, scores)
    assert [(r["label"], r["seconds"]) for r in rows] == [
        (d.label, d.seconds) for d in expected
    ]
    assert rows and "silence" not in {r["label"] for r in rows}


def test_listen_refuses(files, fails, tmp_path):
    model = files / "model.tflite"
    assert "no such recording" in fails("listen", model, "--source", tmp_path / "x")
    assert "only a .tflite" in fails("listen", files / "model.keras")
    line = fails("listen", model, "--source", tmp_path / "x", "--threshold", "7")
    assert "--threshold: threshold 7.0" in line


def test_composed_recordings_hold_what_they_say():
    rng = np.random.default_rng(3)
    clips = np.stack([tone(400), tone(900), 0.1 * tone(2500)]).astype("f4")
    noise = field.unit_background(rng.normal(0, 0.3, 20 * RATE).astype("f4"))
    made = field.compose(
        clips, ["a", "b", "c"], [noise], seconds=24, snr_db=10, rng=rng
    )
    sound = np.concatenate(list(made.pieces()))
    assert len(sound) == 24 * RATE and made.hours == pytest.approx(24 / 3600)
    assert sorted(e.word for e in made.events) == ["a", "b", "c"]
    noise_alone = dataclasses.replace(made, events=[])
    rest = sound - np.concatenate(list(noise_alone.pieces()))
    for event in made.events:
        clip = rest[event.start : event.start + RATE]
        level = field.speech_level(clip[None])[0]
        assert 20 * np.log10(level) == pytest.approx(field.BACKGROUND_DB + 10, abs=0.1)
        rest[event.start : event.start + RATE] = 0
    assert np.abs(rest).max() < 1e-6  # nothing anywhere else
    with pytest.raises(ValueError, match="do not fit"):
        field.compose(clips, ["a"] * 3, [noise], seconds=5, snr_db=0, rng=rng)


def test_hits_misses_and_false_accepts():
    clips = np.ones((3, RATE), "float32")
    events = [field.Event(0, 0, "high"), field.Event(3 * RATE, 1, "low")]
    events.append(field.Event(6 * RATE, 2, "other"))
    made = field.Recording(clips, events, [clips[0]], 9 * RATE, 10.0, 0)
    scores = np.zeros((450, 4), "float32")
    for chunk, label in ((40, 0), (190, 0), (340, 2), (440, 0)):
        scores[chunk, label] = 1
    rule = Rule(smoothing_ms=0, threshold=0.5, refractory_ms=100)
    found = field.outcome(made, rule, LABELS, scores)
    # "high" is hit; "low" is missed, and called "high"; "other" is called "mid";
    # and there is one in background.
    assert (found.keywords, found.hits, found.false_accepts) == (2, 1, 3)
    assert found.miss_rate == 0.5
    assert found.false_accepts_per_hour == pytest.approx(3 / (9 / 3600))


def test_the_chosen_threshold_keeps_the_rate_from_there_on():
    rows = [(0.2, 9), (0.3, 1), (0.4, 2), (0.5, 1), (0.6, 0)]
    outcomes = [field.Outcome(t, 10, 5, n, 1.0) for t, n in rows]
    assert field.choose(outcomes, 1.0).threshold == 0.5
    assert field.choose(outcomes, 0.0).threshold == 0.6
    assert field.choose(outcomes[:3], 0.5).threshold == 0.4


def test_field_test_writes_the_threshold(files, word_folder, tmp_path, capsys):
    model = tmp_path / "model.tflite"
    model.write_bytes((files / "model.tflite").read_bytes())
    noise = word_folder / "_background_noise_"
    arguments = ["field-test", str(model), "--keywords", str(word_folder)]
    arguments += ["--background", str(noise), "--hours", "0.02", "--json"]
    assert main(APP, [*arguments, "--out", str(tmp_path / "out")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "out" / "field.json").read_text())
    assert (tmp_path / "out" / "field.png").stat().st_size > 1000
    assert [row["snr_db"] for row in found["by_snr"]] == [20, 15, 10, 5, 0, -5]
    assert {row["n"] for row in found["by_snr"]} == {18}  # two of four speakers
    stream = Stream(str(model))
    assert stream.rule == dataclasses.replace(RULE, threshold=found["threshold"])
    assert stream.labels == tuple(LABELS)


def test_field_test_refuses(files, word_folder, fails, tmp_path):
    common = ["field-test", files / "model.tflite", "--keywords", word_folder]
    (tmp_path / "empty").mkdir()
    line = fails(*common, "--background", tmp_path / "empty")
    assert "holds no recording" in line
    assert "no such file" in fails(*common, "--background", tmp_path / "none")
    line = fails(*common, "--background", tmp_path / "empty", "--hours", "0")
    assert "--hours 0" in line


def test_selected_words_and_the_rest(files, sound, tmp_path):
    arguments = ["select", str(files / "model.keras"), "--words", "low"]
    assert main(APP, [*arguments, "--quantize", "none", "--out", str(tmp_path)]) == 0
    stream = Stream(str(tmp_path / "model.tflite"))
    assert stream.labels == ("low", "unknown", "silence")
    high, low, mid, silence = Stream(str(files / "model.tflite")).classify(sound[:RATE])
    # One word and two others, together as frequent as the one: a half each.
    expected = np.array([low, 0.5 * (high + mid), silence])
    expected /= expected.sum()
    np.testing.assert_allclose(stream.classify(sound[:RATE]), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "part"), [("loud", "'loud' is no word"), ("high,low,mid", "must be left")]
)
def test_words_that_cannot_be_selected(files, fails, tmp_path, words, part):
    out = tmp_path / "out"
    model = files / "model.keras"
    assert part in fails("select", model, "--words", words, "--out", out)
    assert not out.exists()


def test_adapting_begins_with_what_is_known(model, files):
    classes = ["mid", "new", "high"]
    fresh = models.build(CONFIG, len(classes))
    new = fresh.get_layer("classes").get_weights()[0][:, 1].copy()
    assert adopt(fresh, classes, str(files)) == 2
    kernel = model.get_layer("classes").get_weights()[0]
    found = fresh.get_layer("classes").get_weights()[0]
    np.testing.assert_array_equal(found, np.stack([kernel[:, 2], new, kernel[:, 0]], 1))
    np.testing.assert_array_equal(_lstm(fresh), _lstm(model))
    other = models.build(dataclasses.replace(CONFIG, units=21), len(classes))
    with pytest.raises(UserError, match="units=14"):
        adopt(other, classes, str(files))


def _lstm(model):
    (layer,) = (x for x in model.layers if isinstance(x, seqcore.LSTM))
    return layer.get_weights()[0]


def test_adapting_to_a_few_takes(files, word_folder, capsys):
    """One epoch of the configuration made for that, without the exports."""
    config = dataclasses.replace(
        CONFIGS["adapt"],
        filters=2,
        units=14,
        words="high, low",
        adapt=str(files),
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
