"""Plots of a run, drawn without a display."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.core import files


def _new_figure(width: float, height: float):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure, path: Path) -> None:
    with files.replacing(path) as temporary, warnings.catch_warnings():
        # Matplotlib's font lacks some scripts, whose letters it draws as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(temporary, dpi=110)


def curves(history: Sequence[dict[str, Any]], monitor: str, path: Path) -> None:
    """Loss and the monitored metric by epoch."""
    epochs = [row["epoch"] for row in history]
    figure = _new_figure(9, 3.4)
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [row["train_loss"] for row in history], label="training")
    if "loss" in history[0]:
        left.plot(epochs, [row["loss"] for row in history], label="validation")
    left.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    left.legend()
    right.plot(epochs, [row[monitor] for row in history], color="tab:green")
    right.set(xlabel="epoch", ylabel=f"validation {monitor}")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    _save(figure, path)


def confusion(matrix: Sequence[Sequence[int]], labels: Sequence[str], path: Path):
    """Rows are true classes, columns predictions; shade is the share of the row."""
    counts = np.asarray(matrix)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = min(max(3.5, 0.45 * len(labels) + 1.5), 24)
    figure = _new_figure(size, size)
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(labels))
    # A dollar in a label is a dollar, and begins no formula.
    axes.set_xticks(ticks, labels, rotation=90, parse_math=False)
    axes.set_yticks(ticks, labels, parse_math=False)
    axes.set(xlabel="predicted", ylabel="true")
    if len(labels) <= 40:
        for row, column in zip(*np.nonzero(counts), strict=True):
            dark = share[row, column] > 0.5
            axes.text(
                column,
                row,
                str(counts[row, column]),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else "black",
            )
    _save(figure, path)


def trade_off(
    points: Sequence[tuple[float, float]],
    chosen: tuple[float, float],
    names: tuple[str, str, str],
    path: Path,
) -> None:
    """A curve of two rates against each other, with one point marked.

    `names` are those of the first rate, of the second, and of the point.
    """
    figure = _new_figure(6, 4)
    axes = figure.subplots()
    axes.plot(*zip(*points, strict=True), drawstyle="steps-post")
    axes.plot(*chosen, "o", label=names[2])
    axes.set_xscale("symlog", linthresh=1)
    axes.set(xlabel=names[0], ylabel=names[1], xlim=(0, None), ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)
