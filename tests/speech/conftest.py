"""Recordings made for the tests, and a way to run the command line."""

import dataclasses

import numpy as np
import pytest
import soundfile

from apps.core.cli import main
from apps.core.config import to_json
from apps.speech import APP
from apps.speech.config import CONFIGS, STREAM_CHUNK
from apps.speech.detector import Rule

RATE = 16_000
LABELS = ["high", "low", "mid", "silence"]
STREAM_CONFIG = dataclasses.replace(CONFIGS["stream_crnn"], filters=2, units=14)
# Low enough that an untrained model detects something.
RULE = Rule(threshold=0.255, refractory_ms=100)


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


@pytest.fixture(scope="session")
def stream_model():
    """A small untrained model; its numbers mean nothing."""
    import keras

    from apps.speech import models

    keras.utils.set_random_seed(1)
    return models.build(STREAM_CONFIG, len(LABELS))


@pytest.fixture(scope="session")
def stream_files(stream_model, tmp_path_factory):
    """A folder with the model as model.tflite and model.keras."""
    import seqcore
    from apps.core.training import save_model

    folder = tmp_path_factory.mktemp("stream")
    metadata = {"app": "speech", "labels": LABELS, "settings": to_json(STREAM_CONFIG)}
    metadata["detector"] = RULE.to_json()
    seqcore.export_tflite(
        stream_model,
        folder / "model.tflite",
        streaming=True,
        chunk=STREAM_CHUNK,
        metadata=metadata,
        verbose=False,
    )
    save_model(stream_model, folder / "model.keras", metadata)
    return folder
