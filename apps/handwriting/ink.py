"""Digital ink: strokes of pen points, and the array of points a model takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

MAX_POINTS = 20_000
"""Points an ink may have: about a page. More is a damaged or hostile file."""
MAX_COORDINATE = 1e9
"""Largest size of a coordinate: far beyond any digitiser, safe in float32."""


@dataclasses.dataclass(frozen=True, eq=False)
class Ink:
    """Strokes in the order they were written, y growing downwards.

    Args:
        strokes: Float arrays [points, 2]: x to the right, y down, in any one unit.
        times: Seconds, an array [points] a stroke; None where not recorded.
        pressures: The same for pressure, in any unit.

    Raises:
        ValueError: no stroke, a stroke without points, fewer than two points or
            more than `MAX_POINTS` altogether, a value that is not finite or a
            coordinate beyond `MAX_COORDINATE`; times or pressures that do not
            match the strokes.
    """

    strokes: tuple[np.ndarray, ...]
    times: tuple[np.ndarray, ...] | None = None
    pressures: tuple[np.ndarray, ...] | None = None

    def __post_init__(self) -> None:
        strokes = tuple(np.asarray(s, "float64") for s in self.strokes)
        object.__setattr__(self, "strokes", strokes)
        if not strokes:
            raise ValueError("the ink has no stroke")
        for number, stroke in enumerate(strokes, 1):
            if len(stroke) == 0:
                raise ValueError(f"stroke {number} has no point")
            if stroke.ndim != 2 or stroke.shape[1] != 2:
                raise ValueError(
                    f"stroke {number}: expected points of x and y, got shape "
                    f"{stroke.shape}"
                )
            _check_values(stroke, number, "a coordinate", MAX_COORDINATE)
        if len(self) < 2:
            raise ValueError("the ink is a single point: there is nothing to read")
        if len(self) > MAX_POINTS:
            raise ValueError(
                f"the ink has {len(self)} points: at most {MAX_POINTS} are taken"
            )
        for name in ("times", "pressures"):
            channel = getattr(self, name)
            if channel is None:
                continue
            channel = tuple(np.asarray(values, "float64") for values in channel)
            object.__setattr__(self, name, channel)
            if [c.shape for c in channel] != [s.shape[:1] for s in strokes]:
                raise ValueError(f"{name} do not match the strokes point by point")
            for number, values in enumerate(channel, 1):
                _check_values(values, number, f"a value of {name}", np.inf)

    def __len__(self) -> int:
        """The number of points."""
        return sum(len(stroke) for stroke in self.strokes)

    def points(self) -> np.ndarray:
        """float32 [len(self), 4]: what a model takes.

        Columns: x and y, counted from the first point (so that float32 holds
        them); t, seconds from the first point, 0 where not recorded; pen, 1 at
        a stroke's last point, where the pen leaves the paper, and else 0.
        """
        points = np.zeros((len(self), 4), "float32")
        joined = np.concatenate(self.strokes)
        points[:, :2] = joined - joined[0]
        if self.times is not None:
            times = np.concatenate(self.times)
            points[:, 2] = times - times[0]
        points[np.cumsum([len(s) for s in self.strokes]) - 1, 3] = 1
        return points

    @classmethod
    def from_points(cls, points: np.ndarray) -> Ink:
        """Inverse of `points()`; a last stroke without pen mark counts as ended.

        Raises:
            ValueError: not [N, 4], or what `Ink` refuses.
        """
        points = np.asarray(points)
        if points.ndim != 2 or points.shape[1] != 4:
            raise ValueError(
                f"expected points [N, 4] (x, y, t, pen), got shape {points.shape}"
            )
        ends = np.flatnonzero(points[:, 3] > 0.5) + 1
        parts = [p for p in np.split(points, ends) if len(p)]
        return cls(tuple(p[:, :2] for p in parts), tuple(p[:, 2] for p in parts))

    def box(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom)."""
        joined = np.concatenate(self.strokes)
        (left, top), (right, bottom) = joined.min(0), joined.max(0)
        return float(left), float(top), float(right), float(bottom)

    def moved(self, matrix: np.ndarray, shift: Sequence[float] = (0.0, 0.0)) -> Ink:
        """The ink with every point p (as a row) replaced by p @ matrix + shift."""
        return dataclasses.replace(
            self, strokes=tuple(s @ matrix + np.asarray(shift) for s in self.strokes)
        )


def _check_values(values: np.ndarray, stroke: int, what: str, limit: float) -> None:
    wrong = ~np.isfinite(values) | (np.abs(values) > limit)
    if wrong.any():
        point = int(np.argwhere(wrong)[0][0]) + 1
        value = values[wrong].flat[0]
        raise ValueError(
            f"stroke {stroke}, point {point}: {what} is {value:g}, which no pen writes"
        )
