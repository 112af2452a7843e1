"""Writing put together from single symbols of real hands."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from apps.core.errors import UserError
from apps.handwriting.distort import Ranges, distort
from apps.handwriting.ink import Ink
from apps.handwriting.readers import Record
from apps.handwriting.writer import Hand, draw_strokes

_ASCENDING = "bdfhklt0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DESCENDING = "gpqy"
_TOPS = {"i": -1.5, "j": -1.5, "t": -1.6}
_BOTTOMS = {"j": 0.7}


def natural(name: str) -> list[tuple[int, int | str]]:
    """A key that sorts "9" before "10"."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(p)) if p.isdecimal() else (1, p) for p in parts if p]


class Redrawn(list[Record]):
    """Records that are others in each epoch of a training; as a list, the first's.

    Args:
        draw: Makes those of an epoch, as many every time.
    """

    def __init__(self, draw: Callable[[int], Sequence[Record]]):
        super().__init__(draw(0))
        self.draw = draw


def compose(
    records: Sequence[Record],
    lengths: tuple[int, int],
    size: int,
    seed: Sequence[int],
    ranges: Ranges | None = None,
) -> list[Record]:
    """Lines of a writer's own symbols side by side, no separators.

    Args:
        records: Single symbols, with their labels of one character.
        lengths: Fewest and most symbols of a line; uniform between them.
        size: Lines to make.
        seed: Of everything drawn.
        ranges: How far each symbol is distorted by itself; None: not at all.

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
    heights, middles = {}, {}
    for writer, own in by_writer.items():
        boxes = np.array([r.ink.box() for r in own])
        heights[writer] = float(np.median(boxes[:, 3] - boxes[:, 1]))
        middles[writer] = (boxes[:, 1] + boxes[:, 3]) / 2
    points = {w: [r.ink.points() for r in own] for w, own in by_writer.items()}
    rng = np.random.default_rng(list(seed))
    lines = []
    for number in range(size):
        writer = writers[number % len(writers)]
        own = by_writer[writer]
        count = int(rng.integers(lengths[0], lengths[1] + 1))
        chosen = rng.integers(0, len(own), count)
        gaps = rng.uniform(0.05, 0.4, count - 1) * heights[writer]
        placed, right = [], 0.0
        for i, gap in zip(chosen, [0.0, *gaps], strict=True):
            drawn = points[writer][i].copy()
            if ranges:
                drawn = distort(drawn, ranges, rng)
            low, high = drawn[:, :2].min(0), drawn[:, :2].max(0)
            # Where it stood: its height on the line belongs to a symbol.
            drawn[:, 0] += right + gap - low[0]
            drawn[:, 1] += middles[writer][i] - (low[1] + high[1]) / 2
            right += gap + high[0] - low[0]
            placed.append(drawn)
        line = np.concatenate(placed)
        line[:, 2] = 0.0
        text = "".join(str(own[i].text) for i in chosen)
        source = f"composed line {number + 1}"
        lines.append(Record(Ink.from_points(line), text, source, writer))
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

    def write(self, text: str, hand: Hand, rng: np.random.Generator) -> Ink:
        """`text` in one person's letters where that person wrote all of them.

        Args:
            text: Of `characters` only.
            hand: Whose pen draws them, and whose habits join and delay strokes.
            rng: Draws the rest.

        Raises:
            KeyError: a character that is not in `characters`.
        """
        hands = [set(self._own[character]) for character in text]
        common = sorted(set.intersection(*hands), key=natural)
        person = str(rng.choice(common)) if common else None
        x_height = rng.uniform(0.8, 1.2)
        gap = rng.uniform(0.08, 0.45)
        delays = rng.random() < hand.delay
        strokes: list[np.ndarray] = []
        late: list[np.ndarray] = []
        right, can_join = 0.0, False
        for character in text:
            kept = self._own[character]
            own = kept[person or str(rng.choice(sorted(kept)))]
            ink = own[int(rng.integers(len(own)))]
            ink = _on_baseline(ink, character, x_height, rng)
            left, _, far, _ = ink.box()
            space = 0.0 if not strokes else max(0.0, gap + rng.uniform(-0.06, 0.06))
            shift = np.array([right + space - left, 0.0])
            placed = [s + shift for s in ink.strokes]
            right += space + far - left
            marks = _marks(placed, character)
            joins = can_join and 0 not in marks and rng.random() < hand.join
            body = [s for i, s in enumerate(placed) if i not in marks]
            if joins:
                strokes[-1] = np.concatenate([strokes[-1], body[0]])
                body = body[1:]
            strokes += body
            (late if delays else strokes).extend(placed[i] for i in sorted(marks))
            # A stroke that ends on the left of its letter leads nowhere.
            can_join = strokes[-1][-1, 0] > right - 0.4 * (far - left)
            can_join &= delays or not marks
            can_join &= not character.isdigit()
        return draw_strokes([*strokes, *late], hand, rng)


def _marks(strokes: Sequence[np.ndarray], character: str) -> set[int]:
    """Which strokes of a letter are its dot or bar."""
    if len(strokes) < 2 or character not in "ijtf":
        return set()
    sizes = [np.ptp(s, axis=0) for s in strokes]
    if character in "ij":
        return {int(np.argmin([size.max() for size in sizes]))}
    return {int(np.argmax([size[0] - size[1] for size in sizes]))}


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
