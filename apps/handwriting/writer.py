"""A synthetic writer: any text in the single-stroke fonts of A. V. Hershey.

The fonts (Hershey, NBS 1967; public domain, through the Hershey-Fonts package)
are polylines as a plotter draws them. A `Hand` makes them a person's: its face,
slant, proportions, letter spacing, the order and direction of strokes, how far
letters are joined, how corners are rounded, and how fast its pen moves. Ink
made here is synthetic; a model trained on it alone knows plotter letters, not
people's. The face "school" is not of Hershey's: its letters follow the common forms
of people's handwriting (`letterforms`, `penmanship`).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from apps.core.errors import UserError
from apps.handwriting.distort import Ranges, distort
from apps.handwriting.ink import Ink
from apps.handwriting.penmanship import check_letters, draw_habits, lay_out

PRINT_FACES = ("futural",)
SCRIPT_FACES = ("scripts", "cursive")
SCHOOL = "school"
HERSHEY = PRINT_FACES + SCRIPT_FACES
FACES = (*HERSHEY, SCHOOL)

_X_HEIGHT = {"futural": 14.0, "scripts": 9.0, "cursive": 9.0}
_BASELINE = 9.0
_DELAYED = "ijtxf"
"""Letters whose dot or bar is often written when the word is done."""


@dataclasses.dataclass(frozen=True)
class Hand:
    """One writer's habits. Lengths are in x-heights.

    Attributes:
        face: Name of a Hershey font, or "school".
        slant: Shear of the letters.
        aspect: Width of the letters as a factor.
        x_height: Height of small letters against ascenders, as a factor.
        spacing: Added to the gap between letters.
        join: Chance that neighbouring letters are joined where the face does not.
        delay: Chance that a word's dots and bars come after its last letter.
        flip: Chance that this hand writes a glyph's stroke backwards; drawn once
            a stroke, so a hand is consistent.
        looseness: Size of the differences between two writings of a letter.
        rounding: Radius to which corners are smoothed.
        density: Points per x-height of path.
        corner_slowing: How much slower the pen is where the path turns.
        seed: Draws the habits that are a matter of one letter.
    """

    face: str
    slant: float
    aspect: float
    x_height: float
    spacing: float
    join: float
    delay: float
    flip: float
    looseness: float
    rounding: float
    density: float
    corner_slowing: float
    seed: int


def draw_hand(rng: np.random.Generator, faces: Sequence[str] = HERSHEY) -> Hand:
    """A random hand in one of `faces`; a face named twice is twice as likely.

    Raises:
        UserError: a face that is not one of `FACES`.
    """
    for face in faces:
        if face not in FACES:
            raise UserError(f"fonts={face}: choose from {', '.join(FACES)}")
    face = str(rng.choice(list(faces)))
    return Hand(
        face=face,
        slant=rng.uniform(-0.15, 0.5)
        if face in PRINT_FACES
        else rng.uniform(-0.3, 0.3),
        aspect=float(np.exp(rng.uniform(np.log(0.65), np.log(1.35)))),
        x_height=rng.uniform(0.85, 1.25),
        spacing=rng.uniform(-0.12, 0.3) if face in PRINT_FACES else 0.0,
        join=rng.choice([0.0, rng.uniform(0, 1)]),
        delay=rng.choice([0.0, 1.0, rng.uniform(0, 1)]),
        flip=rng.uniform(0, 0.15),
        looseness=rng.uniform(0.01, 0.06),
        rounding=rng.uniform(0.03, 0.2),
        density=float(np.exp(rng.uniform(np.log(2.2), np.log(10)))),
        corner_slowing=rng.uniform(0, 2),
        seed=int(rng.integers(2**31)),
    )


@functools.cache
def _font(face: str) -> dict[str, tuple[float, float, tuple[np.ndarray, ...]]]:
    """Glyphs of a face: (left side, right side, strokes [n, 2]), in x-heights.

    y grows downwards from the baseline.
    """
    from HersheyFonts import HersheyFonts

    fonts = HersheyFonts()
    fonts.load_default_font(face)
    characters = [chr(code) for code in range(32, 127)]
    unit = _X_HEIGHT[face]
    glyphs = {}
    for character in characters:
        for glyph in fonts.glyphs_for_text(character):
            left = glyph.left_offset
            strokes = tuple(
                (np.array(s, "float64") - (left, _BASELINE)) / unit
                for s in glyph.strokes
                if len(s) > 0
            )
            glyphs[character] = (0.0, glyph.char_width / unit, strokes)
    return glyphs


def check_text(text: str, faces: Sequence[str] = HERSHEY) -> None:
    """Raises:
    UserError: a character that one of the faces does not have.
    """
    if SCHOOL in faces:
        check_letters(text)
    wrong = sorted({c for c in text if not " " <= c <= "~"})
    if wrong:
        raise UserError(
            f"the Hershey fonts have no {wrong[0]!r} (in {text[:30]!r}): "
            "they hold the printable ASCII characters"
        )


def write(text: str, hand: Hand, rng: np.random.Generator) -> Ink:
    """`text` in the writing of `hand`, different each time; times in seconds.

    Raises:
        UserError: a character the fonts do not have, or nothing to write.
    """
    check_text(text)
    if hand.face == SCHOOL:
        habits = draw_habits(np.random.default_rng([hand.seed, 1]))
        strokes = lay_out(text, habits, rng)
    else:
        strokes = _lay_out(text, hand, rng)
    if not strokes:
        raise UserError(f"text {text!r}: there is nothing to write in it")
    return draw_strokes(strokes, hand, rng)


def draw_strokes(
    strokes: Sequence[np.ndarray], hand: Hand, rng: np.random.Generator
) -> Ink:
    """Paths [n, 2] in x-heights as the pen of `hand` draws them."""
    sampled: list[np.ndarray] = []
    clock = 0.0
    for stroke in strokes:
        points, clock = _sample(stroke, hand, rng, clock + rng.uniform(0.08, 0.25))
        sampled.append(points)
    points = np.concatenate(sampled)
    loose = Ranges(0.05, 0.08, 0.05, warp=0.05, jitter=0.002, drop=0, reorder=0)
    return Ink.from_points(distort(points, loose, rng))


def _lay_out(text: str, hand: Hand, rng: np.random.Generator) -> list[np.ndarray]:
    """Polylines [n, 2] of the text in x-heights, in the order they are written."""
    font = _font(hand.face)
    strokes: list[np.ndarray] = []
    late: list[np.ndarray] = []
    delays = rng.random() < hand.delay
    pen_x, previous_end = 0.0, -1
    drift = np.cumsum(rng.normal(0, hand.looseness, len(text))) * 0.5
    for position, character in enumerate(text):
        _, width, glyph = font[character]
        if character == " ":
            strokes += late
            late = []
            previous_end = -1
        placed = [_shape(s, hand, rng) for s in _habit(glyph, character, hand)]
        offset = np.array([pen_x, drift[position]])
        placed = [s + offset for s in placed]
        pen_x += (width * hand.aspect) + hand.spacing * rng.uniform(0.5, 1.5)
        if not placed:
            continue
        if delays and character in _DELAYED and len(placed) > 1:
            late += placed[-1:] if character in "txf" else placed[:1]
            placed = placed[:-1] if character in "txf" else placed[1:]
        if previous_end >= 0:
            gap = np.linalg.norm(strokes[previous_end][-1] - placed[0][0])
            touches = hand.face in SCRIPT_FACES and gap < 0.35
            if touches or (gap < 1.2 and rng.random() < hand.join):
                joined = np.concatenate([strokes[previous_end], placed[0]])
                strokes[previous_end] = joined
                placed = placed[1:]
        strokes += placed
        previous_end = len(strokes) - 1
    return strokes + late


def _habit(glyph: Sequence[np.ndarray], character: str, hand: Hand) -> list[np.ndarray]:
    """The glyph's strokes in this hand's order and direction.

    Strokes that meet are sometimes one stroke of the pen.
    """
    rng = np.random.default_rng([hand.seed, ord(character)])
    strokes = [s[::-1] if rng.random() < hand.flip else s for s in glyph]
    if len(strokes) > 1 and hand.face in PRINT_FACES and rng.random() < 0.4:
        strokes = [strokes[i] for i in rng.permutation(len(strokes))]
    # Plotters lift between a letter's strokes where people often do not.
    reach = rng.choice([0.0, 0.3, 1.2 if hand.face in SCRIPT_FACES else 0.3])
    found: list[np.ndarray] = []
    for stroke in strokes:
        if found and np.linalg.norm(found[-1][-1] - stroke[0]) < reach:
            found[-1] = np.concatenate([found[-1], stroke])
        else:
            found.append(stroke)
    # This hand's own form of the letter, on top of its slant and proportions.
    form = np.eye(2) + rng.normal(0, 0.07, (2, 2))
    return [s @ form for s in found]


def _shape(stroke: np.ndarray, hand: Hand, rng: np.random.Generator) -> np.ndarray:
    """One writing of a stroke: the hand's proportions and its looseness."""
    xy = stroke.copy()
    upper = xy[:, 1] < -1
    xy[:, 1] = np.where(
        upper, -hand.x_height + (xy[:, 1] + 1), xy[:, 1] * hand.x_height
    )
    xy[:, 0] = xy[:, 0] * hand.aspect - hand.slant * xy[:, 1]
    turn = np.eye(2) + rng.normal(0, hand.looseness, (2, 2))
    return xy @ turn + rng.normal(0, hand.looseness, 2)


