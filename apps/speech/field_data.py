"""What a field test is composed of: clips, their words, and stretches of noise."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from apps.core.config import from_json
from apps.core.errors import UserError
from apps.speech import field, sources
from apps.speech.clips import Audio, Clip, held_out
from apps.speech.config import SpeechConfig
from apps.speech.noise import stretch

_SLOT_SECONDS = 4.0


def clips_of(
    keywords: str,
    split: str,
    distractors: str | None,
    words: set[str],
    metadata: Mapping[str, Any],
) -> list[Clip]:
    """The clips of keywords and of other words.

    Args:
        keywords: As --data of train; words of it that are no keywords distract.
        split: Which clips of it, or "all". Where it names no splits all of them, but
            of the data that the model was trained on those that training set aside.
        distractors: More clips, none of them of a keyword; or None.
        words: The keywords of the model.
        metadata: That of the model.

    Raises:
        UserError: no such data, or no clip of a keyword in it.
    """
    recordings = sources.find(keywords, sources.SPLITS)
    clips = [c for c in recordings.clips if split in ("all", c.split)]
    if not clips and all(not c.split for c in recordings.clips):
        clips = recordings.clips
        trained_on = metadata.get("training_data", {}).get("name")
        if split != "test" and trained_on == recordings.description["name"]:
            config = from_json(SpeechConfig, metadata["settings"], "the model")
            clips = recordings.split(split, config.validation_share, config.speakers())
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


def first_half(clips: Sequence[Clip], words: set[str]) -> list[bool]:
    """Which clips choose the threshold; the others are reported.

    Each half has keywords, and no named speaker is in both, unless one person says
    all the keywords.

    Raises:
        UserError: the keywords cannot be divided.
    """
    first = [False] * len(clips)
    mine = [i for i, clip in enumerate(clips) if clip.word in words]
    side: dict[str, bool] = {}
    for i, chosen in zip(mine, held_out([clips[i] for i in mine], 0.5), strict=True):
        first[i] = side[clips[i].speaker] = chosen
    side.pop("", None)
    rest = []
    for i, clip in enumerate(clips):
        if clip.word in words:
            continue
        if clip.speaker in side:
            first[i] = side[clip.speaker]
        else:
            # As one word: it does not matter which ones are on which side.
            rest.append((i, dataclasses.replace(clip, word="")))
    if len(rest) > 1:
        chosen_of_rest = held_out([clip for _, clip in rest], 0.5)
        for (i, _), chosen in zip(rest, chosen_of_rest, strict=True):
            first[i] = chosen
    return first


def whole_people(clips: Sequence[Clip], first: Sequence[bool]) -> bool:
    """Whether every clip names its speaker, and no speaker is on both sides."""
    people = {clip.speaker for clip in clips}
    sides = {(clip.speaker, side) for clip, side in zip(clips, first, strict=True)}
    return "" not in people and len(sides) == len(people)


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
