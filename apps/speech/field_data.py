"""What a field test is composed of: clips, their words, and stretches of noise."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from apps.core.errors import UserError
from apps.speech import field, sources
from apps.speech.clips import Audio, Clip
from apps.speech.noise import stretch

_SLOT_SECONDS = 4.0


def clips_of(
    keywords: str, split: str, distractors: str | None, words: set[str]
) -> list[Clip]:
    """The clips of keywords and of other words.

    Args:
        keywords: As --data of train; words of it that are no keywords distract.
        split: Which clips of it, or "all"; all where it names no splits.
        distractors: More clips, none of them of a keyword; or None.
        words: The keywords of the model.

    Raises:
        UserError: no such data, or no clip of a keyword in it.
    """
    recordings = sources.find(keywords, sources.SPLITS)
    clips = [c for c in recordings.clips if split in ("all", c.split)]
    if not clips and all(not c.split for c in recordings.clips):
        clips = recordings.clips
    if not any(clip.word in words for clip in clips):
        raise UserError(
            f"--keywords {keywords}: no clip of a keyword of the model "
            f"({', '.join(sorted(words))}) in the split {split}"
        )
    if distractors:
        others = sources.find(distractors, sources.SPLITS).clips
        # A name that no label has: what is said there is never a keyword.
        clips = clips + [dataclasses.replace(c, word=f"not {c.word}") for c in others]
    return clips


def backgrounds(noise: Iterable[np.ndarray], split: str) -> list[np.ndarray]:
    """Of each recording the stretch that belongs to `split`, at one level.

    No training hears those of "val" and "test" (see noise.py): a model may know
    this kind of noise and yet never have heard what it is tested in.
    """
    return [field.unit_background(stretch(samples, split)) for samples in noise]


def composed(
    clips: Sequence[Clip],
    words: set[str],
    noise: Sequence[np.ndarray],
    *,
    hours: float,
    snr_db: float,
    rng: np.random.Generator,
) -> field.Recording:
    """As many keywords as distractors (where there are any), repeated as needed."""
    seconds = hours * 3600
    count = max(2, int(seconds / _SLOT_SECONDS))
    mine = [i for i, clip in enumerate(clips) if clip.word in words]
    others = [i for i, clip in enumerate(clips) if clip.word not in words]
    chosen: list[int] = []
    for group, number in (
        (mine, count // 2 if others else count),
        (others, count - count // 2 if others else 0),
    ):
        rounds = -(-number // max(len(group), 1))
        drawn = [rng.permutation(group) for _ in range(rounds if group else 0)]
        chosen += np.concatenate(drawn)[:number].tolist() if drawn else []
    return field.compose(
        Audio.read(clips)[chosen],
        [clips[i].word for i in chosen],
        noise,
        seconds=seconds,
        snr_db=snr_db,
        rng=rng,
    )
