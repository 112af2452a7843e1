"""From scores per step to transcripts: greedy and prefix beam search."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from apps.handwriting.language import END, CharacterModel, Lexicon

NEVER = -math.inf


def greedy(scores: np.ndarray, labels: Sequence[str]) -> str:
    """The best label of each step, repeats and blanks removed.

    Args:
        scores: [steps, len(labels) + 1], the last column the blank; logits or
            (log) probabilities.
        labels: The characters.

    Raises:
        ValueError: another number of columns.
    """
    _check(scores, labels)
    best = scores.argmax(-1)
    changed = np.concatenate([[True], best[1:] != best[:-1]])
    return "".join(labels[i] for i in best[changed & (best < len(labels))])


def from_indices(transcript: np.ndarray, labels: Sequence[str]) -> str:
    """Text of the indices that the exported file returns; negative ones are none."""
    return "".join(labels[int(i)] for i in transcript if i >= 0)


@dataclasses.dataclass(frozen=True)
class Search:
    """Settings of `beam_search`.

    Attributes:
        width: Prefixes kept after each step.
        model: Character language model, or None.
        model_weight: Its log probabilities count this much.
        length_bonus: Added for each character, against the model's preference
            for short texts.
        lexicon: The words allowed, or None for any text.
        least: Labels of a lower probability in a step are not tried there. With
            a lexicon all are: it leaves few to try, and must not end up with none.
    """

    width: int = 16
    model: CharacterModel | None = None
    model_weight: float = 0.5
    length_bonus: float = 0.0
    lexicon: Lexicon | None = None
    least: float = 1e-3

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width={self.width}: must be at least 1")
        if not 0 <= self.least < 1:
            raise ValueError(f"least={self.least}: must be in [0, 1)")


@dataclasses.dataclass
class _Prefix:
    """log probability of a prefix whose last step is blank, and is its last label."""

    blank: float = NEVER
    label: float = NEVER
    bonus: float = 0.0
    """What language model and length bonus have added so far."""

    @property
    def total(self) -> float:
        return _log_add(self.blank, self.label)


def _log_add(a: float, b: float) -> float:
    if a < b:
        a, b = b, a
    return a if b == NEVER else a + math.log1p(math.exp(b - a))


def beam_search(
    log_probabilities: np.ndarray,
    labels: Sequence[str],
    top: int = 1,
    search: Search | None = None,
) -> list[tuple[str, float]]:
    """Prefix beam search over CTC's outputs (Hannun et al., arXiv:1408.2873).

    Sums over all the paths that spell a prefix, so that its best text can differ
    from the greedy one.

    Args:
        log_probabilities: [steps, len(labels) + 1], natural logarithms, the last
            column the blank.
        labels: One character each.
        top: Transcripts wanted.
        search: None for a plain search of width 16.

    Returns:
        At most `top` (transcript, score), best first: the log probability of the
        transcript plus weighted language model and length bonus. Nothing where
        the steps are too few for any text that the lexicon accepts.

    Raises:
        ValueError: another number of columns than labels and blank.
    """
    search = search or Search()
    _check(log_probabilities, labels)
    pruned = search.least > 0 and search.lexicon is None
    floor = math.log(search.least) if pruned else NEVER
    blank = len(labels)
    beam: dict[str, _Prefix] = {"": _Prefix(blank=0.0)}
    for row in log_probabilities:
        tried = np.flatnonzero(row[:blank] >= floor).tolist()
        values = row.tolist()
        grown: dict[str, _Prefix] = {}
        for text, prefix in beam.items():
            same = grown.setdefault(text, _Prefix(bonus=prefix.bonus))
            total = prefix.total
            same.blank = _log_add(same.blank, total + values[blank])
            for index in tried:
                character = labels[index]
                if text.endswith(character):
                    same.label = _log_add(same.label, prefix.label + values[index])
                    gained = prefix.blank + values[index]
                else:
                    gained = total + values[index]
                if gained == NEVER:
                    continue
                longer = text + character
                entry = grown.get(longer)
                if entry is None:
                    if search.lexicon is not None and not search.lexicon.allows(longer):
                        continue
                    bonus = prefix.bonus + _bonus(search, text, character)
                    entry = grown[longer] = _Prefix(bonus=bonus)
                entry.label = _log_add(entry.label, gained)
        kept = sorted(grown.items(), key=lambda item: -(item[1].total + item[1].bonus))
        beam = dict(kept[: search.width])
    finished = []
    for text, prefix in beam.items():
        if search.lexicon is not None and not search.lexicon.accepts(text):
            continue
        score = prefix.total + prefix.bonus
        if search.model is not None:
            end = search.model.log_probability(text, END)
            score += search.model_weight * end
        if score > NEVER:
            finished.append((text, score))
    finished.sort(key=lambda item: (-item[1], item[0]))
    return finished[:top]


def _bonus(search: Search, text: str, character: str) -> float:
    if search.model is None:
        return search.length_bonus
    return search.length_bonus + search.model_weight * (
        search.model.log_probability(text, character)
    )


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Natural log probabilities of logits, over the last axis, in float64."""
    shifted = np.asarray(scores, "float64")
    shifted = shifted - shifted.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _check(scores: np.ndarray, labels: Sequence[str]) -> None:
    if scores.ndim != 2 or scores.shape[1] != len(labels) + 1:
        raise ValueError(
            f"expected scores [steps, {len(labels) + 1}] for {len(labels)} labels "
            f"and the blank, got {scores.shape}"
        )
