"""Long composed recordings, what is counted in them, and the command that does it."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile

from apps.core.cli import main
from apps.speech import APP, field, sources
from apps.speech.clips import Clip
from apps.speech.detector import Rule
from apps.speech.field_data import backgrounds, clips_of, first_half, whole_people
from apps.speech.noise import Background
from apps.speech.stream import Stream
from tests.speech.conftest import LABELS, RATE, RULE, tone


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
    rows = [(0.2, 8, 9), (0.3, 8, 1), (0.4, 7, 2), (0.5, 6, 1), (0.6, 5, 0)]
    outcomes = [field.Outcome(t, 10, hits, n, 1.0) for t, hits, n in rows]
    assert field.choose(outcomes, 1.0).threshold == 0.5
    assert field.choose(outcomes, 0.0).threshold == 0.6
    assert field.choose(outcomes[:3], 0.5).threshold == 0.4


def test_of_equally_many_misses_the_highest_threshold_is_chosen():
    rows = [(0.2, 8, 9), (0.3, 7, 1), (0.4, 7, 0), (0.5, 7, 0), (0.6, 5, 0)]
    outcomes = [field.Outcome(t, 10, hits, n, 1.0) for t, hits, n in rows]
    assert field.choose(outcomes, 1.0).threshold == 0.5
    assert field.choose(outcomes, 9.0).threshold == 0.2


def test_field_test_writes_the_threshold(stream_files, word_folder, tmp_path, capsys):
    model = tmp_path / "model.tflite"
    model.write_bytes((stream_files / "model.tflite").read_bytes())
    noise = word_folder / "_background_noise_"
    arguments = ["field-test", str(model), "--keywords", str(word_folder)]
    arguments += ["--background", str(noise), "--hours", "0.02", "--json"]
    assert main(APP, [*arguments, "--out", str(tmp_path / "out")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "out" / "field.json").read_text())
    assert (tmp_path / "out" / "field.png").stat().st_size > 1000
    assert found["chosen_on"] in found["curve_of_choosing"]
    assert found["reported"] in found["curve"]
    # Twelve seconds of noise; no training hears the last three tenths.
    (heard,) = found["background"]
    assert heard["file"] == str(noise / "hum.wav")
    assert heard["choosing"] == [8.4, 10.2] and heard["reporting"] == [10.2, 12.0]
    assert [row["snr_db"] for row in found["by_snr"]] == [20, 15, 10, 5, 0, -5]
    assert {row["n"] for row in found["by_snr"]} == {18}  # two of four speakers
    stream = Stream(str(model))
    assert stream.rule == dataclasses.replace(RULE, threshold=found["threshold"])
    assert stream.labels == tuple(LABELS)


def test_each_half_has_keywords_and_people_of_its_own():
    def clips(word, *people):
        names = [(who, i) for who in people for i in (0, 1)]
        return [Clip(word, f"{word}_{who}_{i}", speaker=who) for who, i in names]

    several = clips("yes", "ann", "bob", "cid")
    several += clips("dog", "bob", "cid", "dan", "eve")
    first = first_half(several, {"yes"})
    for half in (True, False):
        pairs = zip(several, first, strict=True)
        assert {c.word for c, side in pairs if side == half} == {"yes", "dog"}
    assert whole_people(several, first)
    # One person's keywords are divided, whoever says the other words.
    one = clips("yes", "ann") + clips("dog", "bob", "cid", "dan", "eve", "")
    first = first_half(one, {"yes"})
    assert sorted(first[:2]) == [False, True]
    assert not whole_people(one, first)
    sides = {(c.speaker, s) for c, s in zip(one[2:10], first[2:10], strict=True)}
    assert len(sides) == 4 and {side for _, side in sides} == {False, True}


def test_of_the_data_of_the_training_what_it_set_aside_is_heard(word_folder):
    metadata = {
        "training_data": {"name": word_folder.name},
        "settings": {"validation_share": 0.25},
    }
    words = {"high", "low"}
    everything = clips_of(str(word_folder), "val", None, words, {})
    kept = clips_of(str(word_folder), "val", None, words, metadata)
    expected = sources.find(str(word_folder), ()).split("val", 0.25)
    assert kept == expected and 0 < len(kept) < len(everything)
    assert clips_of(str(word_folder), "all", None, words, metadata) == everything


def test_field_test_refuses(stream_files, word_folder, fails, tmp_path):
    common = ["field-test", stream_files / "model.tflite", "--keywords", word_folder]
    (tmp_path / "empty").mkdir()
    line = fails(*common, "--background", tmp_path / "empty")
    assert "holds no recording" in line
    assert "no such file" in fails(*common, "--background", tmp_path / "none")
    soundfile.write(tmp_path / "short.wav", tone(400, 6.5), RATE)
    line = fails(*common, "--background", tmp_path / "short.wav")
    assert "short.wav: is shorter than 7 s" in line
    line = fails(*common, "--background", tmp_path / "empty", "--hours", "0")
    assert "--hours 0" in line
    line = fails(*common, "--background", tmp_path / "empty", "--seed", "-1")
    assert "--seed -1" in line


def test_the_background_of_a_field_test_is_what_training_never_hears():
    """A recording that says by its sign where in it one is."""
    noise = np.repeat([1.0, -1.0, 1.0], [7 * RATE, 3 * RATE // 2, 3 * RATE // 2])
    noise *= np.random.default_rng(0).uniform(0.5, 1, len(noise))
    trained = Background([noise], "train").recordings
    assert len(trained) == 1 and len(trained[0]) == 7 * RATE and (trained[0] > 0).all()
    (choosing,) = backgrounds([noise], "val")
    (reporting,) = backgrounds([noise], "test")
    assert len(choosing) == len(reporting) == 3 * RATE // 2
    assert (choosing < 0).all() and (reporting > 0).all()
