"""The words spoken by espeak-ng: split by voice, repeatable, honest about failure."""

import numpy as np
import pytest

from apps.core.errors import UserError
from apps.speech.accents import foreign, spellings
from apps.speech.clips import CLIP_SAMPLES, UNKNOWN
from apps.speech.espeak import synthesiser
from apps.speech.near import is_sound, phonemes_of
from apps.speech.synthesis import DEFAULT_WORDS, OTHER_WORDS, speak, voices_of

SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def spoken():
    return speak(("yes", "no"), "en-us", 10, 0, SPLITS)


def test_words_and_counts(spoken):
    train = spoken.split("train", 0.1)
    assert sum(clip.word == "yes" for clip in train) == 10
    assert sum(clip.word == "yes" for clip in spoken.split("val", 0.1)) == 2
    assert {c.word for c in train} == {"yes", "no", *OTHER_WORDS, UNKNOWN}
    # Made-up words near a keyword, 4 in 10 of its clips.
    assert sum(clip.word == UNKNOWN for clip in train) == 8


def test_other_words_that_sound_like_a_keyword_are_not_spoken():
    """They would be taught as `unknown`, in the voices that say the keyword."""
    made = speak(("Open", "7", "too"), "en-us", 1, 0, ("val",))
    said = {clip.word for clip in made.clips}
    alike = {"open", "seven", "two"}
    assert said == {"Open", "7", "too", UNKNOWN, *OTHER_WORDS} - alike


@pytest.mark.parametrize("words", [("two", "too"), ("7", "seven"), ("Stop", "stop")])
def test_keywords_that_sound_the_same(words):
    message = f"{words[0]!r} and {words[1]!r} sound the same"
    with pytest.raises(UserError, match=message):
        speak(words, "en-us", 1, 0, ("train",))


def test_no_voice_is_in_two_splits(spoken):
    speakers = [{c.speaker for c in spoken.split(name, 0.1)} for name in SPLITS]
    assert len(set.union(*speakers)) == sum(map(len, speakers))
    voices = [set(voices_of(name, synthesiser().variants())) for name in SPLITS]
    assert len(set.union(*voices)) == sum(map(len, voices)) > 60


def test_clips_are_speech_with_noise(spoken):
    for clip in spoken.clips[:40]:
        assert clip.pcm.shape == (CLIP_SAMPLES,) and clip.pcm.dtype == np.int16
        samples = clip.pcm / 32768.0
        assert np.abs(samples).max() < 1
        frames = np.sqrt(np.mean(samples.reshape(100, -1) ** 2, axis=1))
        # The word stands out from its background, which is not digital zero.
        assert frames.max() > 2.5 * np.quantile(frames, 0.1) > 0


def test_the_same_seed_speaks_the_same(spoken):
    again = speak(("yes", "no"), "en-us", 10, 0, ("val",))
    for old, new in zip(spoken.split("val", 0.1), again.split("val", 0.1), strict=True):
        np.testing.assert_array_equal(old.pcm, new.pcm)
    other = speak(("yes", "no"), "en-us", 10, 1, ("val",))
    assert any(
        (old.pcm != new.pcm).any()
        for old, new in zip(again.clips, other.clips, strict=True)
    )


def test_some_speak_with_a_foreign_accent(spoken):
    """Only where the other language has a sound for all of the word."""
    train = spoken.split("train", 0.1)
    accents = [c.source.split(" by ")[1].split("+")[0] for c in train]
    share = np.mean([a in ("fr", "de", "it", "es", "pt", "el") for a in accents])
    assert 0.02 < share < 0.4
    found = dict(foreign("seven", "en-us"))
    assert {"fr", "it", "es"} <= set(found)
    assert found["it"] == "[[s'even]]"
    assert foreign("ja", "de") == []


@pytest.mark.parametrize(
    ("word", "plain"),
    [
        ("four", "f'or"),
        ("zero", "z'iro"),
        ("eight", "'eit"),
        ("stop", "st'op"),
        ("on", "'on"),
        ("off", "'of"),
        ("water", "w'oter"),
        ("table", "t'eibel"),
    ],
)
def test_foreigners_say_plain_vowels_and_the_r_that_is_written(word, plain):
    """Sounds that a language lacks are not spoken at all, and half a word taught."""
    assert spellings(word, "en-us")[0] == f"[[{plain}]]"


@pytest.mark.parametrize("word", [*DEFAULT_WORDS, *OTHER_WORDS])
def test_every_sound_of_the_default_words_is_known(word):
    engine = synthesiser()
    engine.set_voice("en-us")
    tokens = phonemes_of(engine.phonemes(word, form=0))
    assert [t for t in tokens if not is_sound(t) and t.strip("',|%_; ")] == []


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("!!!", "cannot say"),
        ("привет", "letter by letter"),
        ("漢字", "letter by letter"),
        ("สวัสดี", "letter by letter"),
    ],
)
def test_words_that_cannot_be_said(word, part):
    with pytest.raises(UserError, match=part):
        speak((word,), "en-us", 1, 0, ("train",))


@pytest.mark.parametrize(
    ("word", "language"),
    [
        ("lights on", "en-us"),
        ("café", "en-us"),
        ("123", "en-us"),
        ("привет", "ru"),
        ("नमस्ते", "en-us"),
    ],
)
def test_words_that_can(word, language):
    synthesiser().check_speakable(word, language)


def test_a_sentence_is_too_long():
    long = "this is a rather long sentence and by no means one word of command"
    with pytest.raises(UserError, match="takes longer than one second"):
        speak((long,), "en-us", 1, 0, ("train",))


def test_validation_voices_need_no_further_synthesiser(monkeypatch):
    """They speak in training alone, and who evaluates may not have them."""
    monkeypatch.setattr("apps.speech.synthesis.check_installed", pytest.fail)
    found = speak(("yes",), "en-us", 10, 0, ("val",), ("flite",), others=False)
    assert {clip.split for clip in found.clips} == {"val"}


def test_unknown_language():
    with pytest.raises(UserError, match="espeak-ng has no voice 'xx'"):
        speak(("yes",), "xx", 1, 0, ("train",))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("yes", "--voice", "bogus"), "--voice bogus: espeak-ng has no such variant"),
        (("yes", "--language", "xx"), "language xx: espeak-ng has no voice 'xx'"),
        (("привет",), "choose its language with --language CODE"),
        (("!!!",), "'!!!': espeak-ng cannot say it"),
    ],
)
def test_say_names_its_own_options(fails, tmp_path, arguments, part):
    out = tmp_path / "word.wav"
    line = fails("say", *arguments, "--out", out)
    assert part in line and not out.exists()
    assert "--words" not in line and "--set" not in line


def test_the_command_line_says_it_in_one_line(fails, tmp_path):
    run = tmp_path / "run"
    line = fails("train", "--workdir", run, "--words", "yes, привет")
    assert "letter by letter" in line and not run.exists()
