"""The instruments' figures: PNG or SVG, drawn without a display."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # they start Keras, which a figure does not need
    from seqcore.inspect.gates import Gates
    from seqcore.inspect.gradients import GradientFlow
    from seqcore.inspect.sensitivity import Memory

_TITLES = {
    "i": "input gate",
    "f": "forget gate",
    "o": "output gate",
    "candidate": "candidate",
    "c": "cell",
    "h": "state h",
    "pre_activation": "before the activation",
    "output": "output",
}
_GATES = ("i", "f", "o")
_MOST_WORDS = 60


def new_figure(width: float, height: float) -> Any:
    """An empty figure, in inches; ImportError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "figures need matplotlib, which is not installed: pip install matplotlib"
        ) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Any, path: str | os.PathLike) -> Path:
    """Writes a figure in one step, as .png or .svg by the name's ending.

    Raises:
        ValueError: another ending.
    """
    path = Path(path)
    if path.suffix not in (".png", ".svg"):
        raise ValueError(f"{path}: figures are written as .png or .svg")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        # No date inside: the file is a function of what it shows.
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(temporary, dpi=100, metadata=metadata)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def plot_gates(
    gates: Gates,
    path: str | os.PathLike,
    *,
    example: int = 0,
    names: Sequence[str] | None = None,
    spectrogram: np.ndarray | None = None,
    strokes: np.ndarray | None = None,
    words: Sequence[str] | None = None,
    moments: Sequence[int] = (),
    title: str = "",
) -> Path:
    """Heat maps of a layer's activations over time, aligned with the input.

    Args:
        gates: of one layer, from :func:`gate_activations`.
        path: the .png or .svg file to write.
        example: which of the batch.
        names: the activations shown; by default the gates and the candidate of an
            LSTM, h of an RNN.
        spectrogram: (frames, bands), drawn above, stretched to the layer's steps.
        strokes: pen points (points, 3 or more): x, y (down), and last the pen (1 at
            a stroke's last point), drawn above with time as colour.
        words: a text for each step, written below.
        moments: steps to mark with a line, as pen-ups.
        title: text on top.

    Returns:
        The path.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: ``example``, a moment or the number of words is outside the
            sequence, or ``path`` has another ending.
        KeyError: an activation that the layer does not have.
    """
    batch = next(iter(gates.values.values())).shape[0]
    if not 0 <= example < batch:
        raise ValueError(f"example={example!r}: the batch has {batch}")
    steps = gates.length(example)
    if words is not None and len(words) != steps:
        raise ValueError(
            f"words: expected one for each of {steps} steps, not {len(words)}"
        )
    if any(not 0 <= m < steps for m in moments):
        raise ValueError(
            f"moments: steps must be from 0 to {steps - 1}, got {moments!r}"
        )
    if names is None:
        names = ("i", "f", "o", "candidate") if "f" in gates.values else ("h",)
    rows = [gates[name][example, :steps].T for name in names]
    above = (spectrogram is not None) + (strokes is not None)
    figure = new_figure(9, 1.7 * above + 1.9 * len(rows) + (0.8 if words else 0.3))
    axes = figure.subplots(
        above + len(rows),
        1,
        squeeze=False,
        height_ratios=[1.0] * above + [1.1] * len(rows),
    )[:, 0]
    place = iter(axes)
    if spectrogram is not None:
        ax = next(place)
        ax.imshow(
            np.asarray(spectrogram).T,
            aspect="auto",
            origin="lower",
            cmap="magma",
            extent=(-0.5, steps - 0.5, 0, np.shape(spectrogram)[1]),
            interpolation="nearest",
        )
        ax.set_ylabel("band")
        _mark(ax, moments, "white")
    if strokes is not None:
        _draw_strokes(next(place), np.asarray(strokes))
    for name, values in zip(names, rows, strict=True):
        ax = next(place)
        if name in _GATES:
            style: dict[str, Any] = {"cmap": "viridis", "vmin": 0, "vmax": 1}
        else:
            bound = max(float(np.abs(values).max()), 1e-6)
            style = {"cmap": "RdBu_r", "vmin": -bound, "vmax": bound}
        image = ax.imshow(values, aspect="auto", interpolation="nearest", **style)
        figure.colorbar(image, ax=ax, pad=0.01)
        ax.set_ylabel(f"{_TITLES.get(name, name)}\nunit", fontsize=8)
        _mark(ax, moments, "red")
    if words is not None and steps <= _MOST_WORDS:
        axes[-1].set_xticks(range(steps), words, rotation=60, ha="right", fontsize=8)
    else:
        axes[-1].set_xlabel("step")
    figure.suptitle(title or gates.layer, fontsize=10)
    return save_figure(figure, path)