def _sample(
    stroke: np.ndarray, hand: Hand, rng: np.random.Generator, start: float
) -> tuple[np.ndarray, float]:
    """Points [n, 4] of a polyline as a digitiser takes them, and the end's time."""
    steps = np.linalg.norm(np.diff(stroke, axis=0), axis=1)
    length = float(steps.sum())
    if length < 1e-6:
        return np.array([[*stroke[0], start, 1.0]]), start
    fine = max(int(length / 0.07), 2)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.linspace(0, length, fine + 1)
    path = np.stack([np.interp(at, along, stroke[:, i]) for i in (0, 1)], axis=1)
    path = _smooth(path, hand.rounding / (length / fine))
    tangent = np.diff(path, axis=0)
    heading = np.unwrap(np.arctan2(tangent[:, 1], tangent[:, 0]))
    turning = np.abs(np.diff(heading, prepend=heading[:1])) / (length / fine)
    slowness = 1 + hand.corner_slowing * np.minimum(turning / 4, 2)
    clock = np.concatenate([[0.0], np.cumsum(slowness)])
    count = max(round(length * hand.density * rng.uniform(0.9, 1.1)), 2)
    when = np.linspace(0, clock[-1], count)
    points = np.zeros((count, 4))
    for i in (0, 1):
        points[:, i] = np.interp(when, clock, path[:, i])
    points[:, 2] = start + np.arange(count) * 0.01  # a digitiser of 100 Hz
    points[-1, 3] = 1
    return points, float(points[-1, 2])


def _smooth(path: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing along the path; its ends stay where they are."""
    reach = int(3 * sigma)
    if reach < 1:
        return path
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    before = 2 * path[:1] - path[reach:0:-1] if len(path) > reach else path[:1]
    after = (
        2 * path[-1:] - path[-2 : -reach - 2 : -1] if len(path) > reach else path[-1:]
    )
    if len(path) <= reach:
        return path
    padded = np.concatenate([before, path, after])
    return np.stack(
        [np.convolve(padded[:, i], kernel, mode="valid") for i in (0, 1)], axis=1
    )
