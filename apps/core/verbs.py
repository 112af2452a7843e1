"""The verbs of the command line. Imported only once the arguments are known good."""

import dataclasses
import json
import shlex
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from apps.core import config as configs
from apps.core import exporting, flags, recogniser, report, training
from apps.core.app import App
from apps.core.config import TrainingConfig, to_json
from apps.core.errors import UserError, first_line
from apps.core.rundir import RunDirectory
from apps.core.task import Data, Task


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _settings(
    app: App, arguments: Namespace, model: recogniser.Recogniser
) -> TrainingConfig:
    """The model's own settings under the flags given with this verb."""
    config = model.config(app)
    config = dataclasses.replace(
        config, **{name: getattr(type(config), name) for name in config.of_the_files}
    )
    return flags.applied(app, arguments, config)


def train(app: App, arguments: Namespace) -> None:
    run, record = flags.training(app, arguments)
    config: TrainingConfig = record["settings"]
    task = app.make_task(config)
    _check_quantization(app, task, config.quantize, "quantize=")
    with run.alone():
        _say("reading data")
        data = task.load(record["data"], ("train", "val"))
        _check_labels(data)
        model = training.build(task, data)
        fingerprint = data.fingerprint()
        # What fails before here leaves no run that would be in the way of the next.
        if arguments.resume:
            run.check_data(record, fingerprint)
        else:
            run.start(app, record["config"], config, arguments.data, fingerprint)
        run.note_versions()
        for name, split in data.splits.items():
            _say(f"{name}: {len(split)} examples, {len(data.labels)} labels")
        metadata = _metadata(app, task, data, record)
        training.fit(task, data, model, run, metadata)
        summary = _finish(app, task, data, run, record)
    _emit(arguments, summary, _train_text(summary))


def _check_quantization(app: App, task: Task, quantize: str, named: str) -> None:
    if quantize not in task.quantizations:
        raise UserError(
            f"{named}{quantize}: not for models of apps.{app.name}: "
            f"choose from {', '.join(task.quantizations)}"
        )


def _check_labels(data: Data) -> None:
    """Before the training: a file cannot carry what is no text."""
    for label in data.labels:
        try:
            label.encode("utf-8")
        except UnicodeEncodeError as error:
            raise UserError(
                f"the label {label!r} is not valid UTF-8: rename it in the data"
            ) from error


def _metadata(app: App, task: Task, data: Data, record: dict[str, Any]):
    return {
        "app": app.name,
        "config": record["config"],
        "labels": list(data.labels),
        "input": task.input_description,
        "settings": to_json(task.config),
        "training_data": data.description,
        **task.more_metadata(),
    }


def _finish(
    app: App, task: Task, data: Data, run: RunDirectory, record: dict[str, Any]
) -> dict[str, Any]:
    """Exports the best epoch, evaluates the exported files, writes the report."""
    import keras

    from seqcore import read_metadata

    record = record | {"command": _command(app, record, task, run)}
    try:
        model = keras.saving.load_model(run.best_model, compile=False)
        metadata = read_metadata(run.best_model)
    except recogniser.DAMAGE as error:
        raise UserError(
            f"{run.best_model}: is damaged: put it back, or train anew in another "
            f"--workdir ({first_line(error)})"
        ) from error
    # Saved while training, the file holds the optimizer's state: twice the weights.
    training.save_model(model, run.best_model, metadata)
    _say("exporting and evaluating the exported files")
    representative = list(task.representative_inputs(data.splits["train"], 100))
    exporting.export_all(
        model,
        run.path,
        task.config.quantize,
        metadata,
        representative,
        task.streaming,
        task.stream_chunk,
    )
    split = data.splits["val"]
    forms, outputs = report.compare_forms(
        app, task, model, split, run, metadata, representative
    )
    metrics = task.metrics(split, outputs, data.labels)
    history = run.history()
    pick = max if task.monitor_mode == "max" else min
    metrics["best"] = pick(row[task.monitor] for row in history)
    size = model.count_params()
    report.write_card(
        run.path / "model_card.md", app, task, data, record, metrics, size
    )
    report.write_report(
        app, task, run, record, data, metrics, outputs, forms, size
    )  # fmt: skip
    return {
        "workdir": str(run.path),
        task.monitor: metrics[task.monitor],
        "n": metrics["n"],
        "epochs": len(history),
        "parameters": size,
        "tflite": str(run.path / "model.tflite"),
        "tflite_bytes": exporting.size_of(run.path / "model.tflite"),
        "report": str(run.report),
        "forms": forms,
    }


