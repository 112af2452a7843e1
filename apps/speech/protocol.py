"""Which clips count as which class, and how many of each.

The protocol of Speech Commands v2 (Warden 2018, arXiv:1804.03209): beside the
keywords, a class for other words and a class for background alone, each with a
tenth as many clips as all the keywords together.
"""

import dataclasses
import difflib
from collections.abc import Callable, Sequence

import numpy as np

from apps.core.errors import UserError
from apps.speech.audio import to_pcm16
from apps.speech.clips import CLIP_SAMPLES, SILENCE, UNKNOWN, Clip
from apps.speech.config import SpeechConfig
from apps.speech.noise import SILENCE_DB, Background

_SEED = 20180409
"""Seed of the draws of an evaluation, the same for every model and run."""


@dataclasses.dataclass(frozen=True)
class Classes:
    """The labels of a model and the classes that its training tells apart.

    The classes are the labels, `UNKNOWN` replaced by one class for each other
    word where there are `others`.
    """

    labels: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        if not self.others:
            return self.labels
        return (*(x for x in self.labels if x != UNKNOWN), *self.others)

    @property
    def groups(self) -> list[int]:
        """The label index of each class."""
        return [self.label_index(name) for name in self.names]

    def label_index(self, word: str) -> int:
        if word in self.labels:
            return self.labels.index(word)
        return self.labels.index(UNKNOWN)


def choose_labels(
    words: Sequence[str],
    keywords: Sequence[str],
    config: SpeechConfig,
    special: set[str],
    where: str,
) -> tuple[str, ...]:
    """The labels of a new model: the keywords, then `UNKNOWN` and `SILENCE`.

    Args:
        words: The words of the data.
        keywords: Those that are keywords unless `config.words` says otherwise;
            empty for all.
        config: Settings.
        special: `UNKNOWN` or `SILENCE`, as far as the data has such clips.
        where: How messages name the data.

    Raises:
        UserError: a keyword that the data does not have.
    """
    keywords = config.keywords() or tuple(keywords) or tuple(words)
    for word in keywords:
        if word in (UNKNOWN, SILENCE):
            raise UserError(
                f"--words: {word!r} cannot be a keyword: it is the name of the class "
                f"of {'other words' if word == UNKNOWN else 'background alone'}"
            )
        if word not in words:
            close = difflib.get_close_matches(word, words, 1)
            hint = f"did you mean {close[0]!r}?" if close else "it has " + _some(words)
            raise UserError(f"{where}: has no clips of the word {word!r}: {hint}")
    if not keywords:
        raise UserError(f"{where}: has no words beside unknown and silence")
    others = set(words) - set(keywords) or UNKNOWN in special
    return (
        *keywords,
        *([UNKNOWN] if others and config.unknown_share > 0 else []),
        *([SILENCE] if config.silence_share > 0 else []),
    )


def check_complete(clips: Sequence[Clip], labels: Sequence[str], where: str) -> None:
    """Raises:
    UserError: a keyword without a training clip.
    """
    found = {clip.word for clip in clips}
    for label in labels:
        if label not in found | {UNKNOWN, SILENCE}:
            raise UserError(
                f"{where}: the class {label!r} has no clips in the training split"
            )


def check_known(words: Sequence[str], labels: Sequence[str], where: str) -> None:
    """Raises:
    UserError: a word that is no label, for a model without `UNKNOWN`; or
        no word that is one.
    """
    strange = sorted(set(words) - set(labels) - {UNKNOWN, SILENCE})
    if strange and UNKNOWN not in labels:
        raise UserError(
            f"{where}: the model has no label {strange[0]!r}, and no class for "
            f"unknown words (it has {_some(labels)})"
        )
    if not set(words) & (set(labels) - {UNKNOWN, SILENCE}):
        raise UserError(
            f"{where}: no word of it ({_some(words)}) is a label of the model "
            f"({_some(labels)})"
        )


