"""Protects the promise of the command line: one clear line and status 2."""

import importlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from apps.core import cli
from apps.core.rundir import RunDirectory
from tests.core import toy

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert toy.run("train", "--workdir", str(folder), "--set", "epochs=1") == 0
    return folder


@pytest.fixture
def tone(tmp_path):
    path = tmp_path / "tone.npy"
    np.save(path, np.sin(np.arange(16) * 0.4).astype("float32"))
    return str(path)


def fails(capsys, *arguments):
    """Runs, expects status 2 and one line; returns the line."""
    assert toy.run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [x for x in captured.err.splitlines() if x.startswith("error: ")]
    assert len(lines) == 1, captured.err
    return lines[0]


def test_help_does_not_import_keras():
    code = (
        "import sys\nfrom tests.core import toy\n"
        "try: toy.run('--help')\nexcept SystemExit: pass\n"
        "assert not {'keras', 'tensorflow', 'numpy'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for verb in ("train", "evaluate", "export", "predict"):
        assert verb in done.stdout


def test_output_that_nobody_reads_is_no_error():
    """As with `| head`: status 141, as of any program, and no traceback."""
    code = (
        "import sys, types\n"
        "from apps.core import app, cli\n"
        "from tests.core import toy\n"
        "verb = types.ModuleType('verb')\n"
        "verb.add_arguments = lambda parser: None\n"
        "verb.run = lambda arguments: print('heard')\n"
        "sys.modules['verb'] = verb\n"
        "toy.APP.verbs['say'] = app.Verb('says it', 'verb')\n"
        "sys.exit(cli.main(toy.APP, ['say']))\n"
    )
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        (["--set", "epoch=3"], "did you mean epochs?"),
        (["--set", "epochs"], "expected key=value"),
        (["--set", "epochs=many"], "must be a whole number"),
        (["--set", "epochs=0"], "must be at least 1"),
        (["--set", "loud=perhaps"], "must be true or false"),
        (["--set", "learning_rate=-1"], "must be positive"),
        (["--set", "quantize=int4"], "must be one of none, float16, dynamic, int8"),
        (["--set", "weight_averaging=1"], "must be in [0, 1)"),
        (["--set", "label_smoothing=-0.5"], "must be in [0, 1)"),
        (["--set", "learning_rate=inf"], "must be a number"),
        (["--set", "seed=-1"], "must be in [0, 2^32)"),
        (["--set", "warmup_epochs=nan"], "must be a number"),
        (["--set", "gradient_clip=-1"], "must be at least 0"),
        (["--set", "keep=all"], "must be one of best, last"),
        (["--noise", "loud"], "must be a number"),
        (["--data", "/no/such/folder"], "/no/such/folder"),
    ],
)
def test_wrong_settings(capsys, tmp_path, settings, part):
    folder = tmp_path / "run"
    assert part in fails(capsys, "train", "--workdir", str(folder), *settings)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("app", "setting", "part"),
    [
        ("text", "whole=true", "--set whole=True: is not for train"),
        ("text", "explain=true", "give --explain to predict"),
        ("text", "length=200", "give --length N to export"),
        ("handwriting", "length=200", "give --length N to export"),
        ("speech", "whole=true", "give --whole to evaluate"),
    ],
)
def test_settings_of_other_verbs(capsys, tmp_path, app, setting, part):
    """A validation on the training data, say, or files whose length is not theirs."""
    app = importlib.import_module(f"apps.{app}").APP
    workdir = tmp_path / "run"
    command = ["train", "--workdir", str(workdir), "--set", setting]
    assert cli.main(app, command) == 2
    assert part in capsys.readouterr().err
    assert not workdir.exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--text-column", "0"], "give both as names or both as numbers"),
        (["--set", "whole=true"], "is not for train"),
        (["--set", "epochs=0"], "must be at least 1"),
        (["--resume"], "there is no run to resume"),
    ],
)
def test_wrong_settings_are_seen_before_tensorflow_is_imported(
    tmp_path, arguments, part
):
    code = (
        "import sys\nfrom apps.core import cli\nfrom apps.text import APP\n"
        "status = cli.main(APP, sys.argv[1:])\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
        "sys.exit(status)\n"
    )
    command = ["train", "--workdir", str(tmp_path / "run"), *arguments]
    done = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2 and part in done.stderr, done.stderr


def test_unknown_config_is_an_argument_error(tmp_path):
    with pytest.raises(SystemExit) as error:
        toy.run("train", "--workdir", str(tmp_path), "--config", "huge")
    assert error.value.code == 2


