"""The n-gram model is a probability distribution and learns what it reads."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import UserError
from apps.handwriting.language import END, CharacterModel, read_units

texts = st.lists(st.text("abc", max_size=8), max_size=10)


@given(texts, st.text("abcd", max_size=6), st.integers(1, 5))
def test_probabilities_sum_to_one_for_every_history(learned, prefix, order):
    model = CharacterModel(learned, "abcd", order)
    total = sum(math.exp(model.log_probability(prefix, c)) for c in [*"abcd", END])
    assert total == pytest.approx(1)


def test_witten_bell_by_hand():
    model = CharacterModel(["ab", "ac"], "abc", order=2)
    # Unigrams: a 2, b 1, c 1, end 2; six counts of four kinds; uniform 1/4.
    unigram_b = (1 + 4 * 0.25) / 10
    expected = (1 + 2 * unigram_b) / (2 + 2)
    assert math.exp(model.log_probability("a", "b")) == pytest.approx(expected)
    # Only the last character counts with order 2.
    assert model.log_probability("ca", "b") == model.log_probability("a", "b")


def test_perplexity_prefers_what_was_learned():
    model = CharacterModel(["the", "then", "them"], "abcdefghijklmnopqrstuvwxyz")
    assert model.perplexity(["the"]) < 3
    assert model.perplexity(["qxz"]) > 10


def test_characters_outside_the_alphabet_are_left_out():
    model = CharacterModel(["a-b"], "ab", order=2)
    assert model.log_probability("a", "b") > math.log(0.4)


def test_bad_arguments():
    with pytest.raises(ValueError, match="order=0"):
        CharacterModel([], "a", order=0)
    with pytest.raises(ValueError, match="alphabet"):
        CharacterModel(["a"], "")


def test_read_units(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("to  be\n\nor not\n")
    assert read_units(path) == ["to be", "or not"]
    assert read_units(path, "word") == ["to", "be", "or", "not"]
    with pytest.raises(UserError, match="lm_unit=page"):
        read_units(path, "page")
    path.write_text(" \n")
    with pytest.raises(UserError, match="holds no text"):
        read_units(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_units(tmp_path / "none.txt")
