"""Figures, the report, the callback and the command line."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import seqcore
from seqcore import inspect
from seqcore.cli import main
from seqcore.layers import tensorflow_kernel
from tests.inspect.models import data, make


@pytest.fixture
def interpreted(monkeypatch):
    """The kernel operation by operation: compiling takes seconds a case."""
    monkeypatch.setattr(
        tensorflow_kernel, "compiled", lambda fn, **flags: lambda *a: fn(*a, **flags)
    )


def test_gates_are_drawn_over_what_was_read(tmp_path):
    model = make(seqcore.LSTM(3, return_sequences=True))
    (gates,) = inspect.gate_activations(model, data(model)[0]).values()
    strokes = np.random.default_rng(0).random((9, 4))
    strokes[[4, 8], 3] = 1
    for name, options in {
        "pen.png": {"strokes": strokes, "moments": [2, 6]},
        "words.svg": {"words": list("abcdefg"), "names": ["f", "c"]},
        "sound.png": {"spectrogram": np.ones((20, 8)), "example": 3},
    }.items():
        path = inspect.plot_gates(gates, tmp_path / name, **options)
        assert path.stat().st_size > 3000
    for options, message in (
        ({"words": ["a"]}, "each of 7 steps"),
        ({"moments": [7]}, "from 0 to 6"),
        ({"example": 4}, "the batch has 4"),
    ):
        with pytest.raises(ValueError, match=message):
            inspect.plot_gates(gates, tmp_path / "no.png", **options)
    with pytest.raises(ValueError, match=r"\.png or \.svg"):
        inspect.plot_gates(gates, tmp_path / "gates.jpg")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "pen.png",
        "sound.png",
        "words.svg",
    ]


def test_the_monitor_warns_by_name_and_logs(interpreted, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    layer = seqcore.RNN(4, name="short", recurrent_initializer="zeros")
    model = make(layer)
    x, y = data(model, batch=8)
    monitor = inspect.GradientMonitor(x, y, log_dir=str(tmp_path), every=2)
    with pytest.warns(UserWarning, match="Layer 'short': the gradient vanishes") as w:
        model.fit(x, y, epochs=4, callbacks=[monitor], verbose=0)
    assert len([one for one in w if "vanishes" in str(one.message)]) == 1
    assert [row["epoch"] for row in monitor.history] == [1, 3]
    events = EventAccumulator(str(tmp_path)).Reload()
    assert "gradient_flow/short/h_first" in events.Tags()["tensors"]
    assert "spectral_radius/short/h" in events.Tags()["tensors"]
    layer.cell.recurrent_kernel.assign(np.eye(4) * 9)
    layer.cell.kernel.assign(np.zeros((3, 4)))
    layer.cell.bias.assign(np.zeros(4))
    model.optimizer.learning_rate = 0.0
    loud = inspect.GradientMonitor(x, y)
    with pytest.warns(UserWarning, match="Layer 'short': the gradient explodes"):
        model.fit(x, y, epochs=1, callbacks=[loud], verbose=0)
    for options in ({"every": 0}, {"vanishing": 2}, {"exploding": 0.5}):
        with pytest.raises(ValueError, match=next(iter(options))):
            inspect.GradientMonitor(x, y, **options)


@pytest.fixture
def saved(tmp_path):
    model = make(keras.layers.Bidirectional(seqcore.LSTM(3)), outputs=2)
    model.save(tmp_path / "small.keras")
    x, y = data(model)
    np.savez(tmp_path / "batch.npz", x=x, y=y)
    return tmp_path


def test_the_command_writes_a_report(interpreted, saved, capsys):
    out = saved / "out"
    files = [str(saved / "small.keras"), "--data", str(saved / "batch.npz")]
    assert main(["inspect", *files, "--out", str(out)]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.strip() == str(out / "report.md")
    text = (out / "report.md").read_text()
    assert text.count("](") == len(list(out.glob("*.png"))) == 5
    for line in text.splitlines():
        if line.startswith("!["):
            assert (out / line.split("](")[1].rstrip(")")).stat().st_size > 3000
    assert "| forward_lstm" in text and "the loss with respect to h" in text


def test_an_image_by_the_name_of_its_input(interpreted, tmp_path):
    image = keras.Input((8, 6, 1), name="scan")
    x = keras.layers.Conv2D(2, 3, padding="same")(image)
    x = seqcore.RNN(2)(keras.layers.Reshape((8, 12))(x))
    model = keras.Model(image, x)
    scan = np.random.default_rng(0).random((2, 8, 6, 1))
    report = inspect.write_report(model, {"scan": scan}, out=tmp_path)
    assert "## Receptive field" in report.read_text()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["gone.keras", "--data", "batch.npz"], "no such file"),
        (["small.keras"], "--data FILE"),
        (["small.keras", "--data", "gone.npz"], "gone.npz"),
        (["small.keras", "--data", "text.npy"], "text.npy: not a .npy"),
        (["small.keras", "--data", "short.npy"], "takes shape (None, 7, 3)"),
        (["small.keras", "--data", "uneven.npz"], "as many examples"),
        (["small.keras", "--data", "batch.npz", "--out", "batch.npz"], "is a file"),
        (["text.keras", "--data", "batch.npz"], "text.keras: not a .keras file"),
        (["small.keras", "--data", "cut.npz"], "cut.npz: not a .npy or .npz"),
        (["theirs.keras", "--data", "batch.npz"], "seqcore.convert(model)"),
        (["classes.keras", "--data", "labels.npz"], "a class that it does not have"),
        (["classes.keras", "--data", "names.npz"], "or text"),
    ],
    ids=lambda a: a if isinstance(a, str) else "",
)
def test_mistakes_are_one_line(saved, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(saved)
    (saved / "text.npy").write_text("no array")
    (saved / "text.keras").write_text("no model")
    whole = (saved / "batch.npz").read_bytes()
    (saved / "cut.npz").write_bytes(whole[: len(whole) // 2])
    np.save(saved / "short.npy", np.zeros((2, 7)))
    np.savez(saved / "uneven.npz", x=np.zeros((2, 7, 3)), y=np.zeros((3, 2)))
    make(keras.layers.LSTM(2)).save(saved / "theirs.keras")
    classes = make(seqcore.RNN(2))
    classes.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    classes.save(saved / "classes.keras")
    np.savez(saved / "labels.npz", x=np.zeros((2, 7, 3)), y=np.array([0, 9]))
    np.savez(saved / "names.npz", x=np.zeros((2, 7, 3)), y=np.array(["no", "yes"]))
    before = sorted(p.name for p in saved.rglob("*"))
    assert main(["inspect", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1
    assert sorted(p.name for p in saved.rglob("*")) == before


def test_the_instruments_are_imported_on_first_use():
    code = (
        "import sys, seqcore; assert 'seqcore.inspect' not in sys.modules;"
        "seqcore.inspect; assert 'seqcore.inspect.gates' not in sys.modules;"
        "seqcore.inspect.Gates; assert 'seqcore.inspect.figures' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
