"""Beam search against brute force over all paths; LM and lexicon steer it."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.handwriting.decoding import (
    Search,
    beam_search,
    from_indices,
    greedy,
    log_softmax,
)
from apps.handwriting.language import CharacterModel, Lexicon


def collapse(path, labels):
    kept = [c for i, c in enumerate(path) if i == 0 or path[i - 1] != c]
    return "".join(labels[c] for c in kept if c < len(labels))


def brute_force(log_probabilities, labels):
    """log probability of every transcript, by summing over all paths."""
    steps, columns = log_probabilities.shape
    total = {}
    for path in itertools.product(range(columns), repeat=steps):
        score = sum(log_probabilities[t, c] for t, c in enumerate(path))
        text = collapse(path, labels)
        total[text] = np.logaddexp(total.get(text, -math.inf), score)
    return total


def scores(seed, steps, columns, sharp=1.5):
    return sharp * np.random.default_rng(seed).standard_normal((steps, columns))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 6))
def test_wide_beam_is_exact(seed, steps):
    rows = log_softmax(scores(seed, steps, 3))
    expected = brute_force(rows, "ab")
    found = beam_search(rows, "ab", top=100, search=Search(width=1000, least=0))
    assert {text for text, _ in found} == set(expected)
    for text, score in found:
        assert score == pytest.approx(expected[text], abs=1e-9)
    assert [s for _, s in found] == sorted((s for _, s in found), reverse=True)


@given(st.integers(0, 2**31), st.integers(1, 12))
def test_greedy_is_the_collapsed_best_path(seed, steps):
    rows = scores(seed, steps, 4)
    assert greedy(rows, "abc") == collapse(rows.argmax(1), "abc")


def test_greedy_literally():
    best = [3, 0, 0, 3, 0, 1, 1, 2, 3, 2]
    assert greedy(np.eye(4)[best], "abc") == "aabcc"


def test_beam_sums_paths_where_greedy_follows_one():
    # Hannun's example: blank is likeliest in each step, yet "a" as a whole.
    rows = np.log(np.array([[0.4, 0.6], [0.4, 0.6]]))
    assert greedy(rows, "a") == ""
    (text, score), _ = beam_search(rows, "a", top=2)
    assert text == "a"
    assert math.exp(score) == pytest.approx(0.64)


def test_language_model_decides_between_equals():
    rows = np.log(np.array([[0.49, 0.01, 0.5, 1e-9], [0.05, 0.9, 0.05, 1e-9]]))
    model = CharacterModel(["ab"] * 20, "abc", order=3)
    assert beam_search(rows, "abc")[0][0] == "cb"
    search = Search(model=model, model_weight=0.5)
    assert beam_search(rows, "abc", search=search)[0][0] == "ab"


def test_length_bonus_lengthens():
    rows = np.log(np.array([[0.4, 0.6]]))
    assert beam_search(rows, "a")[0][0] == ""
    assert beam_search(rows, "a", search=Search(length_bonus=1.0))[0][0] == "a"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_lexicon_allows_its_words_only(seed):
    rows = log_softmax(scores(seed, 6, 4))
    lexicon = Lexicon(["ab", "ba", "b"])
    search = Search(width=50, lexicon=lexicon)
    found = beam_search(rows, "ab ", top=50, search=search)
    assert found
    for text, _ in found:
        assert set(text.split(" ")) <= lexicon.words, text
    # The best of them all is the best that brute force finds.
    expected = brute_force(rows, "ab ")
    best = max((t for t in expected if lexicon.accepts(t)), key=lambda t: expected[t])
    assert found[0][0] == best


def test_lexicon_prefixes():
    lexicon = Lexicon(["to", "two"])
    assert lexicon.allows("tw")
    assert lexicon.allows("to t")
    assert not lexicon.allows("tw ")
    assert not lexicon.accepts("to ")
    assert lexicon.accepts("to two")
    with pytest.raises(ValueError, match="must not be empty"):
        Lexicon([])


def test_transcript_indices():
    assert from_indices(np.array([-1, 1, -1, 0]), "ab") == "ba"


def test_wrong_columns_and_settings_are_refused():
    with pytest.raises(ValueError, match=r"expected scores \[steps, 3\].*\(4, 7\)"):
        greedy(np.zeros((4, 7)), "ab")
    with pytest.raises(ValueError, match="width=0"):
        Search(width=0)
    with pytest.raises(ValueError, match="least=1"):
        Search(least=1.0)


def test_log_softmax_survives_large_logits():
    rows = log_softmax(np.array([[1000.0, 0.0]], "float32"))
    np.testing.assert_allclose(rows, [[0, -1000]])
