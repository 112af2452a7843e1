"""Augmented training batches."""

from collections.abc import Callable
from typing import Any

import numpy as np

from apps.core.batches import Batches, one_hot
from apps.core.errors import UserError
from apps.speech.audio import SAMPLE_RATE
from apps.speech.clips import Audio
from apps.speech.config import SpeechConfig
from apps.speech.noise import SILENCE_DB, Background
from apps.speech.protocol import Draw


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


def echo(clips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each clip as a room and a cheap microphone would pass it on.

    The response is noise under an exponential decay (a reverberation time of 0.1
    to 0.6 s) after the direct sound, and a band limit of a telephone or laptop:
    a high-pass at 50 to 300 Hz and a low-pass at 3.4 to 8 kHz.

    Args:
        clips: [batch, samples].
        rng: Source of the rooms.

    Returns:
        float32 [batch, samples], each at the level its clip had.
    """
    count, length = clips.shape
    tail = SAMPLE_RATE * 3 // 10
    size = 1 << (length + tail - 1).bit_length()
    time = np.arange(tail) / SAMPLE_RATE
    reverberation = rng.uniform(0.1, 0.6, (count, 1))
    response = rng.standard_normal((count, tail)) * 10 ** (-3 * time / reverberation)
    # Direct to reverberant energy of a near and of a far speaker.
    ratio = 10 ** (rng.uniform(0, 18, (count, 1)) / 20)
    response /= np.linalg.norm(response, axis=1, keepdims=True) * ratio
    response[:, 0] = 1
    frequency = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    low = rng.uniform(50, 300, (count, 1))
    high = rng.uniform(3400, 8000, (count, 1))
    band = 1 / (1 + (low / np.maximum(frequency, 1)) ** 4)
    band /= 1 + (frequency / high) ** 12
    spectrum = np.fft.rfft(clips, size) * np.fft.rfft(response, size) * band
    found = np.fft.irfft(spectrum, size)[:, :length].astype("float32")
    before = np.sqrt(np.mean(np.square(clips), axis=1, keepdims=True))
    after = np.sqrt(np.mean(np.square(found), axis=1, keepdims=True))
    return found * (before / np.maximum(after, 1e-9))


def centre_of(clips: np.ndarray) -> np.ndarray:
    """Where half of the energy of each clip is past, in samples, int [batch]."""
    energy = np.cumsum(np.square(clips), axis=1)
    return np.argmax(energy >= energy[:, -1:] / 2, axis=1)


_BOUNDARY_DB = 30.0
_TRIM_DB = (15.0, 40.0)
_BLOCK = SAMPLE_RATE // 100


def _bounds(clip: np.ndarray, range_db: float) -> tuple[int, int]:
    """From the first to the last (exclusive) 10 ms within `range_db` of the loudest."""
    blocks = clip[: len(clip) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    power = np.square(blocks).mean(axis=1)
    loud = np.flatnonzero(power >= power.max() * 10 ** (-range_db / 10))
    return loud[0] * _BLOCK, (loud[-1] + 1) * _BLOCK


def speech_bounds(clips: Audio) -> np.ndarray:
    """First and last sample (exclusive) of what is said in each clip, [count, 2]."""
    return np.array([_bounds(clip, _BOUNDARY_DB) for clip in clips], int)


def trim(clip: np.ndarray, rng: np.random.Generator) -> None:
    """Makes silence, in place, of what is quiet before and after the word.

    Collections of recordings are often cut like that. Of a word that begins or ends
    in a weak consonant little more than the vowel may be left.
    """
    first, last = _bounds(clip, rng.uniform(*_TRIM_DB))
    clip[:first] = 0
    clip[last:] = 0


class SpeechBatches(Batches):
    """Batches of clips, shifted, stretched, scaled and mixed with background.

    Args:
        clips: The clips, [count].
        targets: Class index of each clip, [count].
        classes: Number of classes.
        silence: The class of background alone, or None. Its clips are cut anew
            from the background every epoch; what the data has of them is part of it.
        background: Where noise comes from.
        config: Amounts.
        draw: As `apps.speech.protocol.draw_for_training` makes it.
        teacher: From clips, [n, samples], to the probabilities of the classes,
            [n, classes]: a part of the target; or None.
    """

    def __init__(
        self,
        clips: Audio,
        targets: np.ndarray,
        classes: int,
        silence: int | None,
        background: Background,
        config: SpeechConfig,
        draw: Draw,
        teacher: Callable[[np.ndarray], np.ndarray] | None = None,
    ):
        count = len(draw(np.random.default_rng(0), 0))
        super().__init__(count, config.batch_size, config.seed)
        self.clips = clips
        self.targets = np.asarray(targets)
        self.classes = classes
        self.silence = silence
        self.background = background
        self.config = config
        self.draw = draw
        self.teacher = teacher
        self.bounds = speech_bounds(clips)

    def permutation(self, rng: np.random.Generator) -> np.ndarray:
        return rng.permutation(self.draw(rng, self.epoch))

    def make_batch(self, indices: np.ndarray, rng: np.random.Generator):
        clips, targets = self.clips_of(indices, rng)
        self.add_noise(clips, rng)
        np.clip(clips, -1, 1, out=clips)
        return clips, targets

    def clips_of(self, indices: np.ndarray, rng: np.random.Generator):
        """Clips before noise, [n, samples], and their targets, [n, classes].

        Those of background alone are zeros.
        """
        config, count = self.config, len(indices)
        speeds = rng.uniform(1 - config.speed, 1 + config.speed, count)
        shifts = self._shifts(indices, speeds, rng)
        clips = self.clips[indices]
        if config.trim_share:
            for row in np.flatnonzero(rng.random(count) < config.trim_share):
                trim(clips[row], rng)
        clips = warp(clips, speeds, shifts)
        targets = self.targets[indices]
        clips[targets == self.silence] = 0
        if config.room_probability:
            chosen = np.flatnonzero(rng.random(count) < config.room_probability)
            if len(chosen):
                clips[chosen] = echo(clips[chosen], rng)
        gains = 10 ** (rng.uniform(-config.gain_db, config.gain_db, count) / 20)
        clips *= gains[:, None].astype("float32")
        wanted = one_hot(targets, self.classes)
        if config.mixup:
            share = rng.beta(config.mixup, config.mixup, count).astype("float32")
            share = np.maximum(share, 1 - share)[:, None]
            other = rng.permutation(count)
            clips = share * clips + (1 - share) * clips[other]
            wanted = share * wanted + (1 - share) * wanted[other]
        if self.teacher is not None:
            said = targets != self.silence
            part = config.teacher_share
            opinion = self.teacher(clips)[said]
            wanted[said] = (1 - part) * wanted[said] + part * opinion
        return clips, wanted

    def _shifts(
        self, indices: np.ndarray, speeds: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """In samples, [n]: none pushes a part of the word out of its clip."""
        limit = self.config.shift_ms * SAMPLE_RATE / 1000
        length = self.clips.pcm.shape[1]
        middle = (length - 1) / 2
        first, last = (self.bounds[indices].T - middle) / speeds + middle
        earliest = np.minimum(0, np.maximum(-limit, -first))
        latest = np.maximum(0, np.minimum(limit, length - last))
        return rng.uniform(earliest, latest)

    def add_noise(self, clips: np.ndarray, rng: np.random.Generator) -> None:
        """Mixes background in, in place; clips of zeros become background alone."""
        config, count = self.config, len(clips)
        noise = self.background.draw(count, clips.shape[1], rng)
        snr = rng.uniform(config.snr_low_db, config.snr_high_db, count)
        levels = np.sqrt(np.einsum("ij,ij->i", clips, clips) / clips.shape[1])
        silent = levels == 0
        levels *= 10 ** (-snr / 20) * (rng.random(count) < config.noise_probability)
        alone = 10 ** (rng.uniform(*SILENCE_DB, size=count) / 20)
        levels = np.where(silent, alone, levels)
        noise *= levels[:, None].astype("float32")
        clips += noise


_FADE = SAMPLE_RATE // 50


class JoinedBatches(SpeechBatches):
    """Sequences of several clips over one background, with a target for each.

    For streaming models. Some of the clips are cut in the middle of their word;
    their target is the same probability for every class: wait for the rest.

    Raises:
        UserError: fewer clips than one sequence has.
    """

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self.batch_size -= self.batch_size % self.config.joined_clips
        if not self.batch_size:
            raise UserError(
                f"{self.count} training clips: at least {self.config.joined_clips} are "
                "needed (or set joined_clips lower)"
            )

    def make_batch(self, indices: np.ndarray, rng: np.random.Generator):
        config = self.config
        clips, targets = self.clips_of(indices, rng)
        cut = np.flatnonzero(rng.random(len(clips)) < config.cut_share)
        for row, early in zip(cut, rng.random(len(cut)) < 0.5, strict=True):
            clip = clips[row].copy()
            centre = int(centre_of(clip[None])[0])
            clips[row] = 0
            if not clip.any():
                continue
            targets[row] = 1 / self.classes
            # The first half of the word at the end, or the second at the start.
            if early:
                clips[row, len(clip) - centre :] = clip[:centre]
            else:
                clips[row, : len(clip) - centre] = clip[centre:]
        # Cuts from clip to clip must not be heard: no stream has them.
        fade = np.linspace(0, 1, _FADE, dtype="float32")
        clips[:, :_FADE] *= fade
        clips[:, -_FADE:] *= fade[::-1]
        count = config.joined_clips
        sequences = clips.reshape(-1, count * clips.shape[1])
        self.add_noise(sequences, rng)
        np.clip(sequences, -1, 1, out=sequences)
        return sequences, targets.reshape(-1, count, self.classes)
