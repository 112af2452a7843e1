"""Augmented training batches."""

from collections.abc import Callable

import numpy as np

from apps.core.batches import Batches, one_hot
from apps.speech.audio import SAMPLE_RATE
from apps.speech.clips import Audio
from apps.speech.config import SpeechConfig
from apps.speech.noise import SILENCE_DB, Background


def warp(clips: np.ndarray, speeds: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Plays each clip faster or slower, and earlier or later.

    Linear interpolation about the middle of the clip; what lies outside it is
    silence.

    Args:
        clips: [batch, samples].
        speeds: [batch]; 1.1 is a tenth faster (and higher).
        shifts: [batch], in samples; positive is later.

    Returns:
        float32 [batch, samples].
    """
    length = clips.shape[1]
    known = np.arange(length, dtype="float64")
    middle = (length - 1) / 2
    warped = np.empty(clips.shape, "float32")
    for row, clip, speed, shift in zip(warped, clips, speeds, shifts, strict=True):
        wanted = (known - (middle + shift)) * speed + middle
        row[:] = np.interp(wanted, known, clip, left=0, right=0)
    return warped


class SpeechBatches(Batches):
    """Batches of clips, shifted, stretched, scaled and mixed with background.

    Args:
        clips: The clips, [count].
        targets: Class index of each clip, [count].
        classes: Number of classes.
        silence: The class of background alone, or None. Its clips are cut anew
            from the background every epoch.
        background: Where noise comes from.
        config: Amounts.
        draw: The clips of one epoch, from a generator; always equally many.
    """

    def __init__(
        self,
        clips: Audio,
        targets: np.ndarray,
        classes: int,
        silence: int | None,
        background: Background,
        config: SpeechConfig,
        draw: Callable[[np.random.Generator], np.ndarray],
    ):
        count = len(draw(np.random.default_rng(0)))
        super().__init__(count, config.batch_size, config.seed)
        self.clips = clips
        self.targets = np.asarray(targets)
        self.classes = classes
        self.silence = silence
        self.background = background
        self.config = config
        self.draw = draw

    def permutation(self, rng: np.random.Generator) -> np.ndarray:
        return rng.permutation(self.draw(rng))

    def make_batch(self, indices: np.ndarray, rng: np.random.Generator):
        config, count = self.config, len(indices)
        limit = config.shift_ms * SAMPLE_RATE / 1000
        clips = warp(
            self.clips[indices],
            rng.uniform(1 - config.speed, 1 + config.speed, count),
            rng.uniform(-limit, limit, count),
        )
        targets = self.targets[indices]
        silent = targets == self.silence
        clips[silent] = 0
        self._add_noise(clips, silent, rng)
        gains = 10 ** (rng.uniform(-config.gain_db, config.gain_db, count) / 20)
        clips *= gains[:, None].astype("float32")
        np.clip(clips, -1, 1, out=clips)
        return clips, one_hot(targets, self.classes)

    def _add_noise(
        self, clips: np.ndarray, silent: np.ndarray, rng: np.random.Generator
    ) -> None:
        config, count = self.config, len(clips)
        noise = self.background.draw(count, clips.shape[1], rng)
        snr = rng.uniform(config.snr_low_db, config.snr_high_db, count)
        levels = np.sqrt(np.einsum("ij,ij->i", clips, clips) / clips.shape[1])
        levels *= 10 ** (-snr / 20) * (rng.random(count) < config.noise_probability)
        alone = 10 ** (rng.uniform(*SILENCE_DB, size=count) / 20)
        levels = np.where(silent, alone, levels)
        noise *= levels[:, None].astype("float32")
        clips += noise
