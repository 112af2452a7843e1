"""Words in a person's hand: forms of letters chosen, bent, and joined.

The word-processing half of the synthetic writer's face "school"; `letterforms`
has the letters. Lengths are in x-heights; y grows downwards.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from apps.core.errors import UserError
from apps.handwriting.penpath import CHARACTERS, Path, curve, forms


@dataclasses.dataclass(frozen=True)
class Habits:
    """What is one writer's own. Drawn by `draw_habits`.

    Attributes:
        seed: Draws the habits that are a matter of one letter or one pair.
        slant: Shear of the writing.
        aspect: Width of the letters as a factor.
        ascender, descender: Length of what goes above x-height, below the
            baseline, as factors.
        join: Share of the pairs of letters that are joined.
        link: Length of a join.
        gap: Space between letters that are not joined.
        tail: How far strokes that leave a letter along the baseline are drawn out.
        shrink: How much smaller the letters become to the end of a word.
        lead: Chance that a letter that begins at x-height has a stroke into it.
        delay: Chance that a word's dots and bars come after its last letter.
        variety: Chance that a letter is written in another form than usual.
        shape: Deviation of the control points of this hand's letters.
        looseness: The same between two writings of a letter.
    """

    seed: int
    slant: float
    aspect: float
    ascender: float
    descender: float
    join: float
    link: float
    gap: float
    tail: float
    shrink: float
    lead: float
    delay: float
    variety: float
    shape: float
    looseness: float


def draw_habits(rng: np.random.Generator) -> Habits:
    """The habits of a random hand."""
    return Habits(
        seed=int(rng.integers(2**31)),
        slant=rng.normal(0.12, 0.25),
        aspect=float(np.exp(rng.uniform(np.log(0.6), np.log(1.6)))),
        ascender=float(np.exp(rng.uniform(np.log(0.6), np.log(2.0)))),
        descender=rng.uniform(0.6, 1.3),
        join=float(rng.choice([0.0, 1.0, *rng.uniform(0.3, 1, 4)])),
        link=float(rng.choice([rng.uniform(0.0, 0.5), rng.uniform(0.2, 1.0)])),
        gap=rng.uniform(0.05, 0.6),
        tail=float(rng.choice([0.0, rng.uniform(0.0, 0.8)])),
        shrink=max(0.0, rng.normal(0.05, 0.15)),
        lead=float(rng.choice([0.0, rng.uniform(0, 1)])),
        delay=float(rng.choice([0.0, 1.0, rng.uniform(0, 1)])),
        variety=rng.uniform(0, 0.3),
        shape=rng.uniform(0.02, 0.09),
        looseness=rng.uniform(0.01, 0.06),
    )


def check_letters(text: str) -> None:
    """Raises:
    UserError: a character that there are no forms of.
    """
    wrong = sorted(set(text) - CHARACTERS - {" "})
    if wrong:
        raise UserError(
            f"the school hand has no {wrong[0]!r} (in {text[:30]!r}): it writes "
            "small letters, digits and spaces; set fonts to Hershey faces"
        )


def lay_out(text: str, habits: Habits, rng: np.random.Generator) -> list[np.ndarray]:
    """Paths [n, 2] of the text, in the order they are written.

    Raises:
        UserError: a character that there are no forms of.
    """
    check_letters(text)
    word = _Word(habits, rng)
    for character in text:
        if character == " ":
            word.end()
            word.right += rng.uniform(0.7, 1.5)
        else:
            word.add(character)
    word.end()
    slant = np.array([[1.0, 0.0], [habits.slant, 1.0]])
    return [
        curve(points, corners) @ slant * [1.0, -1.0] for points, corners in word.strokes
    ]


class _Word:
    """Strokes of control points, with where the pen is."""

    def __init__(self, habits: Habits, rng: np.random.Generator):
        self.habits, self.rng = habits, rng
        self.strokes: list[tuple[np.ndarray, np.ndarray]] = []  # points, corners
        self.right = 0.0
        self.height = 0.0
        self._open = False  # the last stroke is a letter's: the next can be joined
        self._leaves_right = False
        self._last = ""
        self._marks: list[tuple[np.ndarray, np.ndarray]] = []
        self._waits = rng.random() < habits.delay
        self._written = 0  # letters of the word

    def add(self, character: str) -> None:
        habits, rng = self.habits, self.rng
        paths = _shaped(character, habits, rng)
        paths = _resized(paths, 1 - self._written * habits.shrink / 10)
        self._written = min(self._written + 1, 8)
        body = [p for p in paths if not p.is_mark]
        joined = self._open and not paths[0].is_mark and self._joins(character, body)
        if self._open and not joined:
            self._lift()
        self.height = 0.7 * self.height + rng.normal(0, habits.looseness)
        left = min(p.points[:, 0].min() for p in body)
        space = habits.link if joined else habits.gap
        start = self.right + space * rng.uniform(0.6, 1.4) - left
        for number, path in enumerate(paths):
            points = path.points + np.array([start, self.height])
            corners = path.corners
            if path.is_mark:
                self._mark(points, corners, first=number == 0)
            elif number == 0 and joined:
                before, cusps = self.strokes[-1]
                self.strokes[-1] = (
                    np.concatenate([before, points]),
                    np.concatenate([cusps, corners]),
                )
            else:
                if number == 0 and rng.random() < habits.lead:
                    points, corners = _lead_in(points, corners, rng)
                self.strokes.append((points, corners))
        ends = start + max(p.points[:, 0].max() for p in body)
        exit_x = start + body[-1].points[-1, 0]
        width = ends - start - left
        # Joins leave to the right; a stroke that ends on the left is an end.
        self._leaves_right = exit_x > start + left + 0.6 * width
        self.right = ends
        self._open = True
        self._last = character
        if self._marks and not self._waits and rng.random() < 0.4:
            self._lift()

    def _joins(self, character: str, body: list[Path]) -> bool:
        habits = self.habits
        if character.isdigit() or self._last.isdigit():
            return False
        pair = np.random.default_rng([habits.seed, ord(self._last), ord(character)])
        chance = habits.join
        if not self._leaves_right:
            chance *= 0.25
        if body[0].points[0, 1] > 1.4:  # up to the top, and down again
            chance *= 0.7
        usual = pair.random() < chance
        return usual if self.rng.random() < 0.9 else self.rng.random() < chance

    def _mark(self, points: np.ndarray, corners: np.ndarray, first: bool) -> None:
        rng = self.rng
        if rng.random() < 0.04:
            return
        if np.ptp(points, axis=0).max() < 0.2:  # a dot: of any direction, or a point
            angle = rng.uniform(-np.pi, np.pi)
            reach = rng.choice([0.0, rng.uniform(0, 0.3)])
            way = np.array([np.cos(angle), np.sin(angle)]) * reach
            points = np.array([points[0], points[0] + way])
            corners = np.zeros(2, bool)
        points = points + rng.normal([0.08, 0.05], 0.12, 2)
        if first:
            self.strokes.append((points, corners))
        else:
            self._marks.append((points, corners))

    def _lift(self) -> None:
        self._open = False
        if not self._waits:
            self.strokes += self._marks
            self._marks = []

    def end(self) -> None:
        """Ends a word: what waited is written now."""
        self._written = 0
        self._open = False
        self.strokes += self._marks
        self._marks = []


def _shaped(
    character: str, habits: Habits, rng: np.random.Generator
) -> tuple[Path, ...]:
    """The character in this hand's usual form, or now and then in another."""
    own = np.random.default_rng([habits.seed, ord(character)])
    choices = forms(character)
    usual = int(own.integers(len(choices)))
    other = int(rng.integers(len(choices)))
    number = other if rng.random() < habits.variety else usual
    turn = np.eye(2) + own.normal(0, 0.07, (2, 2))
    turn += rng.normal(0, habits.looseness, (2, 2))
    size = np.exp(rng.normal(0, habits.looseness))
    shaped = []
    for path in choices[number]:
        xy = path.points + own.normal(0, habits.shape, path.points.shape)
        xy = xy + rng.normal(0, habits.looseness, xy.shape)
        x, y = xy[:, 0] * habits.aspect, xy[:, 1]
        y = np.where(y > 1, 1 + (y - 1) * habits.ascender, y)
        y = np.where(y < 0, y * habits.descender, y)
        xy = np.stack([x, y], axis=1) @ turn * size
        shaped.append(dataclasses.replace(path, points=xy))
    last = max((i for i, p in enumerate(shaped) if not p.is_mark), default=0)
    shaped[last] = _drawn_out(shaped[last], habits.tail * rng.uniform(0, 1))
    return tuple(shaped)


def _resized(paths: tuple[Path, ...], size: float) -> tuple[Path, ...]:
    return tuple(dataclasses.replace(p, points=p.points * size) for p in paths)


def _drawn_out(path: Path, length: float) -> Path:
    """The path with its end further to the right, where it leaves along the line."""
    points = path.points.copy()
    if points[-1, 0] > points[-2, 0] and points[-1, 1] < 0.4:
        points[-1, 0] += length
    return dataclasses.replace(path, points=points)


def _lead_in(
    points: np.ndarray, corners: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A stroke up into a letter, where it begins at the upper left."""
    x, y = points[0]
    if not (0.8 < y < 1.3 and x < points[:, 0].mean()):
        return points, corners
    before = [x - rng.uniform(0.1, 0.4), y - rng.uniform(0.05, 0.8)]
    return np.vstack([before, points]), np.concatenate([[False], corners])
