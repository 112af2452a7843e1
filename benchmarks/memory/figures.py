"""The figures of docs/understanding.md, drawn from the results alone."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.memory.lags import BASELINE, LETTERS
from seqcore.inspect.figures import log_shares, new_figure, save_figure

Results = dict[str, dict[str, Any]]

_COLOURS = {
    "RNN, tanh": "C0",
    "RNN, tanh, clipped": "C9",
    "RNN, relu + identity": "C2",
    "RNN, relu + identity, clipped": "C8",
    "LSTM, forget bias 0": "C1",
    "LSTM, forget bias 1": "C3",
    "LSTM, chrono": "C4",
}


def rows_of(found: Results, name: str) -> list[dict[str, Any]]:
    """One dict a training: its arguments and its result."""
    rows: list[dict[str, Any]] = []
    for job in found[name]["jobs"]:
        result = job["result"]
        for one in result if isinstance(result, list) else [result]:
            rows.append({**job["arguments"], **one})
    return rows


def grouped(rows: list[dict[str, Any]], *keys: str) -> dict[tuple, list[dict]]:
    """Rows by the values of ``keys``, in the order in which they come."""
    groups: dict[tuple, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    return dict(groups)


def draw(found: Results, folder: Path) -> list[Path]:
    """Every figure whose experiment has been run, into ``folder``."""
    drawn = []
    for name, figures in _FIGURES.items():
        if name in found:
            drawn += [figure(found, folder) for figure in figures]
    return drawn


def _by_lag(found: Results, name: str, key: str, ax: Any) -> None:
    for variant in _COLOURS:
        groups = grouped(
            [r for r in rows_of(found, name) if r["variant"] == variant], "lag"
        )
        lags = [lag for (lag,) in groups]
        values = [[row[key] for row in rows] for rows in groups.values()]
        # Runs that ended in something that is not a number learned nothing.
        middle = [np.median(np.nan_to_num(v, nan=np.inf)) for v in values]
        low = [m - np.nanmin(v) for m, v in zip(middle, values, strict=True)]
        high = [np.nanmax(v) - m for m, v in zip(middle, values, strict=True)]
        ax.errorbar(
            lags,
            middle,
            yerr=np.abs([low, high]),
            marker="o",
            markersize=4,
            capsize=3,
            linestyle="--" if "clipped" in variant else "-",
            color=_COLOURS[variant],
            label=variant,
        )
    ax.set(xscale="log", xlabel="lag, steps")
    ax.grid(alpha=0.3)


def _lags(found: Results, folder: Path) -> Path:
    figure = new_figure(7.5, 4.2)
    ax = figure.subplots()
    _by_lag(found, "adding", "error", ax)
    ax.axhline(BASELINE, color="0.5", linewidth=0.8)
    ax.axhline(0.01, color="0.5", linewidth=0.8, linestyle=":")
    ax.set(yscale="log", ylabel="mean squared error", title="the adding problem")
    ax.legend(fontsize=8)
    return save_figure(figure, folder / "adding.png")


def _copies(found: Results, folder: Path) -> Path:
    figure = new_figure(7.5, 4.2)
    ax = figure.subplots()
    _by_lag(found, "copy", "accuracy", ax)
    ax.axhline(1 / LETTERS, color="0.5", linewidth=0.8)
    ax.set(ylabel="letters recalled, share", ylim=(0, 1.03), title="the copy task")
    ax.legend(fontsize=8)
    return save_figure(figure, folder / "copy.png")


def flow_lag(found: Results) -> int:
    """The lag at which gradients are shown: the longest that all variants tried."""
    groups = grouped(rows_of(found, "adding"), "variant")
    tried = [{row["lag"] for row in rows} for rows in groups.values()]
    return max(set.intersection(*tried))


def _flows(found: Results, folder: Path) -> Path:
    lag = flow_lag(found)
    figure = new_figure(9, 3.8)
    axes = figure.subplots(1, 2, sharey=True)
    for variant, colour in _COLOURS.items():
        if "clipped" in variant:
            continue
        (row,) = [
            row
            for row in rows_of(found, "adding")
            if (row["variant"], row["lag"], row["seed"]) == (variant, lag, 0)
        ]
        for ax, when in zip(axes, ("before", "after"), strict=True):
            norms = np.array(row[f"flow_{when}"], float)
            ax.plot(np.where(norms > 0, norms, np.nan), color=colour, label=variant)
    for ax, title in zip(axes, ("at initialisation", "after training"), strict=True):
        ax.set(yscale="log", xlabel="step", title=title)
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("norm of the loss's gradient\nwith respect to h")
    axes[0].legend(fontsize=8)
    return save_figure(figure, folder / "gradients.png")


def _exploding(found: Results, folder: Path) -> Path:
    figure = new_figure(9, 3.4)
    left, right = figure.subplots(1, 2)
    rows = rows_of(found, "exploding")
    left.plot(rows[0]["flow_before"], color="C3")
    left.set(
        yscale="log",
        xlabel="step",
        ylabel="norm of the gradient",
        title=f"at initialisation, spectral radius {rows[0]['radius']:.2f}",
    )
    for (clipped,), group in grouped(rows, "clipped").items():
        for number, row in enumerate(group):
            losses = np.array(row["losses"])
            width = max(1, min(20, len(losses) // 5))
            smooth = np.convolve(losses, np.ones(width) / width, "valid")
            updates = np.arange(width, len(losses) + 1)
            right.plot(
                updates,
                smooth,
                color="C0" if clipped else "C3",
                label=None if number else ("clipped" if clipped else "not clipped"),
            )
            if not row["finite"]:
                # The last finite loss; the next one is not a number.
                right.plot(updates[-1], smooth[-1], "x", color="C3")
    right.axhline(BASELINE, color="0.5", linewidth=0.8)
    right.set(xscale="log", yscale="log", xlabel="update", ylabel="training loss")
    right.legend(fontsize=8)
    for ax in (left, right):
        ax.grid(alpha=0.3)
    return save_figure(figure, folder / "exploding.png")


def _forecasts(found: Results, folder: Path) -> Path:
    figure = new_figure(9, 3.4)
    colours = {"lstm1": "C3", "tanh": "C0", "linear": "C2", "seasonal naive": "0.6"}
    rows = [row for row in rows_of(found, "predict") if row["seed"] == 0]
    axes = figure.subplots(1, 2)
    for ax, ((name,), group) in zip(axes, grouped(rows, "name").items(), strict=True):
        example = group[0]["example"]
        past = len(example["past"])
        ahead = range(past, past + len(example["truth"]))
        ax.plot(example["past"] + example["truth"], color="black", label="series")
        for row in group:
            kind = row["kind"]
            label = {"lstm1": "LSTM", "tanh": "RNN"}.get(kind, kind)
            ax.plot(ahead, row["example"]["found"], color=colours[kind], label=label)
        ax.axvline(past - 0.5, color="0.5", linewidth=0.8)
        ax.set(title=f"{name}: from the first origin", xlabel="step")
        ax.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    return save_figure(figure, folder / "forecasts.png")


def _fields(found: Results, folder: Path) -> Path:
    rows = [row for row in rows_of(found, "images") if "field" in row]
    order = ("convolution", "convolution + RNN", "convolution + LSTM")
    figure = new_figure(8.4, 4.6)
    axes = figure.subplots(2, 4)
    for line, ((task,), group) in zip(axes, grouped(rows, "task").items(), strict=True):
        by_body = {row["body"]: row for row in group}
        line[0].imshow(np.array(group[0]["image"]), cmap="gray_r")
        line[0].set_title(task, fontsize=9)
        for ax, body in zip(line[1:], order, strict=True):
            field = np.array(by_body[body]["field"])
            ax.imshow(log_shares(field), cmap="magma", vmin=-4, vmax=0)
            ax.set_title(body, fontsize=9)
        for ax in line:
            ax.set(xticks=[], yticks=[])
    return save_figure(figure, folder / "receptive_fields.png")


_FIGURES = {
    "adding": (_lags, _flows),
    "copy": (_copies,),
    "exploding": (_exploding,),
    "predict": (_forecasts,),
    "images": (_fields,),
}
