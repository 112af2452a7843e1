"""The school hand writes what it is told to, in forms that a reader knows."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.errors import UserError
from apps.handwriting import writer
from apps.handwriting.penmanship import Habits, lay_out
from apps.handwriting.penpath import CHARACTERS, curve, forms

PLAIN = Habits(
    seed=1, slant=0, aspect=1, ascender=1, descender=1, join=0, link=0.2, gap=0.2,
    tail=0, shrink=0, lead=0, delay=0, variety=0, shape=0, looseness=0,
)  # fmt: skip


def rng():
    return np.random.default_rng(0)


def test_every_character_has_forms_that_stand_on_the_line():
    assert set("abcdefghijklmnopqrstuvwxyz0123456789") == CHARACTERS
    for character in CHARACTERS:
        for form in forms(character):
            body = np.concatenate([p.points for p in form if not p.is_mark])
            assert any(not path.is_mark for path in form)
            assert -1.05 <= body[:, 1].min() <= 0.1, character
            assert body[:, 1].max() >= 0.65, character  # flat hands barely rise
            tall = character.isdigit() or character in "bdfhklt"
            assert (body[:, 1].max() > 1.5) == tall, character
            assert (body[:, 1].min() < -0.5) == (
                character in "gjpqy" or (character in "fz" and body[:, 1].min() < -0.5)
            ), character


def test_curves_go_through_their_points_and_keep_corners():
    points = np.array([[0, 0], [0, 2], [1, 0], [2, 1.0]])
    sharp = curve(points, np.array([False, True, True, False]))
    np.testing.assert_allclose(sharp, points)  # straight between corners
    angles = np.linspace(0, np.pi, 5)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    smooth = curve(circle, np.zeros(5, bool), steps=6)
    assert smooth.shape == (25, 2)
    np.testing.assert_allclose(smooth[::6], circle, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(smooth, axis=1), 1, atol=0.07)


def test_a_hand_that_joins_lifts_the_pen_less():
    apart = lay_out("minimal", PLAIN, rng())
    joined = lay_out("minimal", dataclasses.replace(PLAIN, join=1, delay=1), rng())
    assert len(apart) >= 9 > len(joined)
    for strokes in (apart, joined):
        assert np.concatenate(strokes)[:, 1].max() < 0.2  # y grows downwards
        assert -2.3 < np.concatenate(strokes)[:, 1].min() < -1.5


def test_tails_and_shrinking_show_where_they_should():
    def box(strokes):
        points = np.concatenate(strokes)
        return np.ptp(points[:, 0]), np.ptp(points[:, 1])

    def heights(text, habits):
        return [np.ptp(s[:, 1]) for s in lay_out(text, habits, rng())]

    habits = dataclasses.replace(PLAIN, seed=3)
    wide, tall = box(lay_out("nnnn", habits, rng()))
    drawn_out = dataclasses.replace(habits, tail=0.8)
    assert box(lay_out("nnnn", drawn_out, rng())) == (
        pytest.approx(wide + 1.5, abs=1.2),
        pytest.approx(tall, abs=0.05),
    )
    smaller = dataclasses.replace(habits, shrink=0.5)
    even, falling = heights("nnnn", habits), heights("nnnn", smaller)
    np.testing.assert_allclose(even, even[0])
    np.testing.assert_allclose(falling, even[0] * np.array([1, 0.95, 0.9, 0.85]))
    # Every word begins anew.
    assert heights("nn nn", smaller)[2] == pytest.approx(even[0])


def test_what_is_delayed_comes_when_the_word_is_done():
    joined = dataclasses.replace(PLAIN, delay=1)
    strokes = lay_out("in in", joined, rng())
    heights = [s[:, 1].mean() for s in strokes]
    dots = [i for i, height in enumerate(heights) if height < -1.2]
    assert dots[0] > 1 and dots[-1] == len(strokes) - 1
    first_word = [s[:, 0].mean() for s in strokes[: dots[0] + 1]]
    assert max(first_word) < min(s[:, 0].min() for s in strokes[dots[0] + 1 : -1])


@settings(max_examples=30, deadline=None)
@given(st.text(sorted(CHARACTERS), min_size=1, max_size=8), st.integers(0, 2**31))
def test_any_word_becomes_ink_in_reading_order(text, seed):
    def make():
        random = np.random.default_rng(seed)
        return writer.write(text, writer.draw_hand(random, ["school"]), random)

    ink = make()
    np.testing.assert_array_equal(ink.points(), make().points())
    strokes = lay_out(text, dataclasses.replace(PLAIN, seed=seed), rng())
    assert min(s[:, 0].min() for s in strokes) > -0.5
    assert max(s[:, 0].max() for s in strokes) < 2 * len(text)


def test_characters_without_forms_are_refused():
    with pytest.raises(UserError, match="no 'A'"):
        lay_out("Ab", PLAIN, rng())
    with pytest.raises(UserError, match="no 'é'"):
        writer.check_text("é", ["futural", "school"])
