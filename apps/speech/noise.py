"""Background: recordings of noise, and noise made by a formula."""

from collections.abc import Sequence

import numpy as np

from apps.speech.audio import SAMPLE_RATE

SILENCE_DB = (-60.0, -20.0)
"""Range of the level (RMS) of background alone, in dB re full scale."""
_STRETCHES = {"train": (0.0, 0.7), "val": (0.7, 0.85), "test": (0.85, 1.0)}
"""The part of every recording that each split may use."""


def coloured(exponent: float, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise whose power falls as 1 / f**exponent, of unit RMS, float32 [samples].

    0 is white, 1 pink, 2 brown.
    """
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 20.0)
    noise = np.fft.irfft(spectrum * frequency ** (-exponent / 2), samples)
    return (noise / np.sqrt(np.mean(noise**2))).astype("float32")


class Background:
    """Recordings, and coloured noise beside them, to cut noise from.

    Each split uses its own stretch of every recording and its own coloured
    noise, so that no noise is heard both in training and in an evaluation.

    Args:
        recordings: float32 arrays at 16 kHz. Stretches below a second are
            left out.
        split: "train", "val" or "test".
        seed: Seed of the coloured noise.
        seconds: Length of each colour.
    """

    def __init__(
        self,
        recordings: Sequence[np.ndarray],
        split: str,
        seed: int = 0,
        seconds: float = 20.0,
    ):
        begin, end = _STRETCHES[split]
        parts = [r[int(begin * len(r)) : int(end * len(r))] for r in recordings]
        self.recordings = [p for p in parts if len(p) >= SAMPLE_RATE]
        rng = np.random.default_rng([seed, *split.encode()])
        length = int(seconds * SAMPLE_RATE)
        self.colours = [coloured(power, length, rng) for power in (0.0, 1.0, 2.0)]

    def draw(self, count: int, samples: int, rng: np.random.Generator) -> np.ndarray:
        """Stretches of unit RMS, float32 [count, samples].

        Half of them come from the recordings, where there are any.
        """
        found = np.empty((count, samples), "float32")
        for row in found:
            recorded = self.recordings and rng.random() < 0.5
            sources = self.recordings if recorded else self.colours
            source = sources[rng.integers(len(sources))]
            start = rng.integers(len(source) - samples + 1)
            row[:] = source[start : start + samples]
        level = np.sqrt(np.mean(np.square(found), axis=1, keepdims=True))
        return found / np.maximum(level, 1e-6)
