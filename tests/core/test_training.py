"""Protects the run directory: complete, resumable after kill -9, never half written."""

import dataclasses
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from apps.core import training
from apps.core.averaging import Average
from apps.core.errors import UserError
from apps.core.rundir import RunDirectory
from tests.core import toy
from tests.core.toy_task import ToyTask

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


# Dies by kill -9 in the middle of the second epoch, while a batch is made.
_KILLED = """
import os, signal, sys
from tests.core import toy
from tests.core.toy_task import ToyBatches

def make_batch(self, *arguments):
    if self.epoch == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, *arguments)

whole, ToyBatches.make_batch = ToyBatches.make_batch, make_batch
toy.run("train", "--workdir", sys.argv[1])
"""


def test_killed_run_resumes_to_the_unbroken_result(finished, tmp_path):
    """--resume must see the same batches, dropout masks and optimizer state as the
    run that was left alone."""
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", _KILLED, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [p.name for p in (folder / "checkpoint").iterdir()] == ["epoch-00001"]
    assert not (folder / "report.md").exists()
    assert toy.run("train", "--workdir", str(folder), "--resume") == 0
    broken, whole = rows(folder), rows(finished)
    assert [row["epoch"] for row in broken] == [1, 2, 3, 4, 5, 6]
    for a, b in zip(broken, whole, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], abs=2e-3)
        assert a["loss"] == pytest.approx(b["loss"], abs=2e-3)


@pytest.mark.parametrize(
    ("step", "config"),
    [
        ("log", "small"),
        ("checkpoint", "small"),
        ("prune_checkpoints", "small"),
        ("prune_checkpoints", "averaged"),
    ],
)
def test_killed_between_the_writes_of_an_epoch(step, config, tmp_path, monkeypatch):
    """Whichever of an epoch's files a kill leaves out, its row is there at the end,
    and training goes on as if it had not been stopped."""
    config = dataclasses.replace(toy.CONFIGS[config], epochs=3)
    whole = fit(tmp_path / "whole", config)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, step, killed)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "killed", config)
    task = toy.APP.make_task(config)
    run = RunDirectory(tmp_path / "killed")
    data = task.load(None, ("train", "val"))
    training.fit(task, data, training.build(task, data), run, {"labels": []})
    found = run.history()
    assert [row["epoch"] for row in found] == [1, 2, 3]
    for a, b in zip(found, whole, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], abs=2e-3)


