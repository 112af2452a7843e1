"""Pictures of ink do not show how it was drawn, and lines are read where the pen is."""

import keras
import numpy as np
import pytest
from keras import ops

from apps.handwriting.features import PenFeatures, pad_points
from apps.handwriting.ink import Ink
from apps.handwriting.pictures import (
    MOST_COLUMNS,
    LinePicture,
    ReadColumns,
    StrokeMap,
    WithoutX,
)


def test_picture_does_not_see_how_a_symbol_was_drawn():
    """Backwards, or its strokes exchanged: the same but for where steps fall."""
    first = [[x, 2.0 * x] for x in np.linspace(0, 1, 30)]
    second = [[x, 2.0 - 2 * x] for x in np.linspace(0, 1, 30)]

    def picture(*strokes):
        ink = Ink(tuple(np.array(s) for s in strokes)).points()[None]
        found = StrokeMap(8)(PenFeatures("box", 0.01)(ink))
        return ops.convert_to_numpy(found)[0]

    usual = picture(first, second)
    assert usual.shape == (8, 8, 3)
    for way in ((second, first), (second[::-1], first), (first[::-1], second[::-1])):
        np.testing.assert_allclose(picture(*way), usual, atol=0.15 * usual.max())
    # Another figure of the same length is told from it, by its directions as well.
    flat = np.array([[0, 0], [0, 2.0]]), np.array([[1, 0], [1, 2.0]])
    assert np.abs(picture(*flat) - usual).max() > 0.3 * usual.max()
    ink = usual[..., 0]
    assert ink[0, 2] > 5 * ink[0, 4] and ink[4, 4] > 0  # a cross, by height and width
    np.testing.assert_allclose(ink.sum(), 0.5 * 2 * np.sqrt(5) / 2 / 0.01, rtol=0.02)


UP = np.array([[0.0, 2], [1, 0]])
ACROSS = np.array([[0.0, 1], [3, 1]])
FAR = np.array([[40.0, 0], [41, 2]])


def line(*strokes, **settings):
    """(picture [columns, rows, 3], places [steps, columns], steps) of one ink."""
    points = Ink(tuple(np.linspace(a, b, 200) for a, b in strokes)).points()
    steps = PenFeatures("spread", 0.02, with_x=True)(points[None])
    picture, places = LinePicture(**settings)(steps)
    picture, places, steps = map(ops.convert_to_numpy, (picture, places, steps))
    return picture[0], places[0], steps[0]


def test_a_lines_picture_does_not_show_how_it_was_drawn():
    usual, *_ = line(UP, ACROSS, FAR)
    for way in ((FAR, UP, ACROSS), (UP[::-1], ACROSS, FAR), (ACROSS, FAR[::-1], UP)):
        found, *_ = line(*way)
        assert found.shape == usual.shape
        np.testing.assert_allclose(found, usual, atol=0.1 * usual.max())
    other, *_ = line(UP, ACROSS, FAR * (1, -1) + (0, 2))  # slanted the other way
    assert np.abs(other - usual).max() > 0.3 * usual.max()


def test_every_cell_of_a_line_holds_the_ink_that_is_there():
    picture, places, steps = line(ACROSS, UP, rows=8, cell=0.5, margin=2)
    column = (steps[:, 5] - steps[:, 5].min()) / 0.5 + 2
    row = np.clip(steps[:, 6] / 0.5 + 3.5, 0, 7)  # beyond is drawn at the edge
    want = np.zeros(picture.shape[:2])
    for x, y, up in zip(column, row, steps[:, 2], strict=True):
        for i, j in np.ndindex(*want.shape):
            share = max(0, 1 - abs(x - i)) * max(0, 1 - abs(y - j))
            want[i, j] += 0.5 * (1 - up) * share
    np.testing.assert_allclose(picture[..., 0], want, atol=1e-3)
    assert len(want) == np.ceil(column.max()) + 3  # the margin on the right
    assert not picture[:2].any() and not picture[-2:].any()
    np.testing.assert_allclose(places.sum(1), 1, atol=1e-4)
    np.testing.assert_allclose(places @ np.arange(len(want)), column, atol=1e-3)


