"""The readers on the published collections, where a copy is at hand."""

from pathlib import Path

import pytest

from apps.handwriting import readers
from apps.handwriting.splits import divide

pytestmark = pytest.mark.data


def folder(real_data, name):
    path = real_data / "ink" / name
    if not path.exists():
        pytest.skip(f"no {name} in {real_data}")
    return path


def test_pendigits(real_data):
    records, bad = readers.collect(folder(real_data, "pendigits") / "pendigits-train")
    assert (len(records), bad) == (7494, [])
    split = divide(records, "pendigits")
    assert sorted({int(r.writer) for r in split["val"]}) == [26, 27, 28, 29, 30]
    assert len(split["val"]) == 1248
    assert {r.text for r in records} == set("0123456789")


def test_gw_online(real_data):
    archive = folder(real_data, "gw_online") / "pages_1_to_15.zip"
    records, bad = readers.collect(archive)
    assert (len(records), bad) == (3696, [])
    texts = {r.source.rpartition("/")[2]: r.text for r in records}
    # The two files without a transcript are named after it.
    assert all(text in name for name, text in texts.items())
    split = divide(records, str(archive))
    assert len({r.writer for r in split["val"]}) == 3
    # Upright: the dot of an i stands over its stem (y grows downwards).
    dotted = [r.ink.strokes for r in records if r.text == "in"]
    upright = [s[-1][:, 1].mean() < s[0][:, 1].mean() for s in dotted if len(s) > 1]
    assert sum(upright) > 0.8 * len(upright)


def test_omniglot(real_data):
    archive = folder(real_data, "omniglot") / "strokes_background_small1.zip"
    records, bad = readers.collect(archive)
    assert (len(records), bad) == (2720, [])
    letters = [r for r in records if len(r.text) == 1]
    assert len(letters) == 26 * 20
    assert len({r.writer for r in records}) == 20


def test_iam_ondb_sample(real_data):
    records, bad = readers.collect(folder(real_data, "iam_ondb_sample"))
    assert bad == []
    assert [r.text for r in records] == [
        "They should ask themselves this",
        "question : Good will man . An",
        "experiment in courtesy is",
        "launched by the electricity Board .",
        "The Board is laying a cable",
        "along a seven-mile route in",
        "Surrey .",
    ]
    assert all(400 < len(r.ink) < 1500 or len(r.text) < 9 for r in records)


def test_iam_ondb_sample_trains_with_one_command(real_data, tmp_path):
    from tests.handwriting.test_cli import train

    assert train(tmp_path / "run", "--data", folder(real_data, "iam_ondb_sample")) == 0
    assert (tmp_path / "run" / "model.tflite").exists()


def test_the_shipped_digits_recogniser_on_unseen_writers(real_data, capsys):
    """99.68 %, as its README says, with the file that is shipped."""
    from tests.handwriting.test_cli import answer

    model = Path(__file__).parents[2] / "saved_models/handwriting_digits/model.tflite"
    data = folder(real_data, "pendigits") / "pendigits-train"
    found = answer(capsys, "evaluate", model, "--data", data)
    assert found["n"] == 1248
    # Another processor may round one digit to the other side.
    assert abs(round(found["accuracy"] * 1248) - 1244) <= 1


def test_the_shipped_transcriber_on_a_hand_it_has_never_seen(real_data, capsys):
    """13.4 % of characters wrong without a language model, as its README says."""
    from tests.handwriting.test_cli import answer

    model = Path(__file__).parents[2] / "saved_models/handwriting_words/model.tflite"
    data = folder(real_data, "gw_online") / "pages_1_to_15.zip"
    found = answer(capsys, "evaluate", model, "--data", data)
    assert found["n"] == 812
    assert round(100 * found["cer"], 1) <= 13.5
