"""A character n-gram language model, and a lexicon, for beam search."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterable

from apps.core.errors import UserError
from apps.handwriting.readers.record import decode
from apps.handwriting.readers.tree import read_bytes

END = "\n"
"""Stands for the end of a text; no text holds it."""
_START = "\x02"


class CharacterModel:
    """Interpolated n-grams with Witten-Bell smoothing.

    p(c | h) = (n(h, c) + u(h) p(c | h')) / (n(h) + u(h)), where h' is h without
    its first character, n counts, and u(h) is the number of different characters
    seen behind h (Witten and Bell, IEEE Trans. IT 1991; Chen and Goodman 1999,
    section 2.5). The last resort is uniform over `alphabet` and the end. It is
    used rather than Kneser-Ney because it needs no discounts estimated from
    counts of counts, which a text of a few hundred words does not give.

    Args:
        texts: What the model learns from, a unit (word or line) each.
        alphabet: The characters a recogniser can write. Texts may hold others:
            they are left out of the counts.
        order: Characters a prediction sees, itself included; at least 1.

    Raises:
        ValueError: an order below 1, or an empty alphabet.
    """

    def __init__(self, texts: Iterable[str], alphabet: Iterable[str], order: int = 5):
        if order < 1:
            raise ValueError(f"order={order}: must be at least 1")
        self.order = order
        self.alphabet = frozenset(alphabet)
        if not self.alphabet:
            raise ValueError("alphabet: must not be empty")
        self._counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for text in texts:
            kept = "".join(c for c in text if c in self.alphabet)
            if not kept:
                continue
            padded = _START * (order - 1) + kept + END
            for i in range(order - 1, len(padded)):
                for size in range(order):
                    self._counts[padded[i - size : i]][padded[i]] += 1
        self._totals = {h: sum(c.values()) for h, c in self._counts.items()}
        self._cache: dict[tuple[str, str], float] = {}

    def log_probability(self, prefix: str, character: str) -> float:
        """log p(character | prefix), natural; `END` asks for the end."""
        keep = self.order - 1
        history = (_START * keep + prefix)[len(prefix) :] if keep else ""
        key = (history, character)
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = math.log(self._probability(*key))
        return found

    def _probability(self, history: str, character: str) -> float:
        if history:
            lower = self._probability(history[1:], character)
        else:
            lower = 1 / (len(self.alphabet) + 1)
        followers = self._counts.get(history)
        if followers is None:
            return lower
        kinds = len(followers)
        return (followers.get(character, 0) + kinds * lower) / (
            self._totals[history] + kinds
        )

    def perplexity(self, texts: Iterable[str]) -> float:
        """Per character, the end counted as one."""
        total, count = 0.0, 0
        for text in texts:
            for i, character in enumerate(text + END):
                total -= self.log_probability(text[:i], character)
                count += 1
        return math.exp(total / max(count, 1))


class Lexicon:
    """The words a transcript may be made of, separated by single spaces."""

    def __init__(self, words: Iterable[str]):
        self._prefixes: set[str] = {""}
        self.words = frozenset(w for w in words if w)
        if not self.words:
            raise ValueError("words: a lexicon must not be empty")
        for word in self.words:
            self._prefixes.update(word[:i] for i in range(1, len(word) + 1))

    def allows(self, text: str) -> bool:
        """Whether `text` begins a transcript made of the words."""
        *done, last = text.split(" ")
        return last in self._prefixes and all(word in self.words for word in done)

    def accepts(self, text: str) -> bool:
        """Whether `text` is such a transcript, complete."""
        return self.allows(text) and text.split(" ")[-1] in self.words


def read_units(path: str | os.PathLike, unit: str = "line") -> list[str]:
    """Lines of a text file, or its words, without repeats of white space.

    Raises:
        UserError: the file cannot be read or holds no text, or another unit.
    """
    if unit not in ("line", "word"):
        raise UserError(f"lm_unit={unit}: must be line or word")
    text = decode(read_bytes(path))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    units = [line for line in lines if line]
    if unit == "word":
        units = [word for line in units for word in line.split()]
    if not units:
        raise UserError(f"{path}: holds no text to learn from")
    return units
