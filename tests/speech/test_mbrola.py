"""Voices of many languages: who can say a word, and how it is spelled for them.

The programs are only asked where they are installed.
"""

import shutil
import subprocess

import numpy as np
import pytest

from apps.core.errors import UserError
from apps.speech import mbrola, people, synthesis
from apps.speech.accents import least_length, spellings

LISTED = """Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  en-uk          --/M      english-mb-en1     mb/mb-en1
 5  it             --/M      italian-mbrola-3   mb/mb-it3
 5  zh             --/F      chinese-mb-cn1     mb/mb-cn1
"""  # noqa: E501


@pytest.fixture
def programs(monkeypatch):
    """In place of espeak-ng and mbrola: two voices without the sound of "th" in
    mnemonics, and a Chinese one that says nothing.
    Returns the commands that were run."""
    asked = []

    def run(command, **settings):
        asked.append(command)
        if "--voices=mbrola" in command:
            return subprocess.CompletedProcess(command, 0, LISTED, "")
        voice, text = command[2], command[-1]
        time = np.arange(11025) / 22050
        sound = (16000 * np.sin(2 * np.pi * 400 * time)).astype("<i2")
        header = bytearray(44)
        header[24:28] = (22050).to_bytes(4, "little")
        out = bytes(header) + (b"" if voice == "mb-cn1" else sound.tobytes())
        error = b"mbrola: Warning: _-T unknown, replaced with _-_" * ("T" in text)
        return subprocess.CompletedProcess(command, 0, out, error)

    monkeypatch.setattr(mbrola.subprocess, "run", run)
    monkeypatch.setattr(mbrola.shutil, "which", lambda name: f"/usr/bin/{name}")
    mbrola.voices.cache_clear()
    mbrola.spelling.cache_clear()
    yield asked
    mbrola.voices.cache_clear()
    mbrola.spelling.cache_clear()


def test_voices_are_read_off_the_list(programs):
    assert mbrola.voices() == (("mb-cn1", "zh"), ("mb-en1", "en-uk"), ("mb-it3", "it"))
    assert mbrola.same_language("en-us", "en-uk")
    assert not mbrola.same_language("en-us", "it")


def test_a_larger_speaker_is_lower_but_not_slower(programs):
    settings = {"words_a_minute": 100, "pitch": 40}
    usual = mbrola.say("no", "mb-it3", size=1.0, **settings)
    large = mbrola.say("no", "mb-it3", size=1.25, **settings)
    assert len(usual) == pytest.approx(8000, abs=20)
    # As the program speaks so much faster, both are equally long.
    assert programs[-1][3:7] == ["-s", "125", "-p", "40"]
    assert len(large) == pytest.approx(10000, abs=20)


def test_a_voice_says_the_first_spelling_that_it_has_the_sounds_for(programs):
    ways = spellings("three", "en-us")
    assert ways == ("[[Tr'i]]", "[[sr'i]]")
    assert mbrola.spelling("mb-it3", ways, 4000) == "[[sr'i]]"
    assert mbrola.spelling("mb-it3", ("[[sr'i]]",), 9000) == ""  # too short
    assert mbrola.spelling("mb-cn1", ways, 4000) == ""
    assert 0 < least_length("three", "en-us") < 16000


def test_every_take_is_said_by_someone_who_can(programs):
    found = list(people.speak_by("mbrola", {"three": 20}, ["en-us"], 0))
    assert {voice for _, voice, _, _ in found} == {"mb-it3", "mb-en1"}
    assert all(len(samples) for _, _, samples, _ in found)
    texts = {command[2]: command[-1] for command in programs if len(command) > 3}
    assert texts["mb-en1"] == "three" and texts["mb-it3"] == "[[sr'i]]"


def test_no_voice_of_the_language_ends_with_one_line(programs):
    with pytest.raises(UserError, match="no voice for de: install one"):
        synthesis.speak(("ja",), "de", 4, 0, ("train",), ("mbrola",))


@pytest.mark.skipif(
    not all(map(shutil.which, ("espeak-ng", "mbrola"))),
    reason="the programs espeak-ng and mbrola are not installed",
)
def test_a_real_voice_speaks():
    try:
        mbrola.check_installed("en-us")
    except UserError as error:
        pytest.skip(str(error))
    for _, _, samples, _ in people.speak_by("mbrola", {"seven": 3}, ["en-us"], 0):
        assert 2000 < len(samples) < 16000 and np.abs(samples).max() > 0.05
