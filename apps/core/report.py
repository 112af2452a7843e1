"""report.md and model_card.md of a run: what was trained, on what, how well."""

import datetime
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from apps.core import exporting, figures, files, recogniser
from apps.core.app import App
from apps.core.rundir import RunDirectory
from apps.core.task import Data, Split, Task


def compare_forms(
    app: App, task: Task, model: keras.Model, split: Split, run: RunDirectory,
    metadata: dict[str, Any], representative: Sequence[np.ndarray],
) -> tuple[list[dict[str, Any]], list[np.ndarray]]:  # fmt: skip
    """Exports every quantisation, evaluates each form of the model on `split`.

    The run's own model.tflite is among them. Evaluates model.keras and
    saved_model/ as well, since a form that disagrees is a bug to be seen.

    Returns:
        A row a form, and the outputs of model.tflite.
    """
    rows = []
    deployed = run.path / "model.tflite"
    forms = [("model.keras", run.best_model), ("saved_model", run.path / "saved_model")]
    for quantize in dict.fromkeys((*task.quantizations, task.config.quantize)):
        if quantize == task.config.quantize:
            forms.append((f"model.tflite ({quantize})", deployed))
            continue
        path = run.path / "quantized" / f"{quantize}.tflite"
        exporting.export_tflite(
            model,
            path,
            quantize,
            metadata,
            representative,
            task.streaming,
            task.stream_chunk,
        )
        forms.append((f"quantized/{quantize}.tflite", path))
    deployed_outputs: list[np.ndarray] = []
    for name, path in forms:
        loaded = recogniser.load(str(path), app)
        begin = time.perf_counter()
        outputs = task.outputs(loaded.runner, split)
        seconds = time.perf_counter() - begin
        found = task.metrics(split, outputs, loaded.labels)
        if path == deployed:
            deployed_outputs = outputs
        rows.append(
            {
                "form": name,
                "kilobytes": math.ceil(exporting.size_of(path) / 1000),
                task.monitor: found[task.monitor],
                "milliseconds_per_example": 1000 * seconds / len(split),
            }
        )
    return rows, deployed_outputs


def _choice(task: Task) -> str:
    if task.config.keep == "last":
        return "The last epoch's weights: this split chose nothing."
    return "The best epoch was chosen on this same split."


def write_report(
    app: App, task: Task, run: RunDirectory, record: dict[str, Any], data: Data,
    metrics: dict[str, Any], outputs: list, forms: list[dict[str, Any]], size: int,
) -> None:  # fmt: skip
    """Writes figures/ and report.md; `metrics` and `outputs` are of model.tflite."""
    history = run.history()
    figures.curves(history, task.monitor, run.path / "figures" / "curves.png")
    seconds = sum(row["train_seconds"] for row in history)
    best = [row["epoch"] for row in history if row[task.monitor] == metrics["best"]]
    lines = [
        f"# apps.{app.name}, configuration {record['config']}",
        "",
        f"Made {datetime.date.today().isoformat()} by `{record['command']}`.",
        "",
        f"- data: {data.description.get('name', record['data'])}",
        *(
            f"- {name} split: {len(split)} examples"
            for name, split in data.splits.items()
        ),
        f"- {len(data.labels)} labels: {', '.join(data.labels)}",
        f"- {size:,} parameters; {len(history)} epochs "
        f"(best: {best[0] if best else '?'}, kept: the {task.config.keep}), "
        f"{seconds:.0f} s of training steps",
        "",
        "## Every form of the model on the validation split",
        "",
        f"| form | size, KB | {task.monitor} | ms an example, here |",
        "|---|---:|---:|---:|",
        *(
            f"| {row['form']} | {row['kilobytes']} | {row[task.monitor]:.4f} "
            f"| {row['milliseconds_per_example']:.2f} |"
            for row in forms
        ),
        "",
        _choice(task),
        "",
        "## Training",
        "",
        "![curves](figures/curves.png)",
        "",
        *task.report(
            data.splits["val"], outputs, data.labels, metrics, run.path / "figures"
        ),
        "",
        "## Settings",
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| {k} | {v} |" for k, v in vars(task.config).items()),
    ]
    files.write_text(run.report, "\n".join(lines) + "\n")


def write_card(
    path: Path, app: App, task: Task, data: Data, record: dict[str, Any],
    metrics: dict[str, Any], size: int,
) -> None:  # fmt: skip
    """A model card (Mitchell et al., arXiv:1810.03993) beside the model."""
    about = data.description
    number = f"{metrics[task.monitor]:.4f}"
    lines = [
        f"# Model card: {app.name}, {record['config']}",
        "",
        f"- **Task**: {app.summary}",
        f"- **Labels**: {', '.join(data.labels)}",
        f"- **Input**: {task.input_description}",
        f"- **Size**: {size:,} parameters; {task.config.quantize} .tflite",
        f"- **Training data**: {about.get('name', 'see the report')}"
        f"{'; ' + about['licence'] if about.get('licence') else ''}",
        *([f"- **Attribution**: {about['citation']}"] if about.get("citation") else []),
        f"- **Evaluation**: {task.monitor} {number} on the validation split "
        f"(n = {metrics['n']}), with the exported .tflite. {_choice(task)}",
        "- **Intended use**: the labels above, in conditions like those of the "
        "training data; measure on your own data before relying on it.",
        f"- **Limits**: {about.get('limits', 'not measured beyond the split above')}",
        f"- **Made**: {datetime.date.today().isoformat()} by `{record['command']}`",
    ]
    files.write_text(path, "\n".join(lines) + "\n")