def test_a_picture_is_cut_off_where_its_width_is_fixed():
    whole, places, _ = line(UP, ACROSS)
    short, reach, _ = line(UP, ACROSS, columns=5)
    wide, _, _ = line(UP, ACROSS, columns=60)
    assert len(whole) > 6
    np.testing.assert_allclose(short, whole[:5], atol=1e-5)
    np.testing.assert_array_equal(reach, places[:, :5])
    np.testing.assert_allclose(wide[: len(whole)], whole, atol=1e-5)
    assert not wide[len(whole) :].any()


def test_a_stroke_far_off_does_not_make_the_picture_boundless(tmp_path):
    """What lies so far behind is not seen; what is seen is as it was, in a file too."""
    from ai_edge_litert.interpreter import Interpreter

    import seqcore

    steps = keras.Input((None, 10), name="steps")
    model = keras.Model(
        steps, dict(zip("ab", LinePicture(margin=2)(steps), strict=True))
    )
    path = tmp_path / "picture.tflite"
    probe = [np.ones((1, 5, 10), "float32")]
    seqcore.export_tflite(model, path, probe_data=probe, verbose=False)
    interpreter = Interpreter(model_path=str(path))
    names = {detail["op_name"] for detail in interpreter._get_ops_details()}
    assert not [n for n in names if n.startswith("Flex") or n == "CUSTOM"]
    near, *_ = line(UP, ACROSS, FAR, margin=2)
    seen = np.flatnonzero(near[:60].any((1, 2)))  # of the first two strokes
    for far in (1e4, 9e8):
        picture, places, steps = line(UP, ACROSS, np.add(FAR, (far, 0)), margin=2)
        assert len(picture) == MOST_COLUMNS + 3
        found = interpreter.get_signature_runner()(steps=steps[None])
        np.testing.assert_allclose(found["a"][0], picture, atol=1e-4)
        np.testing.assert_allclose(found["b"][0], places, atol=1e-4)
        if far == 1e4:  # farther, float32 does not tell the places of the others
            np.testing.assert_allclose(picture[seen], near[seen], atol=0.05)
            assert not picture[seen[-1] + 2 :].any()


def test_padding_is_not_drawn():
    inks = [Ink((np.linspace(*s, 30),)).points() for s in (UP, 2 * UP, FAR + ACROSS)]
    features = PenFeatures("spread", 0.1, with_x=True)
    together, _ = LinePicture(margin=1)(features(pad_points(inks)))
    together = ops.convert_to_numpy(together)
    for row, points in enumerate(inks):
        alone, _ = LinePicture(margin=1)(features(points[None]))
        columns = alone.shape[1]
        np.testing.assert_allclose(together[row, :columns], alone[0], atol=1e-3)
        assert not together[row, columns:].any()


@pytest.mark.parametrize("strides", [1, 2, 3])
def test_columns_are_read_where_the_pen_is(strides):
    columns = np.array([[[1.0, 0], [10, 1], [100, 2]]], "float32")
    places = np.array([[[1.0, 0, 0], [0, 0.5, 0.5], [0, 0, 1], [0.25, 0.75, 0]]])
    path = np.arange(8, dtype="float32").reshape(1, 4, 2)[:, ::strides]
    layer = ReadColumns(strides)
    inputs = [path, columns, places.astype("float32")]
    got = ops.convert_to_numpy(layer(inputs))
    seen = np.array([[1, 0], [55, 1.5], [100, 2], [7.75, 0.75]])[::strides]
    np.testing.assert_allclose(got, np.concatenate([path, seen[None]], -1))
    assert layer.compute_output_shape([x.shape for x in inputs]) == got.shape


def test_x_alone_is_left_out():
    steps = np.arange(1.0, 21).reshape(1, 2, 10).astype("float32")
    got = ops.convert_to_numpy(WithoutX()(steps))
    want = steps.copy()
    want[..., 5] = 0
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "layer", [LinePicture(8, 0.5, 2, 60), ReadColumns(3), StrokeMap(7)]
)
def test_config_round_trip(layer):
    again = type(layer).from_config(layer.get_config())
    for name in ("rows", "cell", "margin", "columns", "strides", "size"):
        assert getattr(again, name, None) == getattr(layer, name, None)
