"""The tables of docs/understanding.md, written from the results alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks.memory.figures import Results, flow_lag, grouped, rows_of

_KINDS = {"lstm1": "LSTM", "tanh": "RNN, tanh"}


def mean_and_spread(values: list[float], digits: int) -> str:
    """The mean, and the range over the seeds where there are several."""
    if not all(math.isfinite(v) for v in values):
        return "diverged"
    mean = f"{np.mean(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _lag_table(found: Results, name: str, key: str, digits: int) -> str:
    rows = rows_of(found, name)
    lags = sorted({row["lag"] for row in rows})
    groups = grouped(rows, "variant", "lag")
    lines = []
    for variant in reversed(list(dict.fromkeys(row["variant"] for row in rows))):
        cells = []
        for lag in lags:
            group = groups.get((variant, lag))
            if group is None:
                cells.append("-")
                continue
            learned = sum(row["learned"] for row in group)
            middle = np.median(np.nan_to_num([r[key] for r in group], nan=np.inf))
            text = f"{middle:.{digits}f}" if math.isfinite(middle) else "diverged"
            text = f"{text} ({learned}/{len(group)})"
            cells.append(f"**{text}**" if learned else text)
        lines.append([variant, *cells])
    return _table(["", *(f"lag {lag}" for lag in lags)], lines)


def _gradients(found: Results) -> str:
    lag = flow_lag(found)
    rows = [r for r in rows_of(found, "adding") if r["lag"] == lag]
    lines = []
    for (variant,), group in reversed(grouped(rows, "variant").items()):
        if "clipped" in variant:
            continue
        cells = []
        for when in ("before", "after"):
            ratios = [
                r[f"flow_{when}"][0] / r[f"flow_{when}"][-1]
                for r in group
                if r[f"flow_{when}"][-1] > 0 and math.isfinite(r[f"flow_{when}"][0])
            ]
            cells.append(_powers(ratios))
        radii = [
            next(v for k, v in r["radius"].items() if k in ("h", "f")) for r in group
        ]
        cells.append(mean_and_spread(radii, 2))
        lines.append([variant, *cells])
    head = [
        f"lag {lag}",
        "first / last step, at initialisation",
        "after training",
        "spectral radius after training (LSTM: forget gate)",
    ]
    return _table(head, lines)


def _powers(ratios: list[float]) -> str:
    if not ratios:
        return "diverged"
    low, high = min(ratios), max(ratios)
    if low == high:
        return f"{low:.0e}" if low else "0"
    return f"{low:.0e} to {high:.0e}"


def _exploding(found: Results) -> str:
    lines = []
    for (clipped,), group in grouped(rows_of(found, "exploding"), "clipped").items():
        ends = [float(np.mean(r["losses"][-50:])) for r in group if r["finite"]]
        lines.append(
            [
                "clipped to norm 1" if clipped else "not clipped",
                f"{sum(r['finite'] for r in group)} of {len(group)}",
                ", ".join(str(r["steps"]) for r in group),
                mean_and_spread(ends, 3) if ends else "-",
            ]
        )
    head = ["gradient", "runs that stay finite", "updates", "loss of the last 50"]
    return _table(head, lines)


def _classify(found: Results) -> str:
    lines = []
    for (kind,), group in grouped(rows_of(found, "classify"), "kind").items():
        accuracies = [100 * row["accuracy"] for row in group]
        lines.append(
            [
                f"bidirectional {_KINDS[kind]}",
                f"{group[0]['parameters']:,}",
                str(len(group)),
                mean_and_spread(accuracies, 2),
            ]
        )
    head = ["JapaneseVowels, 370 test recordings", "parameters", "seeds", "accuracy, %"]
    return _table(head, lines)


def _process(found: Results) -> str:
    lines = []
    rows = [{"kind": "exact", **row} for row in rows_of(found, "process")]
    for (kind,), group in grouped(rows, "kind").items():
        name = {
            "exact": "Bayes's rule with the true rates: the best possible",
            "convolution": "convolution over the last 15 steps",
        }.get(kind, _KINDS.get(kind, kind))
        accuracies = [100 * row["accuracy"] for row in group]
        lines.append([name, mean_and_spread(accuracies, 2)])
    return _table(["a switch in noise", "steps labelled right, %"], lines)


def _predict(found: Results) -> str:
    lines = []
    for (name, kind), group in grouped(
        rows_of(found, "predict"), "name", "kind"
    ).items():
        lines.append(
            [
                f"{name}, {_KINDS.get(kind, kind)}",
                mean_and_spread([row["mape"] for row in group], 2),
                mean_and_spread([row["nrmse"] for row in group], 3),
                mean_and_spread([row["nrmse_last"] for row in group], 3),
            ]
        )
    head = ["", "MAPE, %", "NRMSE", "NRMSE of the farthest step"]
    return _table(head, lines)


def _images(found: Results) -> str:
    lines = []
    for (task, body), group in grouped(
        rows_of(found, "images"), "task", "body"
    ).items():
        seen = [row["seen"] for row in group if "seen" in row]
        lines.append(
            [
                f"{task}: {body}",
                f"{group[0]['parameters']:,}",
                mean_and_spread([100 * row["accuracy"] for row in group], 1),
                mean_and_spread([100 * row["far"] for row in group], 1)
                if "far" in group[0]
                else "",
                f"{100 * seen[0]:.0f}",
            ]
        )
    head = [
        "",
        "parameters",
        "accuracy, %",
        "of far pixels",
        "image seen at one place, %",
    ]
    return _table(head, lines)


def _seconds(value: dict[str, Any]) -> float:
    return sum(row["cpu_seconds"] for row in value["jobs"])


def _cost(found: Results) -> str:
    lines = [
        [name, str(len(value["jobs"])), f"{_seconds(value):.0f}"]
        for name, value in found.items()
    ]
    lines.append(["all", "", f"{sum(map(_seconds, found.values())):.0f}"])
    return _table(["experiment", "jobs", "processor seconds"], lines)


def markdown(found: Results) -> dict[str, str]:
    """Tables by the name of their place in the page."""
    makers: dict[str, tuple[str, Any]] = {
        "adding": ("adding", lambda: _lag_table(found, "adding", "error", 3)),
        "gradients": ("adding", lambda: _gradients(found)),
        "copy": ("copy", lambda: _lag_table(found, "copy", "accuracy", 2)),
        "exploding": ("exploding", lambda: _exploding(found)),
        "classify": ("classify", lambda: _classify(found)),
        "process": ("process", lambda: _process(found)),
        "predict": ("predict", lambda: _predict(found)),
        "images": ("images", lambda: _images(found)),
    }
    tables = {place: make() for place, (name, make) in makers.items() if name in found}
    return {**tables, "cost": _cost(found)}


def filled(page: str, tables: dict[str, str]) -> str:
    """The page with each table between its two markers; the rest is left.

    Raises:
        ValueError: the page lacks the markers of a table.
    """
    for place, table in tables.items():
        begin, end = f"<!-- table: {place} -->\n", "<!-- end -->"
        head, found, rest = page.partition(begin)
        _, closed, tail = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no place for the table {place!r}")
        page = f"{head}{begin}{table}\n{end}{tail}"
    return page


def summary(found: Results) -> dict[str, Any]:
    """Each experiment's rows, without curves and pictures."""
    skipped = {"flow_before", "flow_after", "losses", "example", "image", "field"}
    return {
        name: [
            {key: value for key, value in row.items() if key not in skipped}
            for row in rows_of(found, name)
        ]
        for name in found
    }
