"""Texts typed into the page get the labels and scores of Python."""

import itertools

import numpy as np
import pytest

from apps.core import recogniser
from apps.text import APP
from apps.text.explain import word_effects
from apps.text.task import encode
from tests.web.conftest import SAVED

MODEL = SAVED / "banking77" / "model.tflite"
COUNT = 50
REAL = 20
TOLERANCE = 1e-3

_BEGINNINGS = (
    "why was",
    "I think that",
    "PLEASE help,",
    "how long until",
    "is it normal that",
    "hi! since yesterday",
)
_ENDINGS = (
    "my card has not arrived?",
    "the top-up is still pending",
    "I was charged £5.00 twice :(",
    "my PIN is blocked at the cash machine",
    "the exchange rate is wrong",
    "a transfer to my friend failed",
    "I lost my phone",
    "there is a payment I do not recognise",
)
_ODD = (
    "x",
    "  spaces   and\ttabs \n and lines ",
    "ÜBERWEISUNG AN MEINE BANK",
    "где моя карта?",
    "أين بطاقتي؟",
    "我的卡在哪里",
    "💳➡️🏠 when??",
    "e\u0301\u00e9 combining, \u00a0 and \ufeff marks",
)


def sentences() -> list[str]:
    made = [" ".join(pair) for pair in itertools.product(_BEGINNINGS, _ENDINGS)]
    return [*made, *_ODD]


@pytest.fixture(scope="module")
def model():
    return recogniser.load(str(MODEL), APP)


def scores(model, texts) -> list[np.ndarray]:
    return [model.runner.predict_on_batch(encode(t)[None])[0] for t in texts]


def check_page(browse, model, texts, record_property) -> None:
    found = browse("type", texts=texts, explained=texts[:3])
    assert not found["problems"]
    result = found["result"]
    expected = scores(model, texts)
    for text, answer, wanted in zip(texts, result["answers"], expected, strict=True):
        assert answer[0][0] == model.labels[int(wanted.argmax())], text
        shown = dict(answer)
        assert set(shown) == set(model.labels)
        ours = [shown[label] for label in model.labels]
        np.testing.assert_allclose(ours, wanted, atol=TOLERANCE, err_msg=text)
    for text, wanted, answer in zip(
        texts[:3], expected, result["explanations"], strict=False
    ):
        effects = word_effects(lambda some: scores(model, some), text, wanted)
        assert [part["word"] for part in answer] == [part["word"] for part in effects]
        np.testing.assert_allclose(
            [part["effect"] for part in answer],
            [part["effect"] for part in effects],
            atol=TOLERANCE,
        )
        for part in answer:
            assert text[part["start"] :].startswith(part["word"])
    strongest = max(result["explanations"][0], key=lambda part: abs(part["effect"]))
    assert strongest["word"] in result["marked"]
    record_property(
        "measured", f"banking77: {result['milliseconds']:.1f} ms a run in the page"
    )


def test_texts_get_the_scores_of_python(browse, model, record_property):
    texts = sentences()
    assert len(texts) >= COUNT
    check_page(browse, model, texts, record_property)


@pytest.mark.data
def test_real_messages_get_the_scores_of_python(
    browse, model, real_data, record_property
):
    from apps.text.sources import find
    from apps.text.table import Format

    folder = real_data / "text" / "banking77"
    if not folder.exists():
        pytest.skip(f"no BANKING77 in {real_data}")
    corpus = find(str(folder), Format("utf-8", "", "", False))
    rows = corpus.splits["train"]
    texts = [row.text for row in rows[:: len(rows) // REAL]][:REAL]
    check_page(browse, model, texts, record_property)
