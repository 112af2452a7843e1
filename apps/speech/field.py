"""Long recordings composed of clips in background, and what a detector finds there.

A recording is made as it is heard, block by block: background of a steady level, and
in each of equal slots one clip at a known time, at a known level above the background.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from apps.speech.audio import SAMPLE_RATE
from apps.speech.detector import (
    Detection,
    Rule,
    detect,
    detect_smoothed,
    smooth,
)
from apps.speech.stream import Scorer

BACKGROUND_DB = -36.0
"""Level (RMS) of the background, in dB re full scale."""
_BLOCK = 10 * SAMPLE_RATE
_LATE = 0.7
"""Seconds after the end of a clip in which its word may still be reported."""


@dataclasses.dataclass(frozen=True)
class Event:
    """One clip in the recording."""

    start: int
    """Sample of the recording."""
    clip: int
    word: str


@dataclasses.dataclass(frozen=True)
class Recording:
    """A composed recording; `pieces()` is its sound.

    Attributes:
        clips: float32 [n, samples], each of speech level 1 (see `speech_level`).
        events: What is said when, in order.
        backgrounds: float32 arrays, each of RMS 1.
        length: Samples.
        snr_db: Level of speech over that of the background.
        seed: Of the choice of background.
    """

    clips: np.ndarray
    events: Sequence[Event]
    backgrounds: Sequence[np.ndarray]
    length: int
    snr_db: float
    seed: int

    @property
    def hours(self) -> float:
        return self.length / SAMPLE_RATE / 3600

    def pieces(self) -> Iterator[np.ndarray]:
        """Blocks of ten seconds (the last may be shorter), float32."""
        level = 10 ** (BACKGROUND_DB / 20)
        gain = level * 10 ** (self.snr_db / 20)
        waiting = list(self.events)
        for start in range(0, self.length, _BLOCK):
            size = min(_BLOCK, self.length - start)
            block = level * self._background(start // _BLOCK)[:size]
            while waiting and waiting[0].start < start + size:
                event = waiting[0]
                clip = self.clips[event.clip]
                first = max(event.start, start)
                last = min(event.start + len(clip), start + size)
                block[first - start : last - start] += (
                    gain * clip[first - event.start : last - event.start]
                )
                if event.start + len(clip) > start + size:
                    break  # its rest is in the next block
                waiting.pop(0)
            yield np.clip(block, -1, 1).astype("float32")

    def _background(self, block: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, block])
        source = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
        offset = int(rng.integers(len(source)))
        return np.take(source, np.arange(offset, offset + _BLOCK), mode="wrap")


def speech_level(clips: np.ndarray) -> np.ndarray:
    """RMS over the loud part of each clip, [n].

    That part is the 20 ms frames within 20 dB of the loudest one, so that the
    silence around a short word does not count.
    """
    frame = SAMPLE_RATE // 50
    count = clips.shape[1] // frame
    power = np.square(clips[:, : count * frame]).reshape(len(clips), count, frame)
    power = power.mean(axis=2)
    loud = power >= power.max(axis=1, keepdims=True) / 100
    mean = (power * loud).sum(axis=1) / loud.sum(axis=1)
    return np.sqrt(np.maximum(mean, 1e-12))


def unit_background(samples: np.ndarray) -> np.ndarray:
    """RMS 1 over every second, so that a quiet stretch is no easier."""
    half = SAMPLE_RATE // 2
    energy = np.pad(np.square(samples, dtype="float64"), (half + 1, half))
    total = np.cumsum(energy)
    power = (total[2 * half + 1 :] - total[: -2 * half - 1]) / (2 * half + 1)
    return (samples / np.sqrt(np.maximum(power, 1e-10))).astype("float32")


def compose(
    clips: np.ndarray,
    words: Sequence[str],
    backgrounds: Sequence[np.ndarray],
    *,
    seconds: float,
    snr_db: float,
    rng: np.random.Generator,
) -> Recording:
    """Each clip once in a recording of `seconds`, at a random time in its slot.

    Args:
        clips: float32 [n, samples]; the level of each is taken away.
        words: What is said in each.
        backgrounds: As `unit_background` makes them.
        seconds: Length; at least two seconds a clip.
        snr_db: Level of speech over that of the background.
        rng: Source of order, times and background.

    Raises:
        ValueError: the recording is too short for the clips.
    """
    length = int(seconds * SAMPLE_RATE)
    slot = length // max(len(clips), 1)
    if slot < 2 * clips.shape[1]:
        raise ValueError(
            f"{len(clips)} clips do not fit into {seconds:g} s: at least two clip "
            "lengths are needed for each"
        )
    order = rng.permutation(len(clips))
    events = [
        Event(int(i * slot + rng.integers(slot - clips.shape[1])), int(c), words[c])
        for i, c in enumerate(order)
    ]
    level = speech_level(clips)[:, None]
    seed = int(rng.integers(2**31))
    unit = (clips / level).astype("float32")
    return Recording(unit, events, backgrounds, length, snr_db, seed)


def scores_of(scorer: Scorer, recording: Recording) -> np.ndarray:
    """The score of every chunk, float32 [chunks, labels]."""
    scorer.reset()
    found = [row for piece in recording.pieces() for row in scorer.feed(piece)]
    return np.stack(found)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a detector did on a recording at one threshold."""

    threshold: float
    keywords: int
    hits: int
    false_accepts: int
    hours: float

    @property
    def miss_rate(self) -> float:
        return 1 - self.hits / self.keywords if self.keywords else 0.0

    @property
    def false_accepts_per_hour(self) -> float:
        return self.false_accepts / self.hours