@pytest.mark.parametrize("name", ["metrics.jsonl", "model.keras"])
def test_a_run_that_lost_a_file_is_not_resumed(name, finished, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    (folder / name).unlink()
    assert toy.run("train", "--workdir", str(folder), "--resume") == 2
    assert f"{name}: 6 epochs are checkpointed" in capsys.readouterr().err
    assert not (folder / name).exists()


def _torn(path):
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(
    "name", ["metrics.jsonl", "model.keras", "checkpoint/epoch-00006/state.weights.h5"]
)
def test_a_run_with_a_torn_file_is_not_resumed(name, finished, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    (folder / "checkpoint" / "epoch-backup").mkdir()
    _torn(folder / name)
    assert toy.run("train", "--workdir", str(folder), "--resume") == 2
    assert f"{name}: is damaged" in capsys.readouterr().err


def test_any_damage_of_a_checkpoint_ends_with_one_line(
    finished, tmp_path, capsys, monkeypatch
):
    """h5py raises errors of many kinds; this one at some objects of the file."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)

    def load(self, path):
        raise RuntimeError("Unable to get group info (addr overflow)")

    monkeypatch.setattr(keras.Model, "load_weights", load)
    assert toy.run("train", "--workdir", str(folder), "--resume") == 2
    assert "state.weights.h5: is damaged" in capsys.readouterr().err


def test_resume_notices_other_data(finished, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    load = ToyTask.load

    def other(self, *arguments):
        data = load(self, *arguments)
        data.splits["train"].targets[5] = 0  # instead of 2
        return data

    monkeypatch.setattr(ToyTask, "load", other)
    assert toy.run("train", "--workdir", str(folder), "--resume") == 2
    assert "the data is not what the run began with" in capsys.readouterr().err
    record = json.loads((folder / "config.json").read_text())
    del record["fingerprint"]  # as runs of before had none
    (folder / "config.json").write_text(json.dumps(record))
    assert toy.run("train", "--workdir", str(folder), "--resume") == 0


def test_one_training_at_a_time_in_a_folder(tmp_path, capsys):
    pytest.importorskip("fcntl", reason="this system has no locks on folders")
    folder = tmp_path / "run"
    with RunDirectory(folder).alone():
        # The second begins before the first has written anything, and leaves its
        # folder alone.
        assert toy.run("train", "--workdir", str(folder)) == 2
        assert "another training is at work there" in capsys.readouterr().err
        assert folder.exists()
    assert not folder.exists()  # nothing came of it


def test_a_start_that_fails_leaves_no_run(tmp_path, capsys, monkeypatch):
    """What is wrong is put right, and the same --workdir serves."""
    folder = tmp_path / "run"

    def refuses(self, data):
        raise UserError("adapt=nothing: there is no such model file")

    with monkeypatch.context() as patch:
        patch.setattr(ToyTask, "build_model", refuses)
        assert toy.run("train", "--workdir", str(folder)) == 2
    assert "adapt=nothing" in capsys.readouterr().err
    assert not folder.exists()
    RunDirectory.unused(str(folder))


def test_resume_of_a_finished_run_trains_no_further(finished, capsys):
    before = rows(finished)
    assert toy.run("train", "--workdir", str(finished), "--resume", "--json") == 0
    assert json.loads(capsys.readouterr().out)["epochs"] == 6
    assert rows(finished) == before


def fit(folder, config):
    """The training loop alone, without export and report."""
    task = toy.APP.make_task(config)
    run = RunDirectory.unused(str(folder))
    data = task.load(None, ("train", "val"))
    run.start(toy.APP, "small", config, None, data.fingerprint())
    training.fit(task, data, training.build(task, data), run, {"labels": []})
    return run.history()


def test_patience_stops_and_keeps_the_best_epoch(tmp_path, monkeypatch):
    scores = iter([0.3, 0.7, 0.6, 0.5, 0.9])
    outputs = []

    def metrics(self, split, found, labels):
        outputs.append(np.array(found))
        return {"n": len(found), "accuracy": next(scores)}

    monkeypatch.setattr(ToyTask, "metrics", metrics)
    config = dataclasses.replace(toy.CONFIGS["averaged"], patience=1, epochs=5)
    found = fit(tmp_path / "run", config)
    assert [row["accuracy"] for row in found] == [0.3, 0.7, 0.6]
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    task = toy.APP.make_task(config)
    split = task.load(None, ("val",)).splits["val"]
    kept = np.array(task.outputs(model, split))
    np.testing.assert_allclose(kept, outputs[1], atol=1e-5)
    assert np.abs(kept - outputs[2]).max() > 1e-3


def test_the_average_is_saved_and_training_goes_on_without_it(tmp_path, monkeypatch):
    """An epoch that began with the averages would begin near where the one before
    it began."""
    starts, steps = [], []

    class Steps(training._Bar):
        def on_train_batch_begin(self, batch, logs=None):
            starts.append(self.model.get_weights()[0])

        def on_train_batch_end(self, batch, logs=None):
            steps.append(self.model.get_weights()[0])

    monkeypatch.setattr(training, "_Bar", Steps)
    config = dataclasses.replace(toy.CONFIGS["averaged"], epochs=2, keep="last")
    fit(tmp_path / "run", config)
    np.testing.assert_array_equal(np.stack(starts[1:]), np.stack(steps[:-1]))
    average = starts[0]
    for step, weights in enumerate(steps, start=1):
        momentum = min(0.8, (1 + step) / (10 + step))
        average = momentum * average + (1 - momentum) * weights
    assert np.abs(average - steps[-1]).max() > 1e-3
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    np.testing.assert_allclose(model.get_weights()[0], average, atol=1e-5)


def test_statistics_of_normalisation_are_averaged_too():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.BatchNormalization(momentum=0.5)])
    model.build((None, 2))
    average = Average(model, 0.9)
    means, expected = [], np.zeros(2)
    for step in range(1, 31):
        model(np.random.default_rng(step).normal(3, 1, (8, 2)), training=True)
        means.append(model.layers[0].moving_mean.numpy())
        momentum = min(0.9, (1 + step) / (10 + step))
        expected = momentum * expected + (1 - momentum) * means[-1]
        average.on_train_batch_end(step)
    with average.in_place():
        inside = model.layers[0].moving_mean.numpy()
    np.testing.assert_allclose(inside, expected, atol=1e-5)
    np.testing.assert_array_equal(model.layers[0].moving_mean.numpy(), means[-1])


def test_averages_that_are_gone_end_with_one_line(tmp_path):
    model = keras.Sequential([keras.layers.Dense(2)])
    model.build((None, 2))
    with pytest.raises(UserError, match="not the averages of this training"):
        Average(model, 0.9).load(tmp_path / "average.npz")
    Average(model, 0.9).save(tmp_path / "average.npz")
    whole = (tmp_path / "average.npz").read_bytes()
    for part in (b"", whole[: len(whole) // 2]):
        (tmp_path / "average.npz").write_bytes(part)
        with pytest.raises(UserError, match="not the averages of this training"):
            Average(model, 0.9).load(tmp_path / "average.npz")
    Average(model, 0.0).save(tmp_path / "average.npz")
    with pytest.raises(UserError, match="not the averages of this training"):
        Average(model, 0.9).load(tmp_path / "average.npz")


def test_same_seed_same_run_other_seed_other_run(tmp_path):
    config = toy.CONFIGS["small"]
    other = fit(tmp_path / "other", dataclasses.replace(config, epochs=1, seed=1))
    again = fit(tmp_path / "again", dataclasses.replace(config, epochs=1))
    third = fit(tmp_path / "third", dataclasses.replace(config, epochs=1))
    losses = [row[0]["train_loss"] for row in (again, third, other)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    assert abs(losses[0] - losses[2]) > 1e-3