def _command(app: App, record: dict[str, Any], task: Task, run: RunDirectory) -> str:
    """The command that reproduces the run."""
    preset = to_json(app.configs[record["config"]])
    changed = [
        f"--set {shlex.quote(f'{key}={value}')}"
        for key, value in to_json(task.config).items()
        if preset[key] != value
    ]
    data = [f"--data {shlex.quote(record['data'])}"] if record["data"] else []
    start = f"python -m apps.{app.name} train --config {record['config']}"
    return " ".join([start, *data, *changed, f"--workdir {shlex.quote(str(run.path))}"])


def _train_text(summary: dict[str, Any]) -> str:
    rows = [
        f"  {row['form']:28s} {row['kilobytes']:6d} KB"
        + "".join(
            f"  {k} {v:.4f}"
            for k, v in row.items()
            if k not in ("form", "kilobytes", "milliseconds_per_example")
        )
        for row in summary["forms"]
    ]
    return "\n".join(
        ["every form on the validation split:", *rows, f"report: {summary['report']}"]
    )


def evaluate(app: App, arguments: Namespace) -> None:
    model = recogniser.load(arguments.model, app)
    task = app.make_task(_settings(app, arguments, model))
    data = task.load(arguments.data, (arguments.split,), model.labels)
    split = data.splits[arguments.split]
    outputs = task.outputs(model.runner, split)
    found = task.metrics(split, outputs, model.labels)
    found |= {"model": arguments.model, "split": arguments.split}
    _emit(arguments, found, task.evaluation_text(found))


def export(app: App, arguments: Namespace) -> None:
    import keras

    if Path(arguments.model).suffix != ".keras":
        raise UserError(f"{arguments.model}: only a .keras file can be exported")
    loaded = recogniser.load(arguments.model, app)
    task = app.make_task(_settings(app, arguments, loaded))
    _check_quantization(app, task, arguments.quantize, "--quantize ")
    # Where no ranges are measured they only check the file.
    representative = list(task.probe_inputs()) or None
    if arguments.quantize == "int8":
        data = task.load(arguments.data, ("train",), loaded.labels)
        representative = list(task.representative_inputs(data.splits["train"], 100))
    assert isinstance(loaded.runner, keras.Model)
    # The model's own settings, of its files too, and the length where one is given.
    settings = configs.override(loaded.config(app), flags.settings(app, arguments))
    found = exporting.export_all(
        loaded.runner,
        Path(arguments.out),
        arguments.quantize,
        loaded.metadata,
        representative,
        task.streaming,
        task.stream_chunk,
        task.fixed_shape,
        {"settings": to_json(settings)},
    )
    sizes = {name: exporting.size_of(path) for name, path in found.items()}
    summary = {name: str(path) for name, path in found.items()} | {
        "bytes": sizes,
        "quantize": arguments.quantize,
    }
    text = "\n".join(f"{path}  {sizes[name]:,} bytes" for name, path in found.items())
    _emit(arguments, summary, text)


def predict(app: App, arguments: Namespace) -> None:
    model = recogniser.load(arguments.model, app)
    task = app.make_task(_settings(app, arguments, model))
    top = min(arguments.top, len(model.labels))
    # All files are read before any is answered: a bad one prints one line only.
    examples = [pair for name in arguments.files for pair in task.read(name)]
    answers: list[dict[str, Any]] = []
    for title, value in examples:
        output = task.output(model.runner, value)
        candidates = task.describe(output, model.labels, top)
        answer: dict[str, Any] = {"file": title, "candidates": candidates}
        answer |= task.details(model.runner, value, output, model.labels)
        answers.append(answer)
    lines = []
    for answer in answers:
        shown = "  ".join(
            f"{c['label']} {c['score']:.3f}" for c in answer["candidates"]
        )
        lines.append(f"{answer['file']}: {shown}")
        if moved := answer.get("explanation"):
            effects = (f"{part['word']} {part['effect']:+.3f}" for part in moved)
            lines.append("    " + "  ".join(effects))
    _emit(arguments, answers, "\n".join(lines))


def inspect(app: App, arguments: Namespace) -> None:
    from apps.core import inspection

    model = recogniser.load(arguments.model, app)
    task = app.make_task(_settings(app, arguments, model))
    found = inspection.run(app, arguments, task, model)
    _emit(arguments, found, inspection.text(found))


def _emit(arguments: Namespace, value: Any, text: str) -> None:
    # Escaped, it is valid JSON in every locale and whatever a file is called.
    print(json.dumps(value) if arguments.json else text)
