"""Writing put together from single symbols of real hands."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from apps.core.errors import UserError
from apps.handwriting.ink import Ink, beside
from apps.handwriting.readers import Record

_ASCENDING = "bdfhklt0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DESCENDING = "gpqy"
_TOPS = {"i": -1.5, "j": -1.5, "t": -1.6}
_BOTTOMS = {"j": 0.7}


def natural(name: str) -> list[tuple[int, int | str]]:
    """A key that sorts "9" before "10"."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(p)) if p.isdigit() else (1, p) for p in parts if p]


def compose(
    records: Sequence[Record],
    lengths: tuple[int, int],
    size: int,
    seed: Sequence[int],
) -> list[Record]:
    """Lines of a writer's own symbols side by side, no separators.

    Args:
        records: Single symbols, with their labels of one character.
        lengths: Fewest and most symbols of a line; uniform between them.
        size: Lines to make.
        seed: Of everything drawn.

    Raises:
        UserError: a label of more than one character.
    """
    by_writer: dict[str, list[Record]] = {}
    for record in records:
        if record.text is None or len(record.text) != 1:
            raise UserError(
                f"{record.source}: the label {record.text!r} is not one character: "
                "lines are composed of single symbols only"
            )
        by_writer.setdefault(record.writer or "", []).append(record)
    writers = sorted(by_writer, key=natural)
    heights = {}
    for writer, own in by_writer.items():
        boxes = np.array([r.ink.box() for r in own])
        heights[writer] = float(np.median(boxes[:, 3] - boxes[:, 1]))
    rng = np.random.default_rng(list(seed))
    lines = []
    for number in range(size):
        writer = writers[number % len(writers)]
        own = by_writer[writer]
        count = int(rng.integers(lengths[0], lengths[1] + 1))
        chosen = [own[i] for i in rng.integers(0, len(own), count)]
        gaps = rng.uniform(0.05, 0.4, count - 1) * heights[writer]
        ink = beside([r.ink for r in chosen], gaps.tolist())
        text = "".join(str(r.text) for r in chosen)
        lines.append(Record(ink, text, f"composed line {number + 1}", writer))
    return lines


class Speller:
    """Writes words with the single letters of real people.

    Letters are drawn on their own, each in its own box: each is set on the
    baseline and scaled to the height that letters of its kind have.

    Args:
        records: Single symbols with labels of one character; others are left out.

    Raises:
        UserError: no symbol has a label of one character.
    """

    def __init__(self, records: Sequence[Record]):
        self._own: dict[str, dict[str, list[Ink]]] = {}
        for record in records:
            if record.text is not None and len(record.text) == 1:
                hands = self._own.setdefault(record.text, {})
                hands.setdefault(record.writer or "", []).append(record.ink)
        if not self._own:
            raise UserError("letters: no symbol in them is labelled by one character")

    @property
    def characters(self) -> frozenset[str]:
        """What can be written."""
        return frozenset(self._own)

    def write(self, text: str, rng: np.random.Generator) -> Ink:
        """`text` in one person's letters where that person wrote all of them.

        Raises:
            KeyError: a character that is not in `characters`.
        """
        hands = [set(self._own[character]) for character in text]
        common = sorted(set.intersection(*hands), key=natural)
        hand = str(rng.choice(common)) if common else None
        x_height = rng.uniform(0.8, 1.2)
        letters = []
        for character in text:
            kept = self._own[character]
            own = kept[hand or str(rng.choice(sorted(kept)))]
            ink = own[int(rng.integers(len(own)))]
            letters.append(_on_baseline(ink, character, x_height, rng))
        gaps = rng.uniform(0.08, 0.45) + rng.uniform(-0.06, 0.06, len(text) - 1)
        return beside(letters, gaps.tolist())


def _on_baseline(
    ink: Ink, character: str, x_height: float, rng: np.random.Generator
) -> Ink:
    """A letter between the lines that belong to its kind, in x-heights."""
    top, bottom = -x_height, 0.0
    if character in _ASCENDING:
        top = -1.8
    if character in _DESCENDING:
        bottom = 0.75
    top, bottom = _TOPS.get(character, top), _BOTTOMS.get(character, bottom)
    top, bottom = top + rng.normal(0, 0.06), bottom + rng.normal(0, 0.06)
    left, upper, right, lower = ink.box()
    tall = max(lower - upper, 0.3 * (right - left), 1e-9)
    scale = (bottom - top) / tall
    # Narrower than drawn in a box of its own: in words letters stand closer.
    matrix = np.diag([scale * rng.uniform(0.55, 0.95), scale])
    moved = ink.moved(matrix)
    return moved.moved(np.eye(2), (0.0, bottom - moved.box()[3]))
