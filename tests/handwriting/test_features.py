"""The features inside the model against a plain NumPy loop, and their invariances."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.handwriting import writer
from apps.handwriting.features import (
    FEATURES,
    PenFeatures,
    StepMask,
    count_steps,
    pad_points,
)


def sample(text, seed=0):
    rng = np.random.default_rng(seed)
    return writer.write(text, writer.draw_hand(rng), rng).points()


INKS = [sample(w, i) for i, w in enumerate(["quick", "i", "ton", "xyz"])]


def run(layer, points):
    batch = pad_points(points) if isinstance(points, list) else points[None]
    return keras.ops.convert_to_numpy(layer(batch))


def reference(points, scale, resample, with_x=False):
    """The same in float64, point by point and step by step."""
    points = points.astype("float64")
    xy, pen = points[:, :2], points[:, 3] > 0.5
    segments = [(i, np.linalg.norm(xy[i + 1] - xy[i])) for i in range(len(xy) - 1)]
    drawn = [(i, d) for i, d in segments if not pen[i]]
    total = sum(d for _, d in drawn)
    if scale == "box":
        low, high = xy.min(0), xy.max(0)
        xy = xy - (low + high) / 2
        unit = max(high - low)
    else:
        middle = [((xy[i] + xy[i + 1]) / 2, d) for i, d in drawn]
        mean = sum(m * d for m, d in middle) / total
        rises = [xy[i + 1][1] - xy[i][1] for i, _ in drawn]
        squares = [(m - mean)[1] ** 2 + r**2 / 12
                   for (m, _), r in zip(middle, rises, strict=True)]  # fmt: skip
        unit = np.sqrt(np.dot(squares, [d for _, d in drawn]) / total)
        xy = xy - mean
    unit = max(unit, total / len(xy) / (4 * (resample or 1)))
    xy = xy / unit
    lifts = np.concatenate([[0], np.cumsum(pen[:-1])])
    step = resample or 1.0
    if resample:
        along = [0.0]
        for i, _ in segments:
            length = np.linalg.norm(xy[i + 1] - xy[i]) / step
            along.append(along[-1] + (1.0 if pen[i] else length))
        at = np.arange(int(np.floor(along[-1] + 1e-3)) + 1)
        places = []
        for a in at:
            k = max(i for i in range(len(along)) if along[i] <= a + 1e-3)
            n = min(k + 1, len(along) - 1)
            share = np.clip((a - along[k]) / max(along[n] - along[k], 1e-6), 0, 1)
            values = np.array([*xy[k], lifts[k]]), np.array([*xy[n], lifts[n]])
            places.append(values[0] + share * (values[1] - values[0]))
        places = np.array(places)
        xy, lifts = places[:, :2], places[:, 2]
    rows = []
    way_before = np.zeros(2)
    for j in range(len(xy)):
        delta = (xy[j] - xy[max(j - 1, 0)]) / step
        up = np.clip(lifts[j] - lifts[max(j - 1, 0)], 0, 1)
        way = delta / np.sqrt(delta @ delta + 1e-6)
        turn = way @ way_before, way[1] * way_before[0] - way[0] * way_before[1]
        x = xy[j, 0] if with_x or scale == "box" else 0.0
        rows.append(
            [
                *(np.clip(delta, -4, 4) * (1 - up)),
                up,
                *(np.clip(delta * step, -4, 4) * up),
                x,
                np.clip(xy[j, 1], -4, 4),
                *turn,
                1,
            ]
        )
        way_before = way
    return np.array(rows)


@pytest.mark.parametrize("scale", ["box", "spread"])
@pytest.mark.parametrize("resample", [0.0, 0.3])
@pytest.mark.parametrize("number", range(len(INKS)))
def test_against_a_float64_loop(scale, resample, number):
    got = run(PenFeatures(scale, resample), INKS[number])[0]
    want = reference(INKS[number], scale, resample)
    assert got.shape == want.shape == (len(want), FEATURES)
    np.testing.assert_allclose(got, want, atol=2e-2)
    assert np.abs(got - want).mean() < 1e-4


def test_x_is_counted_along_the_line_where_it_is_asked_for():
    wide = INKS[0] * np.array([3, 1, 1, 1], "float32")
    got = run(PenFeatures("spread", 0.3, with_x=True), wide)[0]
    want = reference(wide, "spread", 0.3, with_x=True)
    np.testing.assert_allclose(got, want, atol=2e-2)
    assert np.ptp(got[:, 5]) > 8.5  # it is not cut off


@pytest.mark.parametrize(
    "layer",
    [PenFeatures("box", 0.1), PenFeatures("spread", 0.4, with_x=True)],
)
def test_padding_changes_nothing(layer):
    together = run(layer, INKS)
    mask = keras.ops.convert_to_numpy(StepMask().compute_mask(together))
    for points, row, real in zip(INKS, together, mask, strict=True):
        alone = run(layer, points)[0]
        assert real.sum() == len(alone)
        np.testing.assert_allclose(row[: len(alone)], alone, atol=1e-3)
        assert not row[len(alone) :].any()


@pytest.mark.parametrize("layer", [PenFeatures("box", 0.1), PenFeatures("spread", 0.4)])
def test_place_and_unit_of_the_ink_do_not_matter(layer):
    points = INKS[0]
    moved = points * np.array([37, 37, 1, 1], "float32")
    moved += np.array([500, -300, 0, 0], "float32")
    one, other = run(layer, points)[0], run(layer, moved)[0]
    assert one.shape == other.shape
    np.testing.assert_allclose(one, other, atol=2e-2)


def test_resampling_takes_the_digitisers_rate_out():
    """Twice the points on the same path give the same steps."""
    points = INKS[0]
    middle = 0.5 * (points[1:] + points[:-1])
    middle[:, 3] = 0
    inside = points[:-1, 3] < 0.5  # nothing is drawn between two strokes
    dense = np.concatenate([points, middle[inside]])
    order = np.concatenate([np.arange(len(points)), np.flatnonzero(inside) + 0.5])
    dense = dense[np.argsort(order)]
    layer = PenFeatures("spread", 0.4)
    one, other = run(layer, points)[0], run(layer, dense)[0]
    assert one.shape == other.shape
    np.testing.assert_allclose(one, other, atol=1e-2)


LINE = np.array([[0, 0, 0, 0], [50, 0, 0, 0], [100, 0, 0, 1]], "float32")
DOTS = np.array([[0, 0, 0, 1], [3, 0, 0, 1]], "float32")
SAME = np.zeros((5, 4), "float32")


@pytest.mark.parametrize("points", [LINE, DOTS, SAME], ids=["line", "dots", "same"])
@pytest.mark.parametrize("scale", ["box", "spread"])
def test_degenerate_ink_gives_finite_features_of_bounded_number(points, scale):
    found = run(PenFeatures(scale, 0.1), points)[0]
    assert np.isfinite(found).all()
    assert 1 <= len(found) <= 4 * len(points) + 1


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-50, 50), st.integers(-50, 50), st.booleans()),
        min_size=2,
        max_size=12,
    ),
    st.sampled_from(["box", "spread"]),
)
def test_any_ink_gives_finite_features(values, scale):
    points = np.array([[x, y, 0, up] for x, y, up in values], "float32")
    found = run(PenFeatures(scale, 0.2), points)[0]
    assert np.isfinite(found).all()
    assert (found[:, -1] == 1).all()
    # Every pen lift is seen, the one at the end of the ink excepted.
    np.testing.assert_allclose(found[:, 2].sum(), points[:-1, 3].sum(), atol=1.01)


@pytest.mark.parametrize("resample", [0.0, 0.3])
def test_steps_are_counted_as_the_layer_makes_them(resample):
    layer = PenFeatures("spread", resample)
    want = [run(layer, points).shape[1] for points in INKS]
    assert count_steps(INKS, layer).tolist() == want


def test_training_fills_up_to_few_numbers_of_steps():
    layer = PenFeatures("spread", 0.3)
    for points in INKS:
        plain = run(layer, points)
        filled = keras.ops.convert_to_numpy(layer(points[None], training=True))
        steps = plain.shape[1]
        assert steps <= filled.shape[1] < steps + 16 and filled.shape[1] % 16 == 0
        np.testing.assert_array_equal(filled[:, :steps], plain)
        assert not filled[:, steps:].any()


def test_pad_points_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="5 points do not fit into 3"):
        pad_points([SAME], 3)
    batch = pad_points([DOTS, SAME], 6)
    assert batch[0, 2:, 3].tolist() == [-1] * 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("height", 0.1), "scale='height'"),
        (("box", -1.0), "resample=-1"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        PenFeatures(*arguments)


def test_config_round_trip():
    for layer in (PenFeatures("box", 0.25), PenFeatures("spread", 0.25, 7, True)):
        again = PenFeatures.from_config(layer.get_config())
        np.testing.assert_array_equal(run(again, INKS[1]), run(layer, INKS[1]))
