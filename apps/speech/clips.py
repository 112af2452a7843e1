"""Recordings of words: what a data source yields before classes are chosen."""

import concurrent.futures
import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from apps.core.errors import UserError
from apps.speech.audio import (
    SAMPLE_RATE,
    from_pcm16,
    loudest_stretch,
    read_audio,
    to_pcm16,
)

CLIP_SAMPLES = SAMPLE_RATE
"""Samples of a clip, and of a model's input: one second."""
UNKNOWN = "unknown"
SILENCE = "silence"


@dataclasses.dataclass(frozen=True)
class Clip:
    """One recording of one word."""

    word: str
    """What is said; `UNKNOWN` or `SILENCE` where the data says just that."""
    source: str
    """The file, or another name to find it by."""
    split: str = ""
    """"train", "val" or "test"; empty where the data does not say."""
    speaker: str = ""
    """Who says it; empty where the data does not say."""
    pcm: np.ndarray | None = dataclasses.field(default=None, repr=False)
    """int16 [CLIP_SAMPLES]; None: read `source` when wanted."""


@dataclasses.dataclass(frozen=True)
class Recordings:
    """A data set as found."""

    clips: list[Clip]
    backgrounds: Callable[[], list[np.ndarray]]
    """Reads the recordings of noise, float32 at 16 kHz."""
    description: dict[str, Any]
    where: str
    """How messages name the data."""
    keywords: tuple[str, ...] = ()
    """The words a model is made for unless the user says; empty: all of them."""

    @property
    def words(self) -> list[str]:
        """The words said, sorted, without `UNKNOWN` and `SILENCE`."""
        return sorted({clip.word for clip in self.clips} - {UNKNOWN, SILENCE})

    def split(
        self, name: str, validation_share: float, val_speakers: Sequence[str] = ()
    ) -> list[Clip]:
        """The clips of one split; "val" is taken from "train" if it must be.

        Args:
            name: "train", "val" or "test".
            validation_share: Part of the training clips that "val" is, where the
                data does not name one.
            val_speakers: Whom "val" consists of instead, whatever the data says.

        Raises:
            UserError: the data has no such split, or no such speaker.
        """
        if val_speakers and name != "test":
            speakers = {clip.speaker for clip in self.clips}
            for speaker in val_speakers:
                if speaker not in speakers:
                    shown = ", ".join(sorted(speakers - {""})[:12]) or "no names"
                    raise UserError(
                        f"{self.where}: has no speaker {speaker!r}: it has {shown}"
                    )
            return [
                clip
                for clip in self.clips
                if (clip.speaker in val_speakers) == (name == "val")
                and (name == "val" or clip.split in ("", "train"))
            ]
        named = {clip.split for clip in self.clips} - {""}
        if name in named and (name != "train" or "val" in named):
            return [clip for clip in self.clips if clip.split == name]
        pool = [clip for clip in self.clips if clip.split in ("", "train")]
        if name == "test" or "val" in named or not pool:
            known = sorted(named) or ["train", "val"]
            raise UserError(
                f"{self.where}: has no {name} split (it has {', '.join(known)})"
            )
        held = held_out(pool, validation_share)
        return [
            clip
            for clip, is_held in zip(pool, held, strict=True)
            if is_held == (name == "val")
        ]


def _rank(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def held_out(clips: Sequence[Clip], share: float) -> list[bool]:
    """Which clips are kept for validation: whole speakers where they are known.

    Depends on the names alone, so that more data never moves a clip from one
    side to the other by chance of order. Of clips whose speaker is not known, and
    where there is one speaker alone, the share is taken of each word's clips.

    Raises:
        UserError: nothing would be left on one of the two sides.
    """
    speakers = {clip.speaker for clip in clips} - {""}
    if share == 0 or len(clips) < 2:
        raise UserError(
            f"{len(clips)} clips and validation_share={share}: no validation split "
            "can be made"
        )
    held = [False] * len(clips)
    if len(speakers) > 1:
        order = sorted(speakers, key=_rank)
        count = min(max(1, round(share * len(order))), len(order) - 1)
        chosen = set(order[:count])
        held = [clip.speaker in chosen for clip in clips]
    by_word: dict[str, list[int]] = {}
    for index, clip in enumerate(clips):
        if len(speakers) < 2 or not clip.speaker:
            by_word.setdefault(clip.word, []).append(index)
    for indices in by_word.values():
        indices.sort(key=lambda i: _rank(os.path.basename(clips[i].source)))
        count = max(1, round(share * len(indices))) if len(indices) > 1 else 0
        for index in indices[:count]:
            held[index] = True
    if not any(held):
        raise UserError(
            "no word has two clips: no validation split can be made of the data"
        )
    return held


def pcm_of(clip: Clip) -> np.ndarray:
    """int16 [CLIP_SAMPLES]: the loudest second of the recording.

    Raises:
        UserError: as `read_audio`.
    """
    if clip.pcm is not None:
        return clip.pcm
    return to_pcm16(loudest_stretch(read_audio(clip.source), CLIP_SAMPLES)[1])


class Audio(Sequence):
    """Clips in memory as 16-bit samples, seen as float32 [CLIP_SAMPLES]."""

    def __init__(self, pcm: np.ndarray):
        self.pcm = pcm

    @classmethod
    def read(cls, clips: Sequence[Clip]) -> "Audio":
        """Decodes on every core (the decoder releases the interpreter lock)."""
        pcm = np.empty((len(clips), CLIP_SAMPLES), "int16")
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for row, samples in zip(pcm, pool.map(pcm_of, clips), strict=True):
                row[:] = samples
        return cls(pcm)

    def __len__(self) -> int:
        return len(self.pcm)

    def __getitem__(self, index: Any) -> Any:
        """One clip, or [n, CLIP_SAMPLES] for an array of indices."""
        return from_pcm16(self.pcm[index])

    def joined(self, others: Iterable[np.ndarray]) -> "Audio":
        """These clips, and after them `others` (int16)."""
        return Audio(np.concatenate([self.pcm, *(o[None] for o in others)]))
