"""How two writings of the same text differ: the terms of both the synthetic
writer and the augmentation of real ink.

Everything works on points float32 [N, 4] (x, y, t, pen; see `Ink.points`) and
returns new ones. Lengths are in units of the writing's height, so that the unit
of the coordinates does not matter.
"""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Ranges:
    """How far each distortion may go; a value is drawn from a symmetric range."""

    slant: float = 0.3
    """Shear: x gained per unit of height."""
    rotation: float = 0.06
    """Radians."""
    aspect: float = 0.2
    """Width against height, as a factor 1 / (1 + a) to 1 + a."""
    warp: float = 0.04
    """Amplitude of a smooth displacement of the plane, in heights."""
    jitter: float = 0.004
    """Standard deviation of each point's own displacement, in heights."""
    drop: float = 0.25
    """Largest share of the points inside strokes that is left out: a slower
    digitiser or a faster pen."""
    reorder: float = 0.02
    """Chance that a writing has strokes moved or written backwards."""

    def scaled(self, amount: float) -> Ranges:
        """All ranges times `amount`; 0 distorts nothing.

        Raises:
            ValueError: a negative amount.
        """
        if not amount >= 0:
            raise ValueError(f"amount={amount}: must not be negative")
        values = {k: v * amount for k, v in dataclasses.asdict(self).items()}
        values["drop"] = min(values["drop"], 0.6)
        values["reorder"] = self.reorder if amount else 0.0  # a chance, no size
        return Ranges(**values)


def distort(points: np.ndarray, ranges: Ranges, rng: np.random.Generator) -> np.ndarray:
    """A different writing of the same: at most as many points, at least 2."""
    points = np.array(points, "float32")
    if ranges.reorder and rng.random() < ranges.reorder:
        points = reorder(points, rng)
    if ranges.drop:
        points = drop_points(points, rng.uniform(0, ranges.drop), rng)
    xy = points[:, :2].astype("float64")
    height = max(float(np.ptp(xy[:, 1])), 0.3 * float(np.ptp(xy[:, 0])), 1e-9)
    xy -= xy.mean(0)
    xy = xy @ _linear(ranges, rng)
    if ranges.warp:
        xy = xy + warp(xy / height, rng.uniform(0, ranges.warp), rng) * height
    if ranges.jitter:
        xy = xy + rng.standard_normal(xy.shape) * (
            rng.uniform(0, 2 * ranges.jitter) * height
        )
    points[:, :2] = xy
    return points


def _linear(ranges: Ranges, rng: np.random.Generator) -> np.ndarray:
    shear = np.array([[1.0, 0.0], [rng.uniform(-ranges.slant, ranges.slant), 1.0]])
    angle = rng.uniform(-ranges.rotation, ranges.rotation)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    stretch = np.exp(rng.uniform(-1, 1) * np.log1p(ranges.aspect))
    return np.diag([stretch, 1.0]) @ shear @ turn


def warp(xy: np.ndarray, amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """Displacements [N, 2] of a smooth random field: a sum of three plane waves.

    Args:
        xy: Positions [N, 2] in heights.
        amplitude: Of the sum, in heights.
    """
    length = rng.uniform(0.7, 3.0, 3)
    angle = rng.uniform(0, 2 * np.pi, 3)
    waves = 2 * np.pi / length * np.stack([np.cos(angle), np.sin(angle)])
    phases = xy @ waves + rng.uniform(0, 2 * np.pi, 3)
    direction = rng.standard_normal((3, 2))
    return np.sin(phases) @ direction * (amplitude / np.sqrt(3))


def drop_points(
    points: np.ndarray, share: float, rng: np.random.Generator
) -> np.ndarray:
    """Leaves out about `share` of the points; ends of strokes always stay."""
    ends = points[:, 3] > 0.5
    starts = np.concatenate([[True], ends[:-1]])
    keep = (rng.random(len(points)) >= share) | ends | starts
    keep[-1] = True
    return points[keep]


def reorder(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same figure drawn in another way.

    Half of the time closed strokes begin somewhere else. Then, half of the time, all
    of it is drawn backwards; else one stroke backwards, or two neighbouring strokes
    exchanged.
    """
    strokes = split_strokes(points)
    if rng.random() < 0.5:
        strokes = [begun_elsewhere(s, rng) if is_closed(s) else s for s in strokes]
    chosen = int(rng.integers(len(strokes)))
    if rng.random() < 0.5:
        strokes = [backwards(stroke) for stroke in strokes[::-1]]
    elif len(strokes) > 1 and rng.random() < 0.5:
        other = chosen - 1 if chosen else 1
        strokes[chosen], strokes[other] = strokes[other], strokes[chosen]
    else:
        strokes[chosen] = backwards(strokes[chosen])
    return np.concatenate(strokes)


def is_closed(stroke: np.ndarray) -> bool:
    """Whether a stroke [n, 4] ends near where it begins."""
    size = np.ptp(stroke[:, :2], axis=0).max()
    return bool(np.linalg.norm(stroke[-1, :2] - stroke[0, :2]) < 0.3 * size)


def begun_elsewhere(stroke: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A closed stroke's points [n, 4] from another of them on, times kept in order."""
    turned = stroke.copy()
    turned[:, :2] = np.roll(stroke[:, :2], int(rng.integers(len(stroke))), axis=0)
    return turned


def backwards(stroke: np.ndarray) -> np.ndarray:
    """One stroke's points [n, 4] from its end to its start, times kept in order."""
    turned = stroke.copy()
    turned[:, :2] = stroke[::-1, :2]
    return turned


def split_strokes(points: np.ndarray) -> list[np.ndarray]:
    """Points [N, 4] as a list of strokes, each [n, 4] and not empty."""
    ends = np.flatnonzero(points[:, 3] > 0.5) + 1
    return [part for part in np.split(points, ends) if len(part)]
