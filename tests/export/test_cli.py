"""``python -m seqcore``: what it is given, and where it prints."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from seqcore import RNN
from seqcore.cli import main
from seqcore.export import read_metadata, write_metadata
from seqcore.export.metadata import append_to_tflite
from seqcore.inspect import cli as reports
from seqcore.loading import read_arrays
from tests.export.harness import model_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "m.keras"
    model_of(RNN(2), features=3).save(path)
    return str(path)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A .tflite with a label that no one-byte encoding has."""
    path = tmp_path_factory.mktemp("cli") / "m.tflite"
    import seqcore

    labels = {"labels": ["نعم"] * 5000}
    seqcore.export_tflite(
        model_of(RNN(2), features=3), path, metadata=labels, verbose=False
    )
    return str(path)


@pytest.mark.parametrize(
    "options, said",
    [
        ("--format saved_model --quantize int8", "--quantize: no effect with --format"),
        ("--format saved_model --inference-io int8", "--inference-io: no effect"),
        ("--format saved_model --lowering loop --chunk 3", "--lowering, --chunk: no"),
        ("--format saved_model --streaming", "--streaming: no effect"),
        ("--format saved_model --representative x.npy", "--representative: no effect"),
        ("--representative x.npy", "--representative: no effect without --quantize"),
        ("--shape 1,7,4", "shape (1, 7, 4) for input 'input' does not fit"),
        ("--format saved_model --shape 1,7,4", "does not fit the model's"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    options, said, model_file, tmp_path, capsys
):
    out = tmp_path / "out"
    assert main(["export", model_file, "--out", str(out), *options.split()]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not out.exists()


def test_a_shape_is_that_of_the_saved_model_too(model_file, tmp_path):
    options = ["--format", "saved_model", "--shape", "1,7,3"]
    assert main(["export", model_file, "--out", str(tmp_path), *options]) == 0
    import tensorflow as tf

    run = tf.saved_model.load(str(tmp_path / "saved_model")).signatures
    inputs = run["serving_default"].structured_input_signature[1]
    assert inputs["input"].shape.as_list() == [None, 7, 3]


@pytest.mark.parametrize("option", ["--data", "--out", "--loss"])
def test_options_of_the_report_are_refused_for_a_tflite(option, labelled, capsys):
    assert main(["inspect", labelled, option, "x"]) == 2
    assert f"{option}: no effect on {labelled}" in capsys.readouterr().err


def test_the_place_of_the_report_as_json(monkeypatch, capsys):
    monkeypatch.setattr(reports, "run", lambda *_: Path("there/report.md"))
    assert main(["inspect", "m.keras", "--data", "x.npy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": "there/report.md"}


def test_labels_print_where_the_terminal_has_no_such_letters(labelled):
    done = subprocess.run(
        [sys.executable, "-m", "seqcore", "inspect", labelled],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"},
    )
    assert done.returncode == 0, done.stderr
    assert rb"\u0646" in done.stdout


def test_output_that_nobody_reads_is_no_error(labelled):
    """As with `| head -1`: what does not fit into the pipe meets its end."""
    with subprocess.Popen(
        [sys.executable, "-m", "seqcore", "inspect", labelled, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def _headless(path):
    np.save(path, np.zeros((5, 3)))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"}", b"(", 1))


def _endless(path):
    with open(path, "wb") as file:
        shape = {"descr": "<f4", "fortran_order": False, "shape": (10**15,)}
        np.lib.format.write_array_header_1_0(file, shape)
        file.write(b"abcd")


def _of_a_later_version(path):
    np.savez(path, x=np.zeros((5, 3)))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 99
    path.write_bytes(content)


@pytest.mark.parametrize(
    "name, write",
    [("a.npy", _headless), ("b.npy", _endless), ("c.npz", _of_a_later_version)],
)
def test_damaged_arrays_are_named(name, write, tmp_path):
    write(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name}: not a .npy or .npz that opens"):
        read_arrays(str(tmp_path / name))


def test_an_archive_of_a_later_version_is_named(tmp_path):
    path = tmp_path / "m.tflite"
    content = bytearray(append_to_tflite(b"\0\0\0\0TFL3", {"a": 1}))
    content[content.index(b"PK\x01\x02") + 6] = 99
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"m\.tflite: is cut short or damaged"):
        read_metadata(path)
    with pytest.raises(ValueError, match=r"m\.tflite: not a \.tflite file that opens"):
        write_metadata(path, {"a": 2})
    assert path.read_bytes() == content


def test_metadata_leaves_other_attached_files_alone(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"\0\0\0\0TFL3")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "cat\ndog")
    for value in (1, 2):
        write_metadata(path, {"a": value})
        assert read_metadata(path) == {"a": value}
        with zipfile.ZipFile(path) as archive:
            assert archive.namelist() == ["labels.txt", "metadata.json"]
            assert archive.read("labels.txt") == b"cat\ndog"
    assert path.read_bytes().startswith(b"\0\0\0\0TFL3")
