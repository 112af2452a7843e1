"""Error rates agree with jiwer's and with hand counts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.handwriting.scores import (
    edit_distance,
    error_rate,
    transcript_metrics,
    worst,
)

words = st.text("ab ", max_size=8)


def test_edit_distance_literally():
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("", "abc") == 3
    assert edit_distance(["to", "be"], ["be"]) == 1


@given(words, words, words)
def test_edit_distance_is_a_metric(a, b, c):
    assert edit_distance(a, b) == edit_distance(b, a)
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.text("abc", min_size=1, max_size=8), words), min_size=1))
def test_error_rates_agree_with_jiwer(pairs):
    jiwer = pytest.importorskip("jiwer")
    references = [r for r, _ in pairs]
    hypotheses = [h.strip() for _, h in pairs]
    assert error_rate(references, hypotheses) == pytest.approx(
        jiwer.cer(references, hypotheses)
    )
    found = transcript_metrics(references, hypotheses)
    assert found["wer"] == pytest.approx(jiwer.wer(references, hypotheses))


def test_metrics_literally():
    found = transcript_metrics(["to be", "or"], ["to me", "or"])
    assert found == {"n": 2, "cer": 1 / 7, "wer": 1 / 3, "accuracy": 0.5}


def test_worst_leaves_out_the_right_ones():
    assert worst(["abcd", "ab", "x"], ["abcx", "xy", "x"], 5) == [1, 0]


def test_error_rate_refuses_what_has_no_rate():
    with pytest.raises(ValueError, match="not empty"):
        error_rate([""], ["a"])
    with pytest.raises(ValueError, match="1 references and 2"):
        error_rate(["a"], ["a", "b"])
