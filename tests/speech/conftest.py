"""Recordings made for the tests, and a way to run the command line."""

import numpy as np
import pytest
import soundfile

from apps.core.cli import main
from apps.speech import APP

RATE = 16_000


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    """A tone with a soft begin and end, float64 [samples]."""
    time = np.arange(round(seconds * rate)) / rate
    return 0.5 * np.sin(2 * np.pi * hertz * time) * np.sin(np.pi * time / seconds)


@pytest.fixture
def word_folder(tmp_path):
    """A folder a word: two keywords and two others, four speakers, and noise."""
    folder = tmp_path / "words"
    rng = np.random.default_rng(0)
    for number, word in enumerate(("high", "low", "mid", "other")):
        (folder / word).mkdir(parents=True)
        for speaker in "abcd":
            for take in range(3):
                clip = tone(300 * (number + 1) * rng.uniform(0.95, 1.05))
                clip += rng.normal(0, 0.005, len(clip))
                soundfile.write(
                    folder / word / f"{speaker}_{take}.wav", clip, RATE, "PCM_16"
                )
    noise = folder / "_background_noise_"
    noise.mkdir()
    soundfile.write(noise / "hum.wav", rng.normal(0, 0.1, 12 * RATE), RATE)
    return folder


@pytest.fixture
def fails(capsys):
    """Runs a command, expects status 2 and one line; returns the line."""

    def run(*arguments):
        assert main(APP, [str(a) for a in arguments]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        lines = [x for x in captured.err.splitlines() if x.startswith("error: ")]
        assert len(lines) == 1, captured.err
        return lines[0]

    return run
