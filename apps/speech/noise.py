"""Background: recordings of noise, and noise made by a formula."""

import functools
from collections.abc import Sequence

import numpy as np

from apps.speech.audio import SAMPLE_RATE

SILENCE_DB = (-60.0, -20.0)
"""Range of the level (RMS) of background alone, in dB re full scale."""
_STRETCHES = {"train": (0.0, 0.7), "val": (0.7, 0.85), "test": (0.85, 1.0)}
"""The part of every recording that each split may use."""
SHORTEST_SECONDS = 7.0
"""Of a recording of noise: a second is left of it for each split."""


def coloured(exponent: float, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise whose power falls as 1 / f**exponent, of unit RMS, float32 [samples].

    0 is white, 1 pink, 2 brown.
    """
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 20.0)
    noise = np.fft.irfft(spectrum * frequency ** (-exponent / 2), samples)
    return (noise / np.sqrt(np.mean(noise**2))).astype("float32")


def noisy_place(samples: int, rng: np.random.Generator) -> np.ndarray:
    """The sound of a place that nobody has recorded, of unit RMS, float32 [samples].

    Noise of a random colour and timbre; its level may go up and down, and things
    may knock and ring (decaying partials) or call out (gliding harmonics) in it.
    """
    frequency = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    octave = np.log2(np.maximum(frequency, 60.0) / 60.0)  # 0 to 7
    gain_db = -3 * rng.uniform(-0.5, 2.5) * octave
    for waves in range(1, 5):
        phase = rng.uniform(0, 2 * np.pi)
        gain_db += rng.uniform(0, 8) * np.cos(np.pi * waves * octave / 7 + phase)
    spectrum = np.fft.rfft(rng.standard_normal(samples)) * 10 ** (gain_db / 20)
    noise = np.fft.irfft(spectrum, samples)
    noise /= np.sqrt(np.mean(noise**2))
    if rng.random() < 0.5:
        slow = coloured(1.0, samples // 100 + 2, rng)  # 160 values a second
        width = int(160 / rng.uniform(0.5, 8))
        slow = np.convolve(slow, np.ones(width) / width, "same")
        slow *= rng.uniform(3, 9) / max(slow.std(), 1e-6)
        level_db = np.interp(np.arange(samples) / 100, np.arange(len(slow)), slow)
        noise *= 10 ** (np.clip(level_db, -30, 20) / 20)
    if rng.random() < 0.5:
        kind = (_ring, _call)[int(rng.random() < 0.4)]
        loudness = 10 ** (rng.uniform(5, 20) / 20)
        for _ in range(int(samples / SAMPLE_RATE * rng.uniform(0.5, 5))):
            event = loudness * rng.uniform(0.3, 1) * kind(rng)
            start = int(rng.integers(max(1, samples - len(event))))
            stop = min(samples, start + len(event))
            noise[start:stop] += event[: stop - start]
    return (noise / np.sqrt(np.mean(noise**2))).astype("float32")


def _ring(rng: np.random.Generator) -> np.ndarray:
    """A knock on something: partials that die away."""
    decay = rng.uniform(0.01, 0.15)
    time = np.arange(int(5 * decay * SAMPLE_RATE)) / SAMPLE_RATE
    partials = [
        rng.uniform(0.2, 1) * np.sin(2 * np.pi * rng.uniform(200, 7000) * time)
        for _ in range(int(rng.integers(2, 6)))
    ]
    return np.sum(partials, axis=0) * np.exp(-time / (decay * rng.uniform(0.3, 1)))


def _call(rng: np.random.Generator) -> np.ndarray:
    """A voice without words: harmonics that glide."""
    length = int(rng.uniform(0.15, 0.8) * SAMPLE_RATE)
    begin, end = rng.uniform(0.7, 1.4, 2)
    glide = np.linspace(begin, end, length)
    pitch = np.cumsum(rng.uniform(90, 700) * glide) / SAMPLE_RATE
    tilt = rng.uniform(0.5, 2)
    harmonics = [np.sin(2 * np.pi * k * pitch) / k**tilt for k in range(1, 9)]
    return np.sum(harmonics, axis=0) * np.hanning(length)


@functools.lru_cache(maxsize=2)
def _places(seed: int, count: int = 60, seconds: int = 8) -> list[np.ndarray]:
    rng = np.random.default_rng([seed, 8])
    return [noisy_place(seconds * SAMPLE_RATE, rng) for _ in range(count)]


def bounds(samples: int, split: str) -> tuple[int, int]:
    """First and last sample (exclusive) that a split may use of a recording of noise.

    Args:
        samples: Length of the recording.
        split: "train", "val" or "test".
    """
    begin, end = _STRETCHES[split]
    return int(begin * samples), int(end * samples)


def stretch(recording: np.ndarray, split: str) -> np.ndarray:
    """The part of a recording of noise that a split may use."""
    begin, end = bounds(len(recording), split)
    return recording[begin:end]


class Background:
    """Recordings, and made-up noise beside them, to cut noise from.

    Each split uses its own stretch of every recording and its own coloured
    noise, so that no noise is heard both in training and in an evaluation.
    Training hears sixty places as well (see `noisy_place`).

    Args:
        recordings: float32 arrays at 16 kHz. Stretches below a second are
            left out.
        split: "train", "val" or "test".
        seed: Seed of the coloured noise.
        seconds: Length of each colour.
        own: Recordings that are this split's alone, of which all is used.
    """

    def __init__(
        self,
        recordings: Sequence[np.ndarray],
        split: str,
        seed: int = 0,
        seconds: float = 20.0,
        own: Sequence[np.ndarray] = (),
    ):
        parts = [*(stretch(recording, split) for recording in recordings), *own]
        self.recordings = [p for p in parts if len(p) >= SAMPLE_RATE]
        rng = np.random.default_rng([seed, *split.encode()])
        length = int(seconds * SAMPLE_RATE)
        self.colours = [coloured(power, length, rng) for power in (0.0, 1.0, 2.0)]
        self.split, self.seed = split, seed

    def draw(self, count: int, samples: int, rng: np.random.Generator) -> np.ndarray:
        """Stretches of unit RMS, float32 [count, samples].

        Half of them come from the recordings, where there are any.
        """
        found = np.empty((count, samples), "float32")
        for row in found:
            recorded = self.recordings and rng.random() < 0.5
            sources = self.recordings if recorded else self.colours
            if not recorded and self.split == "train" and rng.random() < 0.7:
                sources = _places(self.seed)
            source = sources[rng.integers(len(sources))]
            start = rng.integers(max(1, len(source) - samples + 1))
            piece = source[start : start + samples]
            # What is shorter than the clips that follow each other begins again.
            row[:] = piece if len(piece) == samples else np.resize(piece, samples)
        level = np.sqrt(np.mean(np.square(found), axis=1, keepdims=True))
        return found / np.maximum(level, 1e-6)
