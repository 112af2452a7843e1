"""Ink refuses what no pen writes, and survives the trip to the model's array."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.handwriting.ink import MAX_POINTS, Ink

coordinates = st.floats(-1e4, 1e4, width=32)
strokes = st.lists(
    st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=6),
    min_size=1,
    max_size=5,
).filter(lambda s: sum(map(len, s)) > 1)


@given(strokes)
def test_points_and_back_keep_shape_order_and_pen_lifts(values):
    ink = Ink(tuple(np.array(s) for s in values))
    points = ink.points()
    assert points.shape == (len(ink), 4)
    assert points.dtype == np.float32
    assert points[:, 3].sum() == len(values)
    again = Ink.from_points(points)
    origin = np.array(values[0][0])
    for before, after in zip(ink.strokes, again.strokes, strict=True):
        np.testing.assert_allclose(after, before - origin, atol=2e-3)


def test_points_literally():
    ink = Ink(
        (np.array([[5, 7], [6, 9]]), np.array([[5.5, 7]])),
        (np.array([100.0, 100.5]), np.array([102.0])),
    )
    expected = [[0, 0, 0, 0], [1, 2, 0.5, 1], [0.5, 0, 2, 1]]
    np.testing.assert_array_equal(ink.points(), np.array(expected, "float32"))


def test_large_timestamps_keep_their_differences():
    # IAM-OnDB's times need 8 digits before the point: float32 has 7 altogether.
    times = np.array([15251207.57, 15251207.59])
    ink = Ink((np.array([[0, 0], [1, 1]]),), (times,))
    assert ink.points()[1, 2] == pytest.approx(0.02, abs=1e-6)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ((), "no stroke"),
        ((np.zeros((0, 2)),), "stroke 1 has no point"),
        ((np.zeros((3, 2)), np.zeros((0, 2))), "stroke 2 has no point"),
        ((np.zeros((1, 2)),), "single point"),
        ((np.zeros((3, 3)),), "x and y"),
        ((np.array([[0, 0], [1, np.nan]]),), "stroke 1, point 2: a coordinate is nan"),
        ((np.array([[0, 0], [np.inf, 1]]),), "coordinate is inf"),
        ((np.array([[0, 0], [1e12, 1]]),), r"1e\+12"),
        ((np.zeros((1_000_000, 2)),), f"1000000 points: at most {MAX_POINTS}"),
    ],
)
def test_bad_ink_is_refused_with_its_place(bad, words):
    with pytest.raises(ValueError, match=words):
        Ink(bad)


def test_times_must_match_the_strokes():
    with pytest.raises(ValueError, match="times do not match"):
        Ink((np.zeros((2, 2)),), (np.zeros(3),))
    with pytest.raises(ValueError, match="stroke 1, point 2: a value of pressures"):
        Ink((np.zeros((2, 2)),), None, (np.array([0, np.nan]),))


def test_from_points_wants_four_columns():
    with pytest.raises(ValueError, match=r"\[N, 4\].*\(5, 3\)"):
        Ink.from_points(np.zeros((5, 3)))
