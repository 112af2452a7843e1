"""Ink written with real pointer events is read as Python reads it."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

from apps.core import recogniser
from apps.core.config import to_json
from apps.handwriting import APP
from apps.handwriting.ink import Ink
from tests.web.conftest import SAVED

DIGITS = SAVED / "handwriting_digits"
WORDS = SAVED / "handwriting_words"
DIGITS_WRITTEN, WORDS_WRITTEN = 20, 30
REAL_DIGITS, REAL_WORDS = 50, 20
TOLERANCE = 1e-3


def synthetic_digits() -> list[Ink]:
    """Digits of the synthetic writer, every one several times."""
    from apps.handwriting.writer import draw_hand, write

    rng = np.random.default_rng(7)
    return [
        write(str(number % 10), draw_hand(rng), rng) for number in range(DIGITS_WRITTEN)
    ]


def real_digits(folder) -> list[Ink]:
    """Digits of writers who are in no training split, spread over all of them."""
    from apps.handwriting.readers import collect

    records, _ = collect(str(folder), False)
    unseen = [r for r in records if int(r.writer) >= 26]
    return [r.ink for r in unseen[:: len(unseen) // REAL_DIGITS]][:REAL_DIGITS]


def synthetic_words() -> list[Ink]:
    """Words of the synthetic writer, each by another hand."""
    from apps.handwriting.words import WORDS as DICTIONARY
    from apps.handwriting.writer import draw_hand, write

    rng = np.random.default_rng(11)
    chosen = rng.choice([w for w in DICTIONARY if 2 < len(w) < 6], WORDS_WRITTEN)
    return [write(word, draw_hand(rng), rng) for word in chosen]


def real_words(archive) -> list[Ink]:
    """Words of the last page of GW-online."""
    from apps.handwriting.readers import collect

    records, _ = collect(str(archive), True)
    return [r.ink for r in records[-4 * REAL_WORDS :: 4]]


def best_in_python(model_path, inks) -> list[str]:
    model = recogniser.load(str(model_path), APP)
    task = APP.make_task(model.config(APP))
    outputs = [task.output(model.runner, ink.points()) for ink in inks]
    return [task.describe(x, model.labels, 1)[0]["label"] for x in outputs]


def strokes(ink: Ink) -> list:
    return [stroke.tolist() for stroke in ink.strokes]


def check_page(browse, inks, model_path, mode, record_property) -> None:
    found = browse("draw", inks=[strokes(ink) for ink in inks], mode=mode)
    assert not found["problems"]
    result = found["result"]
    read = [answer[0]["label"] for answer in result["answers"]]
    assert read == best_in_python(model_path, inks)
    record_property(
        "measured",
        f"{model_path.parent.name}: {result['milliseconds']:.1f} ms a run in the page, "
        f"{result['framesWriting']:.0f} frames a second while writing, "
        f"{result['framesMoving']:.0f} while the mouse only moves",
    )


def test_symbols_are_read_as_in_python(browse, record_property):
    check_page(
        browse, synthetic_digits(), DIGITS / "model.tflite", "symbol", record_property
    )


@pytest.mark.data
def test_real_digits_are_read_as_in_python(browse, real_data, record_property):
    folder = real_data / "ink" / "pendigits"
    if not folder.exists():
        pytest.skip(f"no pendigits in {real_data}")
    inks = real_digits(folder)
    check_page(browse, inks, DIGITS / "model.tflite", "symbol", record_property)


def test_reading_leaves_the_page_most_of_the_time(browse):
    """Whatever the machine's load: on the newest input, a ninth of the time."""
    found = browse("latest")["result"]
    runs = found["runs"]
    assert len(runs) > 2
    assert all(run["input"] == run["newest"] for run in runs)
    assert runs[-1]["input"] == found["asked"]
    for one, after in itertools.pairwise(runs):
        # A timer may be a millisecond early.
        rest = 8 * (one["until"] - one["from"]) - 1
        assert after["from"] - one["until"] >= rest


@pytest.fixture
def words_model():
    if not WORDS.is_dir():
        pytest.skip(f"no transcriber is shipped in {WORDS}")
    return WORDS / "model.tflite"


def test_words_are_read_as_in_python(browse, words_model, record_property):
    check_page(browse, synthetic_words(), words_model, "word", record_property)


@pytest.mark.data
def test_real_words_are_read_as_in_python(
    browse, words_model, real_data, record_property
):
    archive = real_data / "ink" / "gw_online" / "pages_1_to_15.zip"
    if not archive.exists():
        pytest.skip(f"no GW-online in {real_data}")
    check_page(browse, real_words(archive), words_model, "word", record_property)


def test_module_gives_the_scores_of_python(browse):
    """The same points, no pad between: equal but for rounding."""
    inks = [*synthetic_digits()[:10], Ink((np.array([[0.0, 0.0], [1.0, 2.0]]),))]
    example = json.loads((DIGITS / "eight.json").read_text())
    inks.append(Ink(tuple(np.array(s) for s in example["strokes"])))
    found = browse(
        "module",
        file="models/handwriting_digits/dynamic.tflite",
        inputs=[strokes(ink) for ink in inks],
    )["result"]
    model = recogniser.load(str(DIGITS / "model.tflite"), APP)
    task = APP.make_task(model.config(APP))
    for ink, answer in zip(inks, found["answers"], strict=True):
        expected = task.output(model.runner, ink.points())
        np.testing.assert_allclose(answer["scores"], expected, atol=TOLERANCE)
    assert found["app"] == "handwriting"
    assert tuple(found["labels"]) == model.labels
    assert found["metadata"] == model.metadata
    assert found["bytes"] == (DIGITS / "model.tflite").stat().st_size


def test_module_fills_up_inputs_of_a_fixed_length(browse, built):
    """A file of `export --length`: short ink is filled up, longer ink refused."""
    from apps.core import exporting

    length = 80
    model = recogniser.load(str(DIGITS / "model.keras"), APP)
    config = dataclasses.replace(model.config(APP), length=length)
    task = APP.make_task(config)
    path = built / "fixed.tflite"
    metadata = model.metadata | {"settings": to_json(config)}
    shape = task.fixed_shape(model.runner)
    exporting.export_tflite(model.runner, path, "dynamic", metadata, shape=shape)
    fitting = [ink for ink in synthetic_digits() if len(ink) <= length][:5]
    inputs = [strokes(ink) for ink in fitting]
    found = browse("module", file="fixed.tflite", inputs=inputs)["result"]
    fixed = recogniser.load(str(path), APP)
    for ink, answer in zip(fitting, found["answers"], strict=True):
        expected = task.output(fixed.runner, ink.points())
        np.testing.assert_allclose(answer["scores"], expected, atol=TOLERANCE)
    longer = [[[float(i), 0.0] for i in range(length + 1)]]
    found = browse("module", file="fixed.tflite", inputs=[longer])["result"]
    assert found["answers"][0]["error"] == (
        "The ink has 81 points: this file takes 80 at most."
    )
