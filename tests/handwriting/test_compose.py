"""Words of single letters stand on their lines; composed strings are one writer's."""

import dataclasses
import itertools

import numpy as np
import pytest

from apps.core.errors import UserError
from apps.handwriting.compose import Speller, compose, natural
from apps.handwriting.config import HandwritingConfig
from apps.handwriting.distort import Ranges
from apps.handwriting.ink import Ink
from apps.handwriting.readers import Record
from tests.handwriting.test_writer import PLAIN


def letter(text, writer, size=100.0):
    box = np.array([[0, 0], [size, 0], [size, size], [0, size]])
    return Record(Ink((box + 7,)), text, "x", writer)


LETTERS = [letter(c, w, 50.0 + 10 * int(w)) for c in "agl" for w in "12"]


def test_digits_that_are_no_number():
    """ "²" is a digit to Python, but none of `int`."""
    assert sorted(["10", "²", "9"], key=natural) == ["9", "10", "²"]
    with pytest.raises(UserError, match="compose=3-²: expected lengths such as 3-8"):
        HandwritingConfig(compose="3-²").composed_lengths()


def test_letters_stand_between_the_lines_of_their_kind():
    rng = np.random.default_rng(0)
    speller = Speller(LETTERS)
    for _ in range(20):
        ink = speller.write("agl", PLAIN, rng)
        small, descending, tall = [(s[:, 1].min(), s[:, 1].max()) for s in ink.strokes]
        base = small[1]
        assert 0.5 < base - small[0] < 1.6
        assert descending[1] - base > 0.3
        assert base - tall[0] > 1.3 and abs(tall[1] - base) < 0.5


def test_letters_follow_each_other_without_overlap():
    ink = Speller(LETTERS).write("llagla", PLAIN, np.random.default_rng(1))
    edges = [(s[:, 0].min(), s[:, 0].max()) for s in ink.strokes]
    for (_, right), (left, _) in itertools.pairwise(edges):
        assert left > right - 0.25  # the hand is a little loose


def test_one_persons_letters_where_that_person_wrote_all():
    records = [letter("a", "1"), letter("b", "1"), letter("a", "2"), letter("c", "3")]
    records[2] = Record(Ink((np.array([[0.0, 0], [9, 9]]),)), "a", "x", "2")
    speller = Speller(records)
    for seed in range(10):  # writer 2, whose a has two points, wrote no b
        first, _ = speller.write("ab", PLAIN, np.random.default_rng(seed)).strokes
        # A square's three sides, not the line of writer 2.
        chord = first[-1] - first[0]
        off = (first - first[0]) @ [-chord[1], chord[0]] / np.linalg.norm(chord)
        assert np.abs(off).max() > 0.3
    assert len(speller.write("bc", PLAIN, np.random.default_rng(0)).strokes) == 2
    with pytest.raises(KeyError):
        speller.write("x", PLAIN, np.random.default_rng(0))


def test_letters_that_end_on_the_right_are_joined():
    across = Record(Ink((np.array([[0.0, 0], [90, 100]]),)), "a", "x", "1")
    back = Record(Ink((np.array([[90.0, 0], [0, 100]]),)), "c", "x", "1")
    dotted = Ink((np.array([[0.0, 40], [20, 100]]), np.array([[10.0, 0], [11, 1]])))
    speller = Speller([across, back, Record(dotted, "i", "x", "1")])
    joining = dataclasses.replace(PLAIN, join=1.0, delay=1.0)

    def strokes(text, hand=joining):
        return len(speller.write(text, hand, np.random.default_rng(0)).strokes)

    assert strokes("aaa") == 1
    assert strokes("aca") == 2  # c ends on its left
    assert strokes("aia") == 2  # the dot comes last
    assert strokes("aia", dataclasses.replace(joining, delay=0.0)) == 3
    assert strokes("aaa", PLAIN) == 3


def test_symbols_of_a_line_are_drawn_in_another_order_where_they_stand():
    two = Ink((np.array([[0.0, 3], [9, 12]]), np.array([[9.0, 5], [0, 14]])))
    records = [Record(two, "x", "place", "1")]

    only = Ranges(reorder=1.0).scaled(1e-9)  # of all distortions
    usual = compose(records, (3, 3), 20, [5])
    turned = compose(records, (3, 3), 20, [5], only)
    for a, b in zip(usual, turned, strict=True):
        np.testing.assert_allclose(a.ink.box()[1::2], b.ink.box()[1::2])  # its y kept
    assert {r.text for r in turned} == {"xxx"}
    strokes = np.stack([np.stack(r.ink.strokes) for r in turned])  # [20, 6, 2, 2]
    first = strokes[:, ::2], strokes[:, 1::2]
    # Each symbol's strokes stay its own, and every one differs from the usual.
    for one, other in itertools.product(range(20), range(3)):
        pair = np.stack([first[0][one, other], first[1][one, other]])
        assert np.ptp(pair[..., 0]) == pytest.approx(9)
        down, up = pair - np.array([pair[..., 0].min(), 0.0])
        same = np.allclose(down, two.strokes[0]) and np.allclose(up, two.strokes[1])
        assert not same
    with pytest.raises(UserError, match="not one character"):
        compose([letter("ab", "1")], (3, 3), 1, [5])


def test_symbols_of_a_line_are_distorted_each_by_itself():
    usual, drawn = (
        compose([letter("a", "1")], (4, 4), 30, [5], ranges)
        for ranges in (None, Ranges(reorder=0.0))
    )
    widths = {"usual": set(), "drawn": set()}
    for before, after in zip(usual, drawn, strict=True):
        assert before.text == after.text == "aaaa"
        edges = []
        for one, other in zip(before.ink.strokes, after.ink.strokes, strict=True):
            middles = [s[:, 1].min() + np.ptp(s[:, 1]) / 2 for s in (one, other)]
            assert middles[0] == pytest.approx(middles[1], abs=1e-3)  # the same line
            widths["usual"].add(round(float(np.ptp(one[:, 0])), 3))
            widths["drawn"].add(round(float(np.ptp(other[:, 0])), 3))
            edges.append((other[:, 0].min(), other[:, 0].max()))
        for (_, right), (left, _) in itertools.pairwise(edges):
            assert left > right  # nor do they overlap
    assert len(widths["usual"]) == 1 and len(widths["drawn"]) > 100


def test_labels_of_several_characters_are_no_letters():
    with pytest.raises(UserError, match="no symbol in them"):
        Speller([letter("Greek-01", "1")])
