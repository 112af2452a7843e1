"""Words of single letters stand on their lines; composed strings are one writer's."""

import itertools

import numpy as np
import pytest

from apps.core.errors import UserError
from apps.handwriting.compose import Speller
from apps.handwriting.ink import Ink
from apps.handwriting.readers import Record


def letter(text, writer, size=100.0):
    box = np.array([[0, 0], [size, 0], [size, size], [0, size]])
    return Record(Ink((box + 7,)), text, "x", writer)


LETTERS = [letter(c, w, 50.0 + 10 * int(w)) for c in "agl" for w in "12"]


def test_letters_stand_between_the_lines_of_their_kind():
    rng = np.random.default_rng(0)
    speller = Speller(LETTERS)
    for _ in range(20):
        ink = speller.write("agl", rng)
        small, descending, tall = [(s[:, 1].min(), s[:, 1].max()) for s in ink.strokes]
        assert -1.6 < small[0] < -0.5 and abs(small[1]) < 0.3
        assert descending[1] > 0.4
        assert tall[0] < -1.4 and abs(tall[1]) < 0.3


def test_letters_follow_each_other_without_overlap():
    ink = Speller(LETTERS).write("llagla", np.random.default_rng(1))
    edges = [(s[:, 0].min(), s[:, 0].max()) for s in ink.strokes]
    for (_, right), (left, _) in itertools.pairwise(edges):
        assert left > right


def test_one_persons_letters_where_that_person_wrote_all():
    records = [letter("a", "1"), letter("b", "1"), letter("a", "2"), letter("c", "3")]
    records[2] = Record(Ink((np.array([[0.0, 0], [9, 9]]),)), "a", "x", "2")
    speller = Speller(records)
    for seed in range(10):  # writer 2, whose a has two points, wrote no b
        ink = speller.write("ab", np.random.default_rng(seed))
        assert [len(s) for s in ink.strokes] == [4, 4]
    assert len(speller.write("bc", np.random.default_rng(0)).strokes) == 2
    with pytest.raises(KeyError):
        speller.write("x", np.random.default_rng(0))


def test_labels_of_several_characters_are_no_letters():
    with pytest.raises(UserError, match="no symbol in them"):
        Speller([letter("Greek-01", "1")])