def _some(words: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(words[:most])
    return shown if len(words) <= most else f"{shown}, ... ({len(words)} in all)"


def share_of(count: int, share: float) -> int:
    return max(1, round(count * share)) if count and share else 0


def draw_for_evaluation(
    clips: Sequence[Clip], labels: Sequence[str], config: SpeechConfig, split: str
) -> tuple[list[Clip], int]:
    """The clips that are scored, and how many clips of silence go with them.

    Every keyword clip; of the other words a share drawn with a fixed seed (all
    of them with `all_unknown`); silence clips of the data's own likewise.

    Returns:
        (clips in the data's order, number of silence clips still to be cut
        from the background).
    """
    rng = np.random.default_rng([_SEED, *split.encode()])
    known = set(labels) - {UNKNOWN, SILENCE}
    keywords = [i for i, clip in enumerate(clips) if clip.word in known]
    silent = [i for i, clip in enumerate(clips) if clip.word == SILENCE]
    rest = set(range(len(clips))) - set(keywords) - set(silent)
    others = sorted(rest) if UNKNOWN in labels else []
    wanted = share_of(len(keywords), config.unknown_share)
    if not config.all_unknown and len(others) > wanted:
        others = sorted(rng.choice(others, wanted, replace=False).tolist())
    wanted = share_of(len(keywords), config.silence_share)
    if SILENCE not in labels:
        silent, wanted = [], 0
    elif len(silent) > wanted:
        silent = sorted(rng.choice(silent, wanted, replace=False).tolist())
    chosen = sorted([*keywords, *others, *silent])
    return [clips[i] for i in chosen], wanted - len(silent)


Draw = Callable[[np.random.Generator, int], np.ndarray]
"""The clips of an epoch, [count], from a generator and the number of the epoch; always
equally many."""


def draw_for_training(
    words: Sequence[str], unknown: np.ndarray, synthetic: int, config: SpeechConfig
) -> Draw:
    """All clips in every epoch, but of other words only their share, drawn anew, and
    synthetic clips beside recordings by their part, which changes with the epoch.

    Args:
        words: The word of each clip; `SILENCE` for background alone.
        unknown: Whether each is of another word, of which `config.unknown_share` is
            drawn.
        synthetic: How many are spoken by synthetic voices beside recordings: the
            last but those of silence.
        config: Settings.
    """
    spoken = np.array([word != SILENCE for word in words])
    told_apart = np.flatnonzero(spoken & ~unknown)
    others, silent = np.flatnonzero(unknown), np.flatnonzero(~spoken)
    wanted = min(share_of(len(told_apart), config.unknown_share), len(others))
    border = np.flatnonzero(spoken)[-synthetic] if synthetic else len(words)
    made, recorded = told_apart[told_apart >= border], told_apart[told_apart < border]
    first, last = config.synthetic_first, config.synthetic_last
    changes = bool(first or last) and bool(len(made))

    def draw(rng: np.random.Generator, epoch: int) -> np.ndarray:
        chosen = told_apart
        if changes:
            progress = min(1.0, epoch / max(1, config.epochs - 1))
            part = round(len(told_apart) * (first + (last - first) * progress))
            chosen = np.concatenate(
                [
                    _some_of(made, part, rng),
                    _some_of(recorded, len(told_apart) - part, rng),
                ]
            )
        more = rng.choice(others, wanted, replace=False)
        return np.concatenate([chosen, more, silent])

    return draw


def _some_of(pool: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """So many of the pool, [count], each as often as the others or once more."""
    whole, rest = divmod(count, len(pool))
    return np.concatenate([*[pool] * whole, rng.choice(pool, rest, replace=False)])


def silence_clips(count: int, background: Background, split: str) -> list[np.ndarray]:
    """Background alone at many levels, int16 [CLIP_SAMPLES] each."""
    rng = np.random.default_rng([_SEED + 1, *split.encode()])
    noise = background.draw(count, CLIP_SAMPLES, rng)
    levels = 10 ** (rng.uniform(*SILENCE_DB, size=count) / 20)
    return list(to_pcm16(noise * levels[:, None]))
