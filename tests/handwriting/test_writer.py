"""Synthetic ink is legible geometry, the same for the same seed, and varied."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.errors import UserError
from apps.handwriting import writer
from apps.handwriting.distort import (
    Ranges,
    begun_elsewhere,
    distort,
    drop_points,
    is_closed,
    reorder,
    split_strokes,
)
from apps.handwriting.ink import Ink
from apps.handwriting.words import Practice

PRINTABLE = st.text(
    st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8
)
PLAIN = writer.Hand(
    face="futural", slant=0, aspect=1, x_height=1, spacing=0, join=0, delay=0, flip=0,
    looseness=0, rounding=0.02, density=20, corner_slowing=0, seed=3,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(PRINTABLE, st.integers(0, 2**31))
def test_any_printable_text_becomes_valid_ink(text, seed):
    rng = np.random.default_rng(seed)
    ink = writer.write(text, writer.draw_hand(rng), rng)
    assert len(ink) >= 2
    times = np.concatenate(ink.times)
    assert (np.diff(times) >= 0).all()


def test_same_seed_same_ink():
    def make():
        rng = np.random.default_rng(5)
        return writer.write("same", writer.draw_hand(rng), rng).points()

    np.testing.assert_array_equal(make(), make())


def test_two_writings_of_a_hand_differ_but_little():
    hand = dataclasses.replace(PLAIN, looseness=0.03)
    one, two = (
        writer.write("a", hand, np.random.default_rng(seed)).box() for seed in (1, 2)
    )
    assert one != two
    np.testing.assert_allclose(np.subtract(one[2:], one[:2]), (1, 1), atol=0.4)


def test_script_letters_are_connected():
    hand = dataclasses.replace(PLAIN, face="scripts", delay=1.0)
    assert len(writer.write("eel", hand, _rng()).strokes) == 1
    assert len(writer.write("eel", PLAIN, _rng()).strokes) >= 3


def test_delayed_dots_come_last():
    script = dataclasses.replace(PLAIN, face="scripts")
    late = writer.write("in", dataclasses.replace(script, delay=1.0), _rng())
    soon = writer.write("in", script, _rng())
    top_late = [s[:, 1].mean() for s in late.strokes]
    top_soon = [s[:, 1].mean() for s in soon.strokes]
    assert np.argmin(top_late) == len(top_late) - 1
    assert np.argmin(top_soon) == 0


def _rng():
    return np.random.default_rng(1)


def test_letters_stand_in_reading_order():
    ink = writer.write("llll", PLAIN, _rng())
    centres = [s[:, 0].mean() for s in ink.strokes]
    assert centres == sorted(centres)
    assert len(centres) == 4


def test_text_the_fonts_lack_is_refused():
    with pytest.raises(UserError, match="no 'ß'"):
        writer.write("Straße", PLAIN, _rng())
    with pytest.raises(UserError, match="nothing to write"):
        writer.write("  ", PLAIN, _rng())
    with pytest.raises(UserError, match="fonts=comic: choose from"):
        writer.draw_hand(_rng(), ["comic"])


POINTS = writer.write("axle", PLAIN, np.random.default_rng(2)).points()


@given(st.integers(0, 2**31), st.floats(0, 3))
def test_distortion_keeps_ink_valid_and_no_longer(seed, amount):
    found = distort(POINTS, Ranges().scaled(amount), np.random.default_rng(seed))
    assert 2 <= len(found) <= len(POINTS)
    assert len(Ink.from_points(found).strokes) == len(split_strokes(POINTS))


def test_no_distortion_only_moves_the_ink():
    found = distort(POINTS, Ranges().scaled(0), _rng())
    np.testing.assert_allclose(np.diff(found[:, :2], axis=0),
                               np.diff(POINTS[:, :2], axis=0), atol=1e-5)  # fmt: skip
    with pytest.raises(ValueError, match="amount=-1"):
        Ranges().scaled(-1)


def test_distortion_does_not_depend_on_the_unit():
    ranges = dataclasses.replace(Ranges(), reorder=0.0)
    large = POINTS * np.array([1000, 1000, 1, 1], "float32")
    one = distort(POINTS, ranges, _rng())
    other = distort(large, ranges, _rng())
    np.testing.assert_allclose(other[:, :2] / 1000, one[:, :2], atol=1e-4)


def test_drop_keeps_the_ends_of_strokes():
    found = drop_points(POINTS, 1.0, _rng())
    before, after = split_strokes(POINTS), split_strokes(found)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new, old[[0, -1]] if len(old) > 1 else old)


def test_only_closed_strokes_begin_elsewhere():
    around = np.linspace(0, 2 * np.pi, 24)
    circle = np.zeros((24, 4))
    circle[:, :2] = np.stack([np.cos(around), np.sin(around)], axis=1)
    circle[:, 2] = np.arange(24)
    circle[-1, 3] = 1
    arc = circle[:12].copy()
    arc[-1, 3] = 1
    assert is_closed(circle) and not is_closed(arc)
    turned = begun_elsewhere(circle, _rng())
    assert not np.allclose(turned, circle)
    np.testing.assert_array_equal(turned[:, 2:], circle[:, 2:])  # times, pen
    shift = int(np.argmin(np.abs(turned[:, :2] - circle[0, :2]).sum(1)))
    np.testing.assert_allclose(np.roll(turned[:, :2], -shift, axis=0), circle[:, :2])
    ways = {tuple(reorder(circle, np.random.default_rng(i))[0, :2]) for i in range(40)}
    assert len(ways) > 5  # and the arc begins at one of its ends
    ends = {tuple(reorder(arc, np.random.default_rng(i))[0, :2]) for i in range(40)}
    assert ends <= {tuple(arc[0, :2]), tuple(arc[-1, :2])}


def test_practice_has_short_words_more_often_and_other_endings():
    practice = Practice(["of", "understand"], endings=["ing"])
    rng = np.random.default_rng(0)
    drawn = [practice.draw(rng) for _ in range(400)]
    assert drawn.count("of") > 1.5 * drawn.count("understand") > 0
    assert "understanding" in drawn
    plain = Practice(["of", "understand"])
    assert "understanding" not in [plain.draw(rng) for _ in range(400)]
