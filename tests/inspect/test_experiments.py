"""The data of benchmarks/memory, its page, and how the applications are looked into."""

import importlib.util

import numpy as np
import pytest

from apps.core.errors import UserError
from apps.handwriting import APP as HANDWRITING
from apps.speech.inspection import changes
from benchmarks.memory import experiments, images, lags, series, tables
from benchmarks.memory.__main__ import main as memory
from benchmarks.memory.training import make_model, train


def test_the_adding_problem_asks_for_the_marked_numbers():
    x, y = lags.adding(np.random.default_rng(0), 50, 10)
    assert (x[:, :5, 1].sum(1) == 1).all() and (x[:, 5:, 1].sum(1) == 1).all()
    np.testing.assert_allclose((x[:, :, 0] * x[:, :, 1]).sum(1), y[:, 0], rtol=1e-6)
    _, many = lags.adding(np.random.default_rng(1), 20_000, 10)
    assert np.mean((many - 1) ** 2) == pytest.approx(lags.BASELINE, abs=0.005)


def test_the_copy_task_shows_the_letters_once():
    x, letters = lags.copy(np.random.default_rng(0), 3, 6)
    assert x.shape == (3, 6 + 2 * lags.SYMBOLS, lags.LETTERS + 2)
    codes = x.argmax(-1)
    np.testing.assert_array_equal(codes[:, : lags.SYMBOLS], letters)
    rest = codes[:, lags.SYMBOLS :]
    assert (rest[:, -lags.SYMBOLS - 1] == lags.LETTERS + 1).all()
    assert (np.delete(rest, -lags.SYMBOLS - 1, 1) == lags.LETTERS).all()


def test_a_network_climbs_until_no_seed_learns():
    def one(variant, lag, seed, steps):
        return {"learned": lag < 30 or (lag == 100 and seed == 1)}

    rows = lags.climb(one, "v", [10, 20, 30, 40, 50], 2, 7, always=(50,))
    assert [row["lag"] for row in rows] == [10, 10, 20, 20, 30, 30, 50, 50]


def test_no_pixel_away_from_the_margin_tells_whether_its_line_is_ticked():
    pages, answers = images.ink(np.random.default_rng(0), 40)
    for page, answer in zip(pages[..., 0], answers, strict=True):
        for number in range(4):
            line = page[6 * number : 6 * number + 6]
            asked = answer[3 * number : 3 * number + 3]
            assert set(asked[asked >= 0]) == {int(line[:, :5].any())}
    assert 0.35 < answers[answers >= 0].mean() < 0.65


def test_bayes_is_beyond_the_convolution_and_below_certainty():
    assert 0.88 < series.flip_exactly()["accuracy"] < 0.93


def test_mackey_glass_stays_in_its_known_range():
    values = series.mackey_glass(500)
    assert len(values) == 500 and 0.2 < values.min() < 0.6 < 1.1 < values.max() < 1.4


@pytest.mark.skipif(
    importlib.util.find_spec("sktime") is None,
    reason="the package sktime, of the extra bench, is not installed",
)
def test_the_published_splits_are_read():
    for split, count in (("TRAIN", 270), ("TEST", 370)):
        recordings, speakers = series.japanese_vowels(split)
        assert len(recordings) == len(speakers) == count
        assert {one.shape[1] for one in recordings} == {12}
        assert set(speakers) == set(range(9))
    assert series.airline()[[0, -1]].tolist() == [112, 432]
    found = series.forecast("Airline", "seasonal naive", 0)
    assert found["n"] == 25 and found["mape"] == pytest.approx(8.76, abs=0.01)


def test_tables_go_between_their_markers():
    page = "a\n<!-- table: cost -->\nold\n<!-- end -->\nb\n"
    filled = tables.filled(page, {"cost": "| new |"})
    assert filled == "a\n<!-- table: cost -->\n| new |\n<!-- end -->\nb\n"
    assert tables.filled(filled, {"cost": "| new |"}) == filled
    with pytest.raises(ValueError, match="no place for the table 'lost'"):
        tables.filled(page, {"lost": ""})


def test_a_stopped_run_goes_on_where_it_was():
    done = experiments.jobs("process", False)[:3]
    kept = {"process": {"jobs": [{"arguments": job.arguments} for job in done]}}
    left = experiments.missing("process", False, kept)
    assert len(left) == len(experiments.jobs("process", False)) - 3
    assert not [job for job in left if job in done]


def test_results_are_not_lost_by_a_mistake(tmp_path, capsys):
    """A training takes minutes; what it found goes only where it is run anew."""
    kept = tmp_path / "process.json"
    kept.write_text('{"quick": false, "jobs": []}')
    for options, message in (
        (["--draw", "--only", "process"], "leave one of them out"),
        (["--quick"], "run without --quick"),
    ):
        with pytest.raises(SystemExit) as stopped:
            memory([*options, "--out", str(tmp_path)])
        assert stopped.value.code == 2 and message in capsys.readouterr().err
    assert kept.exists()


def test_a_diverged_training_has_no_score():
    model = make_model("tanh", 3, 1, 2, 1, 0)
    x = np.ones((4, 3, 1), "float32")
    batches = iter([(x, np.zeros((4, 1)))] * 3 + [(x, np.full((4, 1), np.inf))] * 9)
    found = train(
        model, lags.squared, batches, 12, rate=0.01, score=lambda: 0.5, every=2
    )
    assert found.steps == 4 and found.scores[:-1] == [(2, 0.5), (4, 0.5)]
    assert np.isnan(found.score)


def test_changes_of_a_sound_are_where_it_changes():
    sound = np.zeros((40, 8))
    sound[12:25], sound[25:] = 3.0, -2.0
    sound += 0.01 * np.random.default_rng(0).normal(size=sound.shape)
    assert changes(sound, 2) == [12, 25]


def test_pen_lifts_are_found_among_the_models_steps():
    import keras

    from apps.handwriting import models
    from apps.handwriting.inspection import look

    config = HANDWRITING.configs["digits"]
    points = keras.Input((None, 4))
    model = keras.Model(points, models.features(config)(points))
    ink = np.zeros((20, 4), "float32")
    ink[:, 0] = np.arange(20)
    ink[:, 1] = np.arange(20) % 3
    ink[9, 3] = ink[19, 3] = 1
    view = look(None, model, ink, ["a"])
    (share,) = view.events["pen-up"]
    assert share == pytest.approx(0.5, abs=0.08)


def test_words_and_clauses_are_those_that_the_text_model_reads():
    from apps.text import APP, inspection, model

    built = model.build(APP.configs["lstm"], 2)
    text = np.frombuffer(b"Where is it? It's lost, I fear.", "uint8").astype("int32")
    view = inspection.look(None, built, text, ["a", "b"])
    words = view.figure["words"]
    assert words[3:6] == ["?", "It's", "lost"] and words[-1] == "(end)"
    assert view.inputs.shape[1] == len(words) == 11
    steps = [int(share * len(words)) for share in view.events["end of a clause"]]
    assert [words[step] for step in steps] == ["?", ",", "."]


def test_an_exported_file_shows_no_gates():
    from argparse import Namespace

    from apps.core import inspection, recogniser

    arguments = Namespace(model="model.tflite", file="ink.json", out=None)
    loaded = recogniser.Recogniser("model.tflite", {"labels": ["a"]}, runner=object())
    with pytest.raises(UserError, match=r"model\.tflite: shows no gates"):
        inspection.run(HANDWRITING, arguments, None, loaded)
