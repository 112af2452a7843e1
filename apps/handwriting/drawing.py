"""Drawing ink, to SVG without any library and to PNG with matplotlib."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from apps.core import files
from apps.core.errors import UserError
from apps.handwriting.ink import Ink

COLOURS = ("#1b4f9c", "#b5402a", "#2f7d4f", "#7a3f98", "#8a6d1d")


def svg(inks: Sequence[Ink], titles: Sequence[str], width: int = 640) -> str:
    """An SVG document: each ink below the other, its title above it.

    Strokes take turns with the colours; a dot marks where each begins.
    """
    parts: list[str] = []
    top = 0.0
    for ink, title in zip(inks, titles, strict=True):
        left, upper, right, lower = ink.box()
        # At most 220 high, so that a tall symbol does not fill the page.
        size = max(right - left, lower - upper, 1e-9)
        scale = min(
            (width - 40) / max(right - left, 1e-3 * size),
            220 / max(lower - upper, 1e-3 * size),
        )
        top += 28
        parts.append(
            f'<text x="20" y="{top - 6:.0f}" font-family="sans-serif" '
            f'font-size="16">{html.escape(_printable(title))}</text>'
        )
        for number, stroke in enumerate(ink.strokes):
            xy = (stroke - (left, upper)) * scale + (20, top + 4)
            colour = COLOURS[number % len(COLOURS)]
            if len(xy) > 1:
                path = " ".join(f"{x:.1f},{y:.1f}" for x, y in xy)
                parts.append(
                    f'<polyline points="{path}" fill="none" stroke="{colour}" '
                    'stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/>'
                )
            parts.append(
                f'<circle cx="{xy[0, 0]:.1f}" cy="{xy[0, 1]:.1f}" r="3" '
                f'fill="{colour}"/>'
            )
        top += (lower - upper) * scale + 24
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top:.0f}" '
        f'viewBox="0 0 {width} {top:.0f}">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _printable(text: str) -> str:
    """XML allows no control characters, not even escaped."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def png(
    inks: Sequence[Ink], titles: Sequence[str], path: Path, columns: int = 1
) -> None:
    """Writes a PNG: a grid of inks with their titles."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(inks) // columns)
    figure = Figure(
        figsize=(7.0 / columns**0.5 * columns, 1.9 * rows), layout="constrained"
    )
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).reshape(-1)
    for place in axes:
        place.set_axis_off()
    for place, ink, title in zip(axes, inks, titles, strict=False):
        for number, stroke in enumerate(ink.strokes):
            colour = COLOURS[number % len(COLOURS)]
            place.plot(stroke[:, 0], stroke[:, 1], color=colour, linewidth=1.4)
            place.plot(*stroke[0], "o", color=colour, markersize=2.5)
        place.set_title(_printable(title), fontsize=9, loc="left", parse_math=False)
        place.invert_yaxis()
        place.set_aspect("equal", adjustable="datalim")
    with files.replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)


def draw(inks: Sequence[Ink], titles: Sequence[str], path: str) -> None:
    """Writes `path`, .svg or .png.

    Raises:
        UserError: another suffix.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".svg":
        files.write_text(path, svg(inks, titles))
    elif suffix == ".png":
        png(inks, titles, Path(path))
    else:
        raise UserError(f"{path}: can write .svg or .png, not {suffix or 'this'}")
