"""Protects the run directory: complete, resumable after kill -9, never half written."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest

from apps.core import training
from apps.core.rundir import RunDirectory
from tests.core import toy

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert toy.run("train", "--workdir", str(folder)) == 0
    return folder


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").open()]


def test_run_directory_holds_everything(finished):
    names = {path.name for path in finished.iterdir()}
    assert names >= {
        "config.json",
        "versions.json",
        "metrics.jsonl",
        "tensorboard",
        "checkpoint",
        "model.keras",
        "saved_model",
        "model.tflite",
        "report.md",
        "model_card.md",
        "figures",
    }
    assert not [name for name in names if name.startswith(".")]
    assert json.loads((finished / "config.json").read_text())["settings"]["epochs"] == 6
    assert len(rows(finished)) == 6
    assert (finished / "figures" / "curves.png").stat().st_size > 1000
    assert (finished / "figures" / "confusion.png").stat().st_size > 1000


def test_training_learns(finished):
    assert rows(finished)[-1]["accuracy"] > 0.6  # chance is a third


def test_every_form_scores_the_same(finished, capsys):
    accuracy = {}
    for form in ("model.keras", "saved_model", "quantized/none.tflite"):
        assert toy.run("evaluate", str(finished / form), "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert found["n"] == 96
        accuracy[form] = found["accuracy"]
    assert len(set(accuracy.values())) == 1, accuracy
    assert toy.run("evaluate", str(finished / "model.tflite"), "--json") == 0
    found = json.loads(capsys.readouterr().out)["accuracy"]
    assert abs(found - accuracy["model.keras"]) < 0.05


def test_report_shows_measured_numbers(finished, capsys):
    toy.run("evaluate", str(finished / "model.tflite"), "--json")
    accuracy = json.loads(capsys.readouterr().out)["accuracy"]
    assert f"{accuracy:.4f}" in (finished / "report.md").read_text()
    assert f"{accuracy:.4f}" in (finished / "model_card.md").read_text()


def test_killed_run_resumes_to_the_unbroken_result(finished, tmp_path):
    """kill -9 once an epoch is checkpointed; --resume must see the same batches,
    dropout masks and optimizer state as the run that was left alone."""
    folder = tmp_path / "killed"
    command = [
        sys.executable,
        "-m",
        "tests.core.toy",
        "train",
        "--workdir",
        str(folder),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )
    deadline = time.time() + 120
    while not (folder / "checkpoint" / "epoch-00001").exists():
        assert time.time() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "report.md").exists()
    assert toy.run("train", "--workdir", str(folder), "--resume") == 0
    broken, whole = rows(folder), rows(finished)
    assert [row["epoch"] for row in broken] == [1, 2, 3, 4, 5, 6]
    for a, b in zip(broken, whole, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], abs=2e-3)
        assert a["loss"] == pytest.approx(b["loss"], abs=2e-3)


@pytest.mark.parametrize("step", ["log", "checkpoint", "prune_checkpoints"])
def test_killed_between_the_writes_of_an_epoch(step, tmp_path, monkeypatch):
    """Whichever of an epoch's files a kill leaves out, its row is there at the end."""
    config = dataclasses.replace(toy.CONFIGS["small"], epochs=3)
    whole = fit(tmp_path / "whole", config)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, step, killed)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "killed", config)
    task = toy.APP.make_task(config)
    run = RunDirectory(tmp_path / "killed")
    training.fit(task, task.load(None, ("train", "val")), run, {"labels": []})
    found = run.history()
    assert [row["epoch"] for row in found] == [1, 2, 3]
    for a, b in zip(found, whole, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], abs=2e-3)


def test_resume_of_a_finished_run_trains_no_further(finished, capsys):
    before = rows(finished)
    assert toy.run("train", "--workdir", str(finished), "--resume", "--json") == 0
    assert json.loads(capsys.readouterr().out)["epochs"] == 6
    assert rows(finished) == before


def fit(folder, config):
    """The training loop alone, without export and report."""
    task = toy.APP.make_task(config)
    run = RunDirectory.start(str(folder), toy.APP, "small", config, None)
    training.fit(task, task.load(None, ("train", "val")), run, {"labels": []})
    return run.history()


def test_patience_stops_and_keeps_the_best_averaged_weights(tmp_path):
    config = dataclasses.replace(toy.CONFIGS["averaged"], patience=1, epochs=12)
    found = fit(tmp_path / "run", config)
    assert 2 < len(found) < 12
    accuracy = [row["accuracy"] for row in found]
    best = max(accuracy)
    assert accuracy[-1] <= accuracy[-2] == best
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    task = toy.APP.make_task(config)
    data = task.load(None, ("val",))
    again = task.metrics(
        data.splits["val"], task.outputs(model, data.splits["val"]), data.labels
    )
    assert again["accuracy"] == pytest.approx(best)


def test_same_seed_same_run_other_seed_other_run(tmp_path):
    config = toy.CONFIGS["small"]
    other = fit(tmp_path / "other", dataclasses.replace(config, epochs=1, seed=1))
    again = fit(tmp_path / "again", dataclasses.replace(config, epochs=1))
    assert again[0]["train_loss"] == pytest.approx(
        fit(tmp_path / "third", dataclasses.replace(config, epochs=1))[0]["train_loss"]
    )
    assert again[0]["train_loss"] != pytest.approx(other[0]["train_loss"])
