"""Made-up words near a keyword."""

import numpy as np
import pytest

from apps.speech.near import near, phonemes_of


def test_cuts_mnemonics_into_phonemes():
    assert phonemes_of("s'Ev@n") == ["s", "'", "E", "v", "@", "n"]
    assert phonemes_of("Tr'i:") == ["T", "r", "'", "i:"]
    assert phonemes_of("tS'aIn@") == ["tS", "'", "aI", "n", "@"]


@pytest.mark.parametrize("word", ["s'Ev@n", "Tr'i:", "h'eI r'oUb0t", "'eI", "漢"])
def test_near_words_differ_and_stay_near(word):
    rng = np.random.default_rng(0)
    tokens = phonemes_of(word)
    for _ in range(30):
        made = near(word, rng)
        assert made and made != word
        found = phonemes_of(made)
        halved = "".join(found) in word
        same = sum(a == b for a, b in zip(found, tokens, strict=False))
        assert halved or same >= len(tokens) - 2


def test_near_words_are_no_other_keyword():
    """ "go" is one phoneme from "no", whatever its stress and variant."""
    rng = np.random.default_rng(0)
    plain = {near("n'oU", rng) for _ in range(300)}
    assert "g'oU" in plain and "s'oU" in plain
    rng = np.random.default_rng(0)
    made = {near("n'oU", rng, ["n'oU", "goU", "t#'oU"]) for _ in range(300)}
    assert made & {"s'oU", "d'oU"} and not made & {"g'oU", "t'oU"}