def outcome(
    recording: Recording, rule: Rule, labels: Sequence[str], scores: np.ndarray
) -> Outcome:
    """Counts hits and false accepts.

    A keyword is hit by a detection of its word from the clip's start to 0.7 s
    after its end. Every other detection is a false accept: of another word, in
    background, or of a word that was hit already.
    """
    return _outcome(recording, rule, labels, detect(rule, labels, scores))


def _outcome(
    recording: Recording, rule: Rule, labels: Sequence[str], found: Sequence[Detection]
) -> Outcome:
    wanted = [e for e in recording.events if e.word in labels]
    wanted = [e for e in wanted if e.word not in rule.ignore]
    hit = sum(_is_heard(e, recording.clips.shape[1], found) for e in wanted)
    return Outcome(rule.threshold, len(wanted), hit, len(found) - hit, recording.hours)


def _is_heard(event: Event, samples: int, found: Sequence[Detection]) -> bool:
    begin = event.start / SAMPLE_RATE
    end = begin + samples / SAMPLE_RATE + _LATE
    return any(begin <= d.seconds <= end and d.label == event.word for d in found)


def sweep(
    recording: Recording,
    rule: Rule,
    labels: Sequence[str],
    scores: np.ndarray,
    thresholds: Sequence[float],
) -> list[Outcome]:
    """The outcome at every threshold."""
    smoothed = smooth(rule, labels, scores)
    rules = [dataclasses.replace(rule, threshold=t) for t in thresholds]
    return [
        _outcome(recording, r, labels, detect_smoothed(r, labels, smoothed))
        for r in rules
    ]


def choose(outcomes: Sequence[Outcome], rate: float) -> Outcome:
    """The one with the fewest misses and at most `rate` false accepts an hour.

    Every higher threshold must keep the rate as well. Of equally many misses the
    highest threshold: it is the furthest from other speakers' false accepts. If none
    keeps the rate, the highest.
    """
    kept = []
    for found in sorted(outcomes, key=lambda o: -o.threshold):
        if found.false_accepts_per_hour > rate:
            break
        kept.append(found)
    return min(kept, key=lambda o: o.miss_rate) if kept else outcomes[-1]