def test_occupied_workdir(capsys, trained, tmp_path):
    line = fails(capsys, "train", "--workdir", str(trained))
    assert "holds a run already" in line and "--resume" in line
    (tmp_path / "letter.txt").write_text("mine")
    line = fails(capsys, "train", "--workdir", str(tmp_path))
    assert "not an empty folder" in line


def test_workdir_is_looked_at_before_data_is_read(capsys, trained):
    line = fails(capsys, "train", "--workdir", str(trained), "--data", "/no/such")
    assert "holds a run already" in line


def test_start_after_one_that_was_killed(tmp_path):
    """What `files.replacing` leaves when config.json is not there yet."""
    (tmp_path / ".config.0123abcd.json").write_text('{"app": ')
    assert RunDirectory.unused(str(tmp_path)).path == tmp_path


def test_resume_errors(capsys, trained, tmp_path):
    line = fails(capsys, "train", "--workdir", str(tmp_path / "no"), "--resume")
    assert "no run to resume" in line
    line = fails(
        capsys, "train", "--workdir", str(trained), "--resume", "--set", "units=9"
    )
    assert "settings and data the run began with" in line
    line = fails(
        capsys, "train", "--workdir", str(trained), "--resume", "--config", "averaged"
    )
    assert "settings and data the run began with" in line


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("[]", "is damaged: it holds no JSON object"),
        ({"data": ...}, "is damaged: it lacks 'data'"),
        ({"config": "gone"}, "no configuration gone"),
        ({"config": ["small"]}, "is damaged: 'config' is ['small']"),
        ({"settings": []}, "is damaged: 'settings' is []"),
        ({"settings": {"seed": -1}}, "seed=-1: must be in [0, 2^32)"),
        ({"settings": {"units": 1.5}}, "units=1.5: must be a whole number"),
        ({"settings": {"noise": True}}, "noise=True: must be a number"),
    ],
)
def test_resume_of_a_record_that_somebody_changed(capsys, tmp_path, change, part):
    record = {"app": "toy", "config": "small", "data": None, "settings": {}}
    if isinstance(change, dict):
        record |= change
        change = json.dumps({k: v for k, v in record.items() if v is not ...})
    (tmp_path / "config.json").write_text(change)
    assert part in fails(capsys, "train", "--workdir", str(tmp_path), "--resume")


def test_predict(capsys, trained, tone):
    answers = {}
    for form in ("model.keras", "saved_model", "model.tflite"):
        assert toy.run("predict", str(trained / form), tone, "--json") == 0
        ((answer),) = json.loads(capsys.readouterr().out)
        assert answer["file"] == tone
        assert len(answer["candidates"]) == 3
        answers[form] = {c["label"]: c["score"] for c in answer["candidates"]}
        assert sum(answers[form].values()) == pytest.approx(1, abs=1e-2)
    for label, score in answers["model.keras"].items():
        assert answers["saved_model"][label] == pytest.approx(score, abs=1e-4)
        assert answers["model.tflite"][label] == pytest.approx(score, abs=0.05)
    assert toy.run("predict", str(trained / "model.tflite"), tone, "--top", "1") == 0
    assert capsys.readouterr().out.count(" ") == 2


def test_predict_on_bad_files(capsys, trained, tone, tmp_path):
    model = str(trained / "model.tflite")
    assert "no such file" in fails(capsys, "predict", model, tone, "absent.npy")
    bad = tmp_path / "bad.npy"
    bad.write_bytes(b"hello")
    assert "bad.npy" in fails(capsys, "predict", model, str(bad))


def test_export_quantised(capsys, trained, tmp_path):
    for form in ("none", "float16", "dynamic", "int8"):
        out = tmp_path / form
        model = str(trained / "model.keras")
        done = toy.run("export", model, "--out", str(out), "--quantize", form, "--json")
        assert done == 0
        found = json.loads(capsys.readouterr().out)
        assert found["bytes"]["tflite"] == (out / "model.tflite").stat().st_size
        assert toy.run("evaluate", found["tflite"], "--json") == 0
        assert json.loads(capsys.readouterr().out)["n"] == 96


def test_a_full_disk_is_one_line(trained, tone):
    """Of what is printed."""
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    run = f"toy.run('predict', {str(trained / 'model.keras')!r}, {tone!r})"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                f"from tests.core import toy; raise SystemExit({run})",
            ],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert "error: " in done.stderr and "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_that_is_no_text(trained, tone, capsys):
    name = Path(os.fsdecode(os.fsencode(tone) + b"\xe9.npy"))
    try:
        name.write_bytes(Path(tone).read_bytes())
    except OSError:
        pytest.skip("this file system has names of text alone")
    capsys.readouterr()
    assert toy.run("predict", str(trained / "model.keras"), str(name), "--json") == 0
    out = capsys.readouterr().out
    assert out.isascii() and json.loads(out)[0]["file"] == str(name)


