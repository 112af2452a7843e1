"""The paths of a pen through control points: what the forms of letters are made of."""

from __future__ import annotations

import dataclasses
import functools
import itertools

import numpy as np

from apps.handwriting.letterforms import FORMS

CHARACTERS = frozenset(FORMS)
"""The characters that have forms."""


@dataclasses.dataclass(frozen=True)
class Path:
    """One stroke: control points [n, 2] (y up), and which of them are corners [n]."""

    points: np.ndarray
    corners: np.ndarray
    is_mark: bool = False


@functools.cache
def forms(character: str) -> tuple[tuple[Path, ...], ...]:
    """The forms of a character, each its strokes in the order of the pen.

    Raises:
        KeyError: not one of `CHARACTERS`.
    """
    return tuple(
        tuple(_parse(stroke) for stroke in line.split("|"))
        for line in FORMS[character].strip().splitlines()
    )


def _parse(text: str) -> Path:
    words = text.strip().removeprefix("*").split()
    points = [[float(v) for v in word.rstrip("!").split(",")] for word in words]
    corners = [word.endswith("!") for word in words]
    return Path(np.array(points), np.array(corners), text.strip().startswith("*"))


def curve(points: np.ndarray, corners: np.ndarray, steps: int = 6) -> np.ndarray:
    """A smooth path [m, 2] through control points [n, 2], broken at the corners.

    Cubic Hermite pieces with centripetal knots (Catmull and Rom 1974; Yuksel et
    al. 2011), which neither loop nor overshoot where control points lie close.
    """
    breaks = [0, *(np.flatnonzero(corners[1:-1]) + 1).tolist(), len(points) - 1]
    pieces = [points[:1]]
    for start, end in itertools.pairwise(breaks):
        pieces.append(_smooth_piece(points[start : end + 1], steps)[1:])
    return np.concatenate(pieces)


def _smooth_piece(points: np.ndarray, steps: int) -> np.ndarray:
    if len(points) < 3:
        return points
    chords = np.diff(points, axis=0)
    knots = np.maximum(np.sqrt(np.linalg.norm(chords, axis=1)), 1e-3)[:, None]
    slopes = chords / knots
    inner = (slopes[:-1] * knots[1:] + slopes[1:] * knots[:-1]) / (
        knots[:-1] + knots[1:]
    )
    tangents = np.concatenate([slopes[:1], inner, slopes[-1:]])
    s = (np.arange(1, steps + 1) / steps)[None, :, None]
    left, right = points[:-1, None], points[1:, None]
    out, back = (tangents[:-1] * knots)[:, None], (tangents[1:] * knots)[:, None]
    found = (
        (2 * s**3 - 3 * s**2 + 1) * left
        + (s**3 - 2 * s**2 + s) * out
        + (3 * s**2 - 2 * s**3) * right
        + (s**3 - s**2) * back
    )
    return np.concatenate([points[:1], found.reshape(-1, 2)])
