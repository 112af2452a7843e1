"""InkML: groups with and without a truth, turned axes, traces in parts."""

import pytest

from apps.core.errors import UserError
from apps.handwriting import readers
from apps.handwriting.readers import BadRecord


def read(tmp_path, text):
    path = tmp_path / "a.inkml"
    path.write_text(text)
    return list(readers.records(path))


def strokes(found):
    return [s.tolist() for s in found.ink.strokes]


def test_beside_a_group_with_a_truth_nothing_is_lost(tmp_path):
    found = read(
        tmp_path,
        """<ink><annotation type="writer">w</annotation>
        <traceGroup><trace>7 7,8 8</trace></traceGroup>
        <traceGroup><annotation type="truth">a</annotation>
          <trace>0 0,1 1</trace></traceGroup>
        <traceGroup><trace type="penUp">2 2,3 3</trace></traceGroup>
        <trace>5 5,6 6</trace><trace type="penUp">6 6,7 7</trace><trace>7 7</trace>
        </ink>""",
    )
    assert [(f.text, f.writer, strokes(f)) for f in found] == [
        (None, "w", [[[7, 7], [8, 8]]]),
        ("a", "w", [[[0, 0], [1, 1]]]),
        (None, "w", [[[5, 5], [6, 6]], [[7, 7]]]),
    ]
    places = [f.source.rpartition(", ")[2] for f in found]
    assert places == ["group 1", "group 2", "outside groups"]


def test_groups_without_a_truth_are_one_ink(tmp_path):
    group = "<traceGroup><trace>0 0,1 1</trace></traceGroup>"
    (found,) = read(tmp_path, f"<ink>{group * 2}<trace>5 5</trace></ink>")
    assert len(found.ink.strokes) == 3


def test_axes_that_run_the_other_way_are_turned(tmp_path):
    (found,) = read(
        tmp_path,
        """<ink><traceFormat><channel name="X" orientation="+ve"/>
        <channel name="Y" orientation="-ve"/></traceFormat>
        <trace>1 2,'3'4</trace></ink>""",
    )
    assert strokes(found) == [[[1, -2], [4, -6]]]


def test_traces_in_parts_are_joined(tmp_path):
    (found,) = read(
        tmp_path,
        """<ink><traceFormat><channel name="X"/><channel name="Y"/>
        <channel name="T" units="s"/></traceFormat>
        <trace id="a" continuation="begin">0 0 1,1 1 2</trace>
        <trace>9 9 3,8 8 4</trace>
        <trace xml:id="b" continuation="middle" priorRef="#a">2 2 5</trace>
        <trace continuation="end" priorRef="#b">3 3 6,4 4 7</trace></ink>""",
    )
    first = [[0, 0], [1, 1], [2, 2], [3, 3], [4, 4]]
    assert strokes(found) == [first, [[9, 9], [8, 8]]]
    assert [t.tolist() for t in found.ink.times] == [[1, 2, 5, 6, 7], [3, 4]]


@pytest.mark.parametrize("prior", ["", 'priorRef="#later"'])
def test_a_part_of_nothing_is_refused(tmp_path, prior):
    (found,) = read(
        tmp_path,
        f'<ink><trace>0 0,1 1</trace><trace continuation="end" {prior}>2 2</trace>'
        '<trace id="later">3 3</trace></ink>',
    )
    assert isinstance(found, BadRecord)
    assert "trace 2: goes on with the trace" in found.problem
    with pytest.raises(UserError, match=r"a\.inkml: trace 2.*--skip-bad"):
        readers.collect(tmp_path / "a.inkml")
