"""The verb inspect: what a model's gates do while it reads one file."""

import dataclasses
import importlib
import importlib.util
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from apps.core import recogniser
from apps.core.app import App
from apps.core.errors import UserError
from apps.core.task import Task

_UNITS_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class View:
    """How an application shows one input to the instruments."""

    model: keras.Model
    """The part that has the recurrent layers."""
    inputs: np.ndarray
    """What that part takes, with a batch axis of 1."""
    figure: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What is drawn over the gates: see `seqcore.inspect.plot_gates`."""
    events: Mapping[str, Sequence[float]] = dataclasses.field(default_factory=dict)
    """Moments by name ("pen-up"): shares of the sequence from 0 to 1."""


def _view(app: App, task: Task, model: keras.Model, value, labels) -> View:
    """By `look(task, model, value, labels)` in `inspection.py` of the application."""
    name = f"apps.{app.name}.inspection"
    package = importlib.util.find_spec(f"apps.{app.name}")
    if package is None or importlib.util.find_spec(name) is None:
        return View(model, value[None])
    return importlib.import_module(name).look(task, model, value, labels)


def run(app: App, arguments: Namespace, task: Task, model: recogniser.Recogniser):
    """Writes the report; returns the text and the values to print.

    Raises:
        UserError: not a .keras file, no recurrent layer in it, a folder that cannot
            be written, or no matplotlib.
    """
    from seqcore import inspect
    from seqcore.inspect.report import steps_of

    if not isinstance(model.runner, keras.Model):
        raise UserError(
            f"{arguments.model}: shows no gates: give the .keras file it was made from"
        )
    title, value = task.read(arguments.file)[0]
    answer = task.describe(task.output(model.runner, value), model.labels, 1)[0]
    view = _view(app, task, model.runner, value, model.labels)
    out = Path(arguments.out or f"{Path(arguments.file).stem or 'text'}_inspect")
    try:
        gates = inspect.gate_activations(view.model, view.inputs)
    except ValueError as error:
        raise UserError(f"{arguments.model}: {error}") from error
    found: list[dict[str, Any]] = []
    for event, shares in view.events.items():
        for name, one in gates.items():
            if "f" not in one.values or not len(shares):
                continue
            moments = steps_of(shares, one.length(0))
            if len(moments) < one.length(0):
                rows = inspect.gate_contrast(one, [np.array(moments)])
                found.append({"event": event, "layer": name, "steps": moments,
                              "units": rows[:_UNITS_SHOWN]})  # fmt: skip
    figure = dict(view.figure)
    if view.events:  # the first kind is drawn
        figure["moments"] = next(iter(view.events.values()))
    try:
        path = inspect.write_report(
            view.model,
            view.inputs,
            out=out,
            title=f"{Path(arguments.model).name} reads {title}",
            input_figure=figure,
            extra=_lines(answer, view, found),
        )
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}") from error
    except (ImportError, ValueError) as error:
        raise UserError(str(error)) from error
    return {"report": str(path), "file": title, "answer": answer, "events": found}


def _lines(answer: dict[str, Any], view: View, found: list[dict[str, Any]]):
    lines = [f"Answer: {answer['label']} ({answer['score']:.3f})", ""]
    for event, shares in view.events.items():
        rows = [row for row in found if row["event"] == event]
        lines += [f"## Forget gates at: {event} ({len(shares)} times)", ""]
        if not rows:
            lines += ["Not in this file, or at every step.", ""]
            continue
        lines += [
            "The units whose forget gate differs most from all other steps; near 1 "
            "the cell keeps what it holds, near 0 it forgets.",
            "",
            "| layer | unit | there | elsewhere | difference, deviations |",
            "|---|---:|---:|---:|---:|",
        ]
        for row in rows:
            lines += [
                f"| {row['layer']} | {u['unit']} | {u['there']:.2f} "
                f"| {u['elsewhere']:.2f} | {u['effect']:+.1f} |"
                for u in row["units"]
            ]
        lines.append("")
    return lines


def text(summary: dict[str, Any]) -> str:
    """What the verb prints for people."""
    lines = [f"{summary['file']}: {summary['answer']['label']}"]
    for row in summary["events"]:
        units = ", ".join(
            f"{u['unit']} ({u['elsewhere']:.2f} to {u['there']:.2f})"
            for u in row["units"][:3]
        )
        lines.append(f"{row['event']}, {row['layer']}: forget gates of units {units}")
    return "\n".join([*lines, f"report: {summary['report']}"])