def _mark(ax: Any, moments: Sequence[int], colour: str) -> None:
    for moment in moments:
        ax.axvline(moment, color=colour, linewidth=0.9, linestyle=":")


def _draw_strokes(ax: Any, points: np.ndarray) -> None:
    ends = np.flatnonzero(points[:, -1] > 0.5) + 1
    for stroke in np.split(np.arange(len(points)), ends):
        ax.plot(points[stroke, 0], points[stroke, 1], color="0.8", linewidth=1)
    ax.scatter(points[:, 0], points[:, 1], c=np.arange(len(points)), s=6, cmap="plasma")
    ax.set(aspect="equal", xticks=[], yticks=[], ylabel="colour: time")
    ax.invert_yaxis()


def plot_gradient_flow(
    flows: Mapping[str, GradientFlow], path: str | os.PathLike, *, title: str = ""
) -> Path:
    """|dloss/dh_t| and |dloss/dc_t| over the steps, one curve a layer and state.

    Args:
        flows: from :func:`gradient_flow`.
        path: the .png or .svg file to write.
        title: text on top.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: ``path`` has another ending.
    """
    figure = new_figure(7.5, 3.6)
    ax = figure.subplots()
    for index, (name, flow) in enumerate(flows.items()):
        for state, style in (("h", "-"), ("c", "--")):
            if state == "c" and flow.c is None:
                continue
            norms = flow.norms(state)
            norms = np.where(norms > 0, norms, np.nan)
            ax.plot(
                norms,
                style,
                color=f"C{index % 10}",
                label=f"{name}, {state}" + (" (backwards)" if flow.backwards else ""),
            )
    ax.set(yscale="log", xlabel="step", ylabel="norm of the gradient")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    figure.suptitle(title, fontsize=10)
    return save_figure(figure, path)


def plot_memory(
    memories: Mapping[str, Memory], path: str | os.PathLike, *, title: str = ""
) -> Path:
    """The influence of an input by its lag, relative to the largest.

    Args:
        memories: from :func:`memory_horizon`; the keys are the curves' names.
        path: the .png or .svg file to write.
        title: text on top.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: ``path`` has another ending.
    """
    figure = new_figure(7.5, 3.6)
    ax = figure.subplots()
    for index, (name, memory) in enumerate(memories.items()):
        largest = np.nanmax(memory.influence)
        share = memory.influence / (largest if largest > 0 else 1.0)
        colour = f"C{index % 10}"
        ax.plot(
            np.where(share > 0, share, np.nan),
            color=colour,
            label=f"{name}: {memory.horizon} steps",
        )
        ax.axvline(memory.horizon, color=colour, linewidth=0.8, linestyle=":")
        ax.axhline(memory.threshold, color="0.6", linewidth=0.8)
    ax.set(yscale="log", xlabel="steps back", ylabel="influence, share of the largest")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8, title="horizon", title_fontsize=8)
    figure.suptitle(title, fontsize=10)
    return save_figure(figure, path)


def plot_receptive_field(
    field: np.ndarray,
    path: str | os.PathLike,
    *,
    image: np.ndarray | None = None,
    title: str = "",
) -> Path:
    """The picture of a :func:`receptive_field`, beside the image if given.

    Shades are shares of the largest value, logarithmic over four decades.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: ``path`` has another ending.
    """
    figure = new_figure(3.2 * (1 + (image is not None)), 3.2)
    axes = figure.subplots(1, 1 + (image is not None), squeeze=False)[0]
    if image is not None:
        axes[0].imshow(np.squeeze(image), cmap="gray_r")
        axes[0].set_title("image", fontsize=9)
    axes[-1].imshow(log_shares(field), cmap="magma", vmin=-4, vmax=0)
    axes[-1].set_title("|output by pixel|", fontsize=9)
    for ax in axes:
        ax.set(xticks=[], yticks=[])
    figure.suptitle(title, fontsize=10)
    return save_figure(figure, path)


def log_shares(field: np.ndarray) -> np.ndarray:
    """log10 of the shares of the largest value, from -4 to 0."""
    largest = float(np.max(field))
    if not largest > 0:
        return np.full(np.shape(field), -4.0)
    return np.log10(np.maximum(np.asarray(field) / largest, 1e-4))
