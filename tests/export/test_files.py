"""What the written files carry, weigh and refuse."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import seqcore
from seqcore import LSTM, RNN
from seqcore.cli import main
from seqcore.export import ExportError, read_metadata, write_metadata
from seqcore.export.flatbuffer import parse
from seqcore.export.inspection import inspect_tflite
from seqcore.export.metadata import weights_hash
from seqcore.export.micro import arena_bytes, run_micro
from seqcore.export.runtime import TFLiteRunner
from tests.export.harness import L, clip, model_of, variable_tensors

ROOT = Path(__file__).parents[2]
LABELS = {"labels": ["yes", "no"], "units": "m/s", "licence": "CC-BY 4.0"}


@pytest.fixture(scope="module")
def model():
    return model_of(LSTM(24, return_sequences=True), RNN(8), L.Dense(2))


@pytest.fixture(scope="module")
def tflite(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "m.tflite"
    seqcore.export_tflite(model, path, metadata=LABELS, verbose=False)
    return path


@pytest.fixture(scope="module")
def keras_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "m.keras"
    model.save(path)
    return path


def test_metadata_travels_in_every_format(model, tflite, keras_file, tmp_path):
    folder = seqcore.export_saved_model(model, tmp_path / "sm", metadata=LABELS)
    write_metadata(keras_file, {"old": 1})
    write_metadata(keras_file, LABELS)
    for path in (tflite, folder, keras_file):
        found = read_metadata(path)
        assert {k: found[k] for k in LABELS} == LABELS
        assert "old" not in found
    with zipfile.ZipFile(tflite) as archive:  # readable with any zip tool
        assert json.loads(archive.read("metadata.json"))["units"] == "m/s"
    assert read_metadata(tflite)["seqcore"]["weights_sha256"] == weights_hash(model)
    x = clip(3)
    loaded = keras.saving.load_model(keras_file)  # the entry does not disturb Keras
    np.testing.assert_allclose(loaded(x), model(x), atol=1e-6)


def test_saved_model_runs_without_seqcore_on_any_batch(model, tmp_path):
    folder = seqcore.export_saved_model(model, tmp_path / "sm")
    x = np.concatenate([clip(6, seed=s) for s in range(3)])
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, numpy as np, tensorflow as tf\n"
        "run = tf.saved_model.load('sm').signatures['serving_default']\n"
        "np.save('y.npy', run(input=tf.constant(np.load('x.npy')))['output'])\n"
        "assert 'seqcore' not in sys.modules\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, env=environment
    )
    assert folder == tmp_path / "sm"
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model(x), atol=1e-5)


def test_a_saved_model_stays_where_another_cannot_take_its_place(
    model, tmp_path, monkeypatch
):
    folder = seqcore.export_saved_model(model, tmp_path / "sm", metadata={"a": 1})
    rename = os.replace

    def failing(source, target):
        if Path(target) == folder and not str(source).endswith(".old"):
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(PermissionError):
        seqcore.export_saved_model(model, folder, metadata={"a": 2})
    assert [p.name for p in tmp_path.iterdir()] == ["sm"]
    assert read_metadata(folder)["a"] == 1
    monkeypatch.setattr(os, "replace", rename)
    seqcore.export_saved_model(model, folder, metadata={"a": 3})
    assert [p.name for p in tmp_path.iterdir()] == ["sm"]
    assert read_metadata(folder)["a"] == 3


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--help"], ""),
        (["export", "none.keras", "--out", "out"], "none.keras: expected a .keras"),
        (["inspect", "none.keras"], "none.keras: no such file"),
        (["inspect", "none.tflite"], "none.tflite: no such file"),
    ],
)
def test_the_command_line_answers_before_keras_has_started(tmp_path, arguments, said):
    """As a user runs it, in a process of its own: at once, and in one line."""
    done = subprocess.run(
        [sys.executable, "-m", "seqcore", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONPROFILEIMPORTTIME": "1"},
    )
    lines = [x for x in done.stderr.splitlines() if not x.startswith("import time:")]
    assert len(lines) == (1 if said else 0) and said in "".join(lines)
    assert done.returncode == (2 if said else 0)
    assert "argparse" in done.stderr and "tensorflow" not in done.stderr
    assert " keras" not in done.stderr


def test_importing_seqcore_registers_its_layers_whatever_a_script_is_given(
    keras_file, tmp_path
):
    """`-m seqcore` of a user's own script is not that of Python."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, keras, seqcore\nkeras.saving.load_model(sys.argv[3])\n"
    )
    subprocess.run(
        [sys.executable, script, "-m", "seqcore", keras_file],
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def test_two_layers_of_a_thousand_steps_stay_small(tmp_path):
    big = model_of(
        LSTM(96, return_sequences=True),
        LSTM(96, return_sequences=True),
        timesteps=1000,
    )
    report = seqcore.export_tflite(big, tmp_path / "m.tflite", verbose=False)
    assert report.size < 1.1 * 4 * big.count_params() + 20_000
    # The blocks of both layers' outputs; neither is written out step by step, which
    # would take the converter minutes.
    operators = inspect_tflite(tmp_path / "m.tflite")["operators"]
    assert 4 <= operators["WHILE"] <= 34
    assert sum(operators.values()) < 600


def test_quantised_sizes_and_what_stays_float(tmp_path):
    net = model_of(LSTM(64, return_sequences=True), L.Dense(3))
    sizes = {
        q: seqcore.export_tflite(net, tmp_path / q, quantize=q, verbose=False)
        for q in ("none", "float16", "dynamic")
    }
    weights = 4 * net.count_params()
    assert sizes["float16"].size < 0.5 * weights + 20_000
    assert sizes["dynamic"].size < 1.1 * 0.25 * weights + 20_000
    assert "3x64" in sizes["dynamic"].notes[0]  # under 1,024 weights: said, not hidden
    kinds = {q: inspect_tflite(tmp_path / q)["quantisation"] for q in sizes}
    assert kinds == {q: q for q in sizes}


@pytest.mark.parametrize("io", ["float32", "int8"])
def test_fused_int8_runs_on_a_microcontroller(io, tmp_path, capsys):
    net = model_of(LSTM(20, return_sequences=True), LSTM(12), L.Dense(3), timesteps=10)
    data = [clip(10, seed=s) for s in range(40)]
    path = tmp_path / "m.tflite"
    seqcore.export_tflite(
        net,
        path,
        lowering="fused",
        quantize="int8",
        inference_io=io,
        representative_data=data,
        probe_data=data[:5],
        metadata=LABELS,
    )
    content = path.read_bytes()
    arena = arena_bytes(content)
    assert f"arena of {arena:,} bytes" in capsys.readouterr().out
    assert 1 << 10 < arena < 64 << 10
    seen = inspect_tflite(path)
    assert seen["operators"]["UNIDIRECTIONAL_SEQUENCE_LSTM"] == 2
    signature = seen["signatures"]["serving_default"]
    assert signature["inputs"]["input"]["type"] == io
    assert signature["outputs"]["output"]["type"] == io
    got = np.stack([run_micro(content, x, arena) for x in data[:5]])
    want = np.stack([net(x) for x in data[:5]])
    assert np.abs(got - want).max() < 0.08 * max(1, np.abs(want).max())


@pytest.mark.parametrize("kind, name", [(LSTM, "LSTM"), (RNN, "RNN")])
def test_fused_float_file_is_one_operator_and_exact(kind, name, tmp_path):
    net = model_of(kind(18, return_sequences=True), L.Dense(2))
    path = tmp_path / "m.tflite"
    seqcore.export_tflite(net, path, lowering="fused", verbose=False)
    assert inspect_tflite(path)["operators"][f"UNIDIRECTIONAL_SEQUENCE_{name}"] == 1
    assert variable_tensors(path.read_bytes())
    for n in (1, 9):
        x = clip(n, seed=n)
        got = TFLiteRunner(path)({"input": x})["output"]
        np.testing.assert_allclose(got, net(x), atol=1e-5)


@pytest.mark.parametrize(
    "variant",
    [
        {"peephole": True, "cell_clip": 0.3},
        {"projection_units": 7, "peephole": True, "use_bias": False},
        {"couple_gates": True, "peephole": True},
    ],
)
def test_fused_variants_of_the_lstm(variant, tmp_path):
    net = model_of(LSTM(9, return_sequences=True, **variant), L.Dense(2))
    path = tmp_path / "m.tflite"
    seqcore.export_tflite(net, path, lowering="fused", verbose=False)
    operators = inspect_tflite(path)["operators"]
    assert operators["UNIDIRECTIONAL_SEQUENCE_LSTM"] == 1
    x = clip(9)
    got = TFLiteRunner(path)({"input": x})["output"]
    np.testing.assert_allclose(got, net(x), atol=1e-5)


def test_fused_does_not_clip_the_cell_where_keras_does_not(tmp_path):
    net = model_of(LSTM(4), timesteps=40)
    # Gates wide open: the cell counts to 40.
    net.layers[0].cell.bias.assign(np.full(16, 20.0, "float32"))
    path = tmp_path / "m.tflite"
    seqcore.export_tflite(net, path, lowering="fused", verbose=False)
    graph = parse(path.read_bytes()).subgraphs[0]
    assert next(iter(graph.operators)).builtinOptions.cellClip == 0.0


BAD = {
    "not a model": (lambda: "model.keras", {}, TypeError, "load_model"),
    "not built": (
        lambda: keras.Sequential([LSTM(4)]),
        {},
        ExportError,
        "not built",
    ),
    "Keras's LSTM": (
        lambda: model_of(L.LSTM(4)),
        {},
        ExportError,
        r"Keras's own LSTM.*seqcore\.convert",
    ),
    "Keras's loop over a cell": (
        lambda: model_of(L.RNN(L.LSTMCell(4))),
        {},
        ExportError,
        r"Keras's own RNN.*seqcore\.convert",
    ),
    "Keras's loop over cells": (
        lambda: model_of(L.RNN([L.LSTMCell(4), L.LSTMCell(4)])),
        {},
        ExportError,
        "Keras's own RNN.*build with them",
    ),
    "Keras's GRU": (lambda: model_of(L.GRU(4)), {}, ExportError, "Keras's own GRU"),
    "stateful": (
        lambda: keras.Sequential(
            [keras.Input((5, 3), batch_size=1), LSTM(4, stateful=True)]
        ),
        {},
        ExportError,
        "streaming=True",
    ),
    "quantisation": (
        lambda: model_of(RNN(4)),
        {"quantize": "int4"},
        ExportError,
        "quantize='int4'.*none, float16, dynamic, int8",
    ),
    "lowering": (
        lambda: model_of(RNN(4)),
        {"lowering": "rolled"},
        ExportError,
        "lowering='rolled'",
    ),
    "int8 without data": (
        lambda: model_of(RNN(4)),
        {"quantize": "int8"},
        ExportError,
        "representative_data",
    ),
    "data of another shape": (
        lambda: model_of(RNN(4)),
        {"quantize": "int8", "representative_data": [np.zeros((3, 5))]},
        ExportError,
        r"shape \(1, 3, 5\)",
    ),
    "unrolled free length": (
        lambda: model_of(RNN(4)),
        {"lowering": "unrolled"},
        ExportError,
        "rnn.*shape=",
    ),
    "fused mask": (
        lambda: model_of(L.Masking(), LSTM(4, name="core")),
        {"lowering": "fused"},
        ExportError,
        "'core' cannot be lowered as 'fused'.*mask.*lowering='loop'",
    ),
    "fused RNN in int8": (
        lambda: model_of(RNN(4, name="core")),
        {
            "lowering": "fused",
            "quantize": "int8",
            "representative_data": [np.zeros((3, 16))],
        },
        ExportError,
        "'core' cannot be lowered.*an RNN has float32 weights only.*'int8'",
    ),
    "integer interface of a float file": (
        lambda: model_of(RNN(4)),
        {"inference_io": "int8"},
        ExportError,
        "inference_io='int8' is for quantize='int8', not 'none'",
    ),
    "integer interface of a stream": (
        lambda: model_of(RNN(4)),
        {"inference_io": "int8", "quantize": "int8", "streaming": True},
        ExportError,
        "does not go with streaming=True",
    ),
    "fused variant": (
        lambda: model_of(LSTM(4, layer_norm=True)),
        {"lowering": "fused"},
        ExportError,
        "layer_norm",
    ),
    "shape that does not fit": (
        lambda: model_of(RNN(4)),
        {"shape": (1, 9, 7)},
        ExportError,
        "does not fit",
    ),
    "chunk without streaming": (
        lambda: model_of(RNN(4)),
        {"chunk": 4},
        ExportError,
        "chunk=4",
    ),
    "metadata that is not JSON": (
        lambda: model_of(RNN(4)),
        {"metadata": {"x": {1, 2}}},
        ExportError,
        "JSON",
    ),
    "tolerance": (
        lambda: model_of(LSTM(40)),
        {"quantize": "dynamic", "tolerance": 1e-9},
        ExportError,
        "differs from Keras by .*nothing was written",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_error_and_nothing_is_written(name, tmp_path):
    make, options, kind, message = BAD[name]
    if kind is ExportError and name == "metadata that is not JSON":
        kind = ValueError
    with pytest.raises(kind, match=message):
        seqcore.export_tflite(make(), tmp_path / "m.tflite", **options)
    assert list(tmp_path.iterdir()) == []


@keras.saving.register_keras_serializable("seqcore_test")
class Unsupported(keras.layers.Layer):
    def call(self, x):
        import tensorflow as tf

        return tf.math.betainc(x, x, x)


def test_operator_without_a_builtin_names_its_layer(tmp_path):
    net = model_of(Unsupported(name="beta_layer"), RNN(4))
    with pytest.raises(ExportError, match=r"Betainc in layer '.*beta_layer"):
        seqcore.export_tflite(net, tmp_path / "m.tflite")
    assert list(tmp_path.iterdir()) == []


def test_command_line_exports_and_inspects(keras_file, tmp_path, capsys):
    out = tmp_path / "out"
    code = main(["export", str(keras_file), "--out", str(out), "--quantize", "dynamic"])
    assert code == 0
    assert (out / "m_dynamic.tflite").is_file()
    assert (out / "saved_model" / "saved_model.pb").is_file()
    capsys.readouterr()
    assert main(["inspect", str(out / "m_dynamic.tflite"), "--json"]) == 0
    seen = json.loads(capsys.readouterr().out)
    inputs = seen["signatures"]["serving_default"]["inputs"]
    assert inputs == {"input": {"shape": [1, None, 16], "type": "float32"}}
    assert seen["quantisation"] == "dynamic"
    assert seen["metadata"]["seqcore"]["quantize"] == "dynamic"
    assert seen["variable_tensors"] == 0
    assert main(["inspect", str(out / "m_dynamic.tflite")]) == 0
    assert "FULLY_CONNECTED" in capsys.readouterr().out


def test_inspect_of_damaged_files_is_one_line(tflite, tmp_path, capsys):
    content = tflite.read_bytes()
    sizes = (0, 6, 100, len(content) // 3, len(content) * 3 // 4)
    # The last ends within the archive that holds the metadata.
    for size in (*sizes, len(content) - 30):
        path = tmp_path / f"{size}.tflite"
        path.write_bytes(content[:size])
        assert main(["inspect", str(path)]) == 2
        error = capsys.readouterr().err.strip().splitlines()
        assert len(error) == 1 and str(path) in error[0], error


def test_inspect_of_a_file_with_any_damage_describes_it_or_names_it(tflite, tmp_path):
    """Sixty places, the same in every run: LiteRT's own reader trusts offsets."""
    content = tflite.read_bytes()
    path = tmp_path / "damaged.tflite"
    for start in range(8, len(content) - 16, len(content) // 60):
        path.write_bytes(content[:start] + bytes(16) + content[start + 16 :])
        try:
            inspect_tflite(path)
        except ValueError as error:
            assert "damaged.tflite" in str(error)


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "missing.keras", "--out", "o"],
        ["export", "text.keras", "--out", "o"],
        ["export", "m.keras", "--out", "o", "--shape", "1,x"],
        ["export", "m.keras", "--out", "o", "--quantize", "int8"],
        ["export", "m.keras", "--out", "o", "--metadata", "text.keras"],
        [
            "export",
            "m.keras",
            "--out",
            "o",
            "--quantize",
            "int8",
            "--representative",
            "empty.npy",
        ],
        [
            "export",
            "m.keras",
            "--out",
            "o",
            "--quantize",
            "int8",
            "--representative",
            "cut.npz",
        ],
        ["inspect", "."],
        ["inspect", "missing.tflite"],
    ],
)
def test_command_line_errors_are_one_line_and_status_2(
    arguments, keras_file, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.keras").write_text("not a model")
    (tmp_path / "empty.npy").touch()
    np.savez(tmp_path / "cut.npz", x=np.zeros((9, 9)))
    whole = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) - 60])
    (tmp_path / "m.keras").write_bytes(keras_file.read_bytes())
    assert main(arguments) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "o").exists()