def test_labels_that_are_no_text(tmp_path, capsys, monkeypatch):
    from tests.core import toy_task

    monkeypatch.setattr(toy_task, "LABELS", ("low", "middle", "caf\udce9"))
    line = fails(capsys, "train", "--workdir", str(tmp_path / "run"))
    assert "is not valid UTF-8: rename it" in line
    assert not (tmp_path / "run").exists()


def test_forms_that_the_app_does_not_offer(tmp_path, capsys, monkeypatch):
    from tests.core.toy_task import ToyTask

    monkeypatch.setattr(ToyTask, "quantizations", ("none", "dynamic"))
    where = ("--workdir", str(tmp_path / "run"))
    line = fails(capsys, "train", *where, "--set", "quantize=int8")
    assert "quantize=int8: not for models of apps.toy" in line
    assert not (tmp_path / "run").exists()


def test_export_to_where_it_cannot(capsys, trained, tmp_path):
    """One line, and nothing half written."""
    model = str(trained / "model.keras")
    file = tmp_path / "file"
    file.write_text("mine")
    for place in (file, file / "below"):
        line = fails(capsys, "export", model, "--out", str(place))
        assert str(place) in line and "cannot be written" in line
    own = tmp_path / "out" / "saved_model"
    own.mkdir(parents=True)
    (own / "mine.txt").write_text("mine")
    line = fails(capsys, "export", model, "--out", str(own.parent))
    assert "is no SavedModel" in line
    assert [p.name for p in own.parent.rglob("*")] == ["saved_model", "mine.txt"]


def _with_a_flaw(path, entry):
    """The file with four bytes changed in the middle of an entry of its archive."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(entry)
        middle = info.header_offset + 60 + info.compress_size // 2
    content[middle : middle + 4] = bytes(b ^ 0xFF for b in content[middle : middle + 4])
    return bytes(content)


def test_wrong_models(capsys, trained, tone, tmp_path):
    cases = {}
    cases["absent"] = (tmp_path / "absent.tflite", "no such model")
    text = tmp_path / "model.txt"
    text.write_text("hello")
    cases["other kind"] = (text, "is not a model")
    empty = tmp_path / "empty.tflite"
    empty.write_bytes(b"")
    cases["empty"] = (empty, "empty.tflite")
    noise = tmp_path / "noise.tflite"
    noise.write_bytes(b"\x00" * 5000)
    cases["noise"] = (noise, "noise.tflite")
    folder = tmp_path / "folder"
    folder.mkdir()
    cases["folder"] = (folder, "not a SavedModel")
    whole = (trained / "model.tflite").read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(whole[: len(whole) // 2])
    cases["cut"] = (cut, "it is cut short, or was not made by one")
    plain = tmp_path / "plain.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]).save(plain)
    cases["plain"] = (plain, "carries no metadata of an application")
    for file, entry in (
        ("model.keras", "model.weights.h5"),
        ("model.keras", "seqcore.json"),
        ("model.tflite", "metadata.json"),
    ):
        changed = tmp_path / f"changed {entry}{Path(file).suffix}"
        changed.write_bytes(_with_a_flaw(trained / file, entry))
        cases[f"changed {entry}"] = (changed, "damaged")
    kcut = tmp_path / "cut.keras"
    kcut.write_bytes((trained / "model.keras").read_bytes()[:4000])
    cases["cut keras"] = (kcut, "cut.keras")
    for name, (path, part) in cases.items():
        for verb in (("evaluate", str(path)), ("predict", str(path), tone)):
            assert part in fails(capsys, *verb), name


def test_damaged_body_with_good_metadata(capsys, trained, tone, tmp_path):
    """The metadata can be read but the model cannot: still one line."""
    path = tmp_path / "broken.tflite"
    raw = bytearray((trained / "model.tflite").read_bytes())
    raw[8:2000] = b"\xff" * 1992
    path.write_bytes(bytes(raw))
    assert zipfile.is_zipfile(path)
    assert "is damaged" in fails(capsys, "predict", str(path), tone)


def test_model_of_another_app(capsys, trained, tone, tmp_path):
    import seqcore

    path = tmp_path / "other.keras"
    path.write_bytes((trained / "model.keras").read_bytes())
    from seqcore.export import write_metadata

    write_metadata(path, seqcore.read_metadata(path) | {"app": "speech"})
    line = fails(capsys, "predict", str(path), tone)
    assert "is a model of apps.speech, and this is apps.toy" in line
