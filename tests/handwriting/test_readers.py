"""Every format is read as its samples say, and no bytes make a reader crash."""

import json
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apps.core.errors import UserError
from apps.handwriting import readers
from apps.handwriting.readers import iam_ondb, json_ink, record
from apps.handwriting.readers.record import BadInk, BadRecord, Record
from tests.handwriting import samples


def read(tmp_path, text, name="ink.file"):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(readers.records(path))


def one(found):
    (only,) = found
    assert isinstance(only, Record), only
    return only


def strokes(found):
    return [s.tolist() for s in found.ink.strokes]


def test_json(tmp_path):
    found = one(read(tmp_path, samples.JSON))
    assert strokes(found) == [[[0, 0], [3, 4]], [[5, 5]]]
    assert (found.text, found.writer) == ("hi", "w")
    assert found.ink.times[1].tolist() == [0.3]
    assert found.source.endswith("ink.file, line 1")


def test_json_over_several_lines_is_one_record(tmp_path):
    text = json.dumps(json.loads(samples.JSON), indent=1)
    assert one(read(tmp_path, text)).text == "hi"


def test_json_without_times_or_text(tmp_path):
    found = one(read(tmp_path, '{"strokes": [[[0, 1], [2, 3]]]}'))
    assert found.text is None
    assert found.ink.times is None


def test_quickdraw(tmp_path):
    found = one(read(tmp_path, samples.QUICKDRAW, "cat.ndjson"))
    assert strokes(found) == [[[1, 4], [2, 5], [3, 6]], [[7, 8]]]
    assert found.ink.times[1].tolist() == [0.09]
    assert (found.text, found.writer) == ("cat", "US")


def test_unipen_with_y_turned_downwards(tmp_path):
    first, second = read(tmp_path, samples.UNIPEN)
    assert strokes(first) == [[[267, -333], [267, -336]], [[260, -300]]]
    assert (first.text, first.writer) == ("8", "12")
    assert (second.text, second.writer) == ("3", "13")
    assert second.source.endswith("line 13")


def test_unipen_columns_are_those_of_coord(tmp_path):
    text = '.COORD Y X T\n.SEGMENT A 0 ? "a"\n.PEN_DOWN\n1 2 500\n3 4 600\n.PEN_UP\n'
    found = one(read(tmp_path, text))
    assert strokes(found) == [[[2, -1], [4, -3]]]
    assert found.ink.times[0].tolist() == [0.5, 0.6]


def test_omniglot_names_letter_and_drawer_by_its_path(tmp_path):
    found = one(read(tmp_path, samples.OMNIGLOT, "Latin/character02/0684_07.txt"))
    assert strokes(found) == [[[68.75, 25.5], [68.75, 27.5]], [[67, 41]]]
    assert (found.text, found.writer) == ("b", "07")
    greek = one(read(tmp_path, samples.OMNIGLOT, "Greek/character02/0394_20.txt"))
    assert (greek.text, greek.writer) == ("Greek-02", "20")


def test_gw_online(tmp_path):
    found = one(read(tmp_path, samples.GW, "2700270/1426_letters.txt"))
    assert strokes(found) == [[[412, 236], [413, 239], [423, 240]], [[446, 242]]]
    assert (found.text, found.writer) == ("letters", "2700270")


def test_gw_online_without_transcript_takes_the_file_name(tmp_path):
    text = samples.GW.partition("\n")[2]
    assert one(read(tmp_path, text, "2700270/1426_letters.txt")).text == "letters"


def test_inkml(tmp_path):
    found = one(read(tmp_path, samples.INKML))
    assert strokes(found) == [[[10, 20], [11, 22]], [[30, 40]]]
    assert found.ink.times[1].tolist() == [0.5]
    assert found.ink.pressures[0].tolist() == [0.5, 0.6]
    assert (found.text, found.writer) == ("ab", "w7")


def test_inkml_differences(tmp_path):
    # The example of the InkML recommendation, section 3.2.1.
    trace = "1125 18432,'23'43,\"7\"-8,3-5,7 -3"
    found = one(read(tmp_path, f"<ink><trace>{trace}</trace></ink>"))
    assert strokes(found)[0] == [
        [1125, 18432],
        [1148, 18475],
        [1178, 18510],
        [1211, 18540],
        [1251, 18567],
    ]


def test_inkml_groups_with_truths_are_records_of_their_own(tmp_path):
    groups = "".join(
        f'<traceGroup><annotation type="truth">{t}</annotation>'
        f"<trace>0 0, 1 {i}</trace></traceGroup>"
        for i, t in enumerate("ab")
    )
    found = read(tmp_path, f"<ink>{groups}</ink>")
    assert [f.text for f in found] == ["a", "b"]
    assert found[1].source.endswith("group 2")


def iam_folder(tmp_path):
    lines = tmp_path / "lineStrokes/a01/a01-000"
    lines.mkdir(parents=True)
    for number in (1, 2, 3):
        (lines / f"a01-000u-{number:02d}.xml").write_text(samples.IAM)
    ascii_ = tmp_path / "ascii/a01/a01-000"
    ascii_.mkdir(parents=True)
    (ascii_ / "a01-000u.txt").write_text("OCR:\n\nx\n\nCSR:\n\nA MOVE to\nstop Mr.\n")
    original = tmp_path / "original/a01/a01-000"
    original.mkdir(parents=True)
    (original / "strokesu.xml").write_text('<s><Form id="1" writerID="10102"/></s>')
    return tmp_path


def test_iam_ondb_folder_in_the_official_layout(tmp_path):
    first, second, third = readers.records(iam_folder(tmp_path))
    assert strokes(first) == [[[1421, 2152], [1420, 2150]], [[1450, 2100]]]
    assert (first.text, first.writer) == ("A MOVE to", "10102")
    assert second.text == "stop Mr."
    assert isinstance(third, BadRecord)
    assert "only 2 lines" in third.problem


def test_iam_ondb_split_files(tmp_path):
    folder = iam_folder(tmp_path)
    assert iam_ondb.split_forms(folder) is None
    (folder / "trainset.txt").write_text("a01-000u\n")
    (folder / "testset_v.txt").write_text("a01-001u\n")
    assert iam_ondb.split_forms(folder) == {"train": {"a01-000u"}, "val": {"a01-001u"}}
    assert iam_ondb.form_of("x/a01-000u-03.xml") == "a01-000u"


def test_mlf():
    labels = iam_ondb.parse_mlf(samples.MLF, "t2.mlf")
    assert labels == {"a01-000u-01": "To be."}
    with pytest.raises(UserError, match="line 1: expected #!MLF!#"):
        iam_ondb.parse_mlf("T\no\n", "t2.mlf")
    unknown = iam_ondb.parse_mlf(samples.MLF.replace("pt", "zz"), "t2.mlf")
    assert isinstance(unknown["a01-000u-01"], BadInk)
    assert "line 8: unknown label 'zz'" in str(unknown["a01-000u-01"])


def test_archive_and_folder_read_the_same(tmp_path):
    folder = tmp_path / "pages"
    for page, word in (("1", "to"), ("2", "be")):
        (folder / page).mkdir(parents=True)
        text = samples.GW.replace("letters", word)
        (folder / page / f"0_{word}.txt").write_text(text)
    (folder / "Readme.md").write_text("# about\n1 2 0\n")
    archive = tmp_path / "pages.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.rglob("*.*"):
            file.write(path, path.relative_to(folder))
        file.writestr("__MACOSX/1/._0_to.txt", "rubbish")
    around = tmp_path / "around"
    around.mkdir()
    (around / "pages.zip").write_bytes(archive.read_bytes())
    words = [
        [(r.text, r.writer) for r in readers.records(p)]
        for p in (folder, archive, around)
    ]
    assert words[0] == words[1] == words[2] == [("to", "1"), ("be", "2")]


@pytest.mark.parametrize("name", samples.FORMATS)
def test_written_as_json_and_read_again(tmp_path, name):
    path = "Latin/character02/0684_07.txt"
    first = [r for r in read(tmp_path, samples.FORMATS[name], path)]
    lines = "\n".join(json_ink.to_json(r) for r in first)
    again = read(tmp_path, lines, "again.jsonl")
    assert [strokes(r) for r in again] == [strokes(r) for r in first]
    assert [r.text for r in again] == [r.text for r in first]


BAD = {
    "empty": ("", "empty"),
    "no ink": ("hello\nworld\n", "no ink that is known"),
    "broken JSON": ('{"strokes": [[[0, 0', "not valid JSON"),
    "JSON without strokes": ('{"text": "a"}', 'no "strokes"'),
    "empty stroke": ('{"strokes": [[[0,0],[1,1]], []]}', "stroke 2 has no point"),
    "no stroke": ('{"strokes": []}', "no stroke"),
    "one point": ('{"strokes": [[[0, 0]]]}', "single point"),
    "NaN": ('{"strokes": [[[0, 0], [NaN, 1]]]}', "stroke 1, point 2.*finite.*nan"),
    "huge": ('{"strokes": [[[0, 0], [1e12, 1]]]}', "1e.12"),
    "endless digits": (
        '{"strokes": [[[0, 0], [%s, 1]]]}' % ("9" * 5000),
        "JSON|number",
    ),
    "text for a number": (
        '{"strokes": [[["a", 0], [1, 1]]]}',
        "expected a number.*'a'",
    ),
    "true for a number": ('{"strokes": [[[true, 0], [1, 1]]]}', "expected a number"),
    "one column": ('{"strokes": [[[0], [1, 1]]]}', "stroke 1, point 1: expected"),
    "text no string": ('{"strokes": [[[0,0],[1,1]]], "text": 5}', '"text" must be'),
    "nested": ("[" * 5000, "JSON"),
    "a million points": (
        '{"strokes": [[' + ",".join(["[1,2]"] * 600_000) + "]]}",
        "more than 20000 points",
    ),
    "a line too long": ('{"x": "%s"}' % ("a" * record.MAX_LINE_BYTES), "longer than"),
    "quickdraw lengths": ('{"drawing": [[[1, 2], [3]]]}', "differ in length"),
    "unipen column": ('.SEGMENT A 0 ? "a"\n.PEN_DOWN\n1 2 3\n', "line 3: expected 2"),
    "unipen word": ('.SEGMENT A 0 ? "a"\n.PEN_DOWN\n1 x\n', "line 3.*'x'"),
    "unipen nothing": (".INCLUDE a\n", "without a .SEGMENT"),
    "omniglot column": ("START\n1,2\n", "line 2: expected x,y,t"),
    "gw state": ("a\n1 2 0\n1 2 7\n", "line 3: expected x y penstate"),
    "entity bomb": (samples.ENTITY_BOMB, "refused XML with entities"),
    "external entity": (samples.EXTERNAL_ENTITY, "refused XML with entities"),
    "cut XML": (samples.IAM[:300], "not well-formed XML"),
    "wrong XML": ("<html><body/></html>", "expected the root element <ink>"),
    "XML coding": ('<?xml version="1.0" encoding="what"?><ink/>', "XML"),
    "IAM point": (samples.IAM.replace('x="1420"', 'x="NaN"'), "finite"),
    "IAM no x": (samples.IAM.replace('x="1420" ', ""), "stroke 1, x.*None"),
    "InkML columns": ("<ink><trace>1 2, 3</trace></ink>", "trace 1: expected 2 values"),
    "InkML channels": (
        '<ink><traceFormat><channel name="X"/></traceFormat></ink>',
        "one X and one Y",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_ink_is_one_clear_error_or_a_counted_skip(tmp_path, name, capsys):
    text, words = BAD[name]
    path = tmp_path / "bad.ink"
    path.write_text(text)
    with pytest.raises(UserError, match=f"(?s)bad.ink.*({words}).*--skip-bad"):
        readers.collect(path)
    with pytest.raises(UserError, match="no readable ink"):
        readers.collect(path, skip_bad=True)
    assert "skipped 1 malformed of 1 records" in capsys.readouterr().err


def test_skip_bad_keeps_the_good_ones(tmp_path, capsys):
    path = tmp_path / "ink.jsonl"
    path.write_text("\n".join([samples.JSON, '{"strokes": []}', "", samples.JSON]))
    good, bad = readers.collect(path, skip_bad=True)
    assert [r.source[-6:] for r in good] == ["line 1", "line 4"]
    assert bad[0].source.endswith("line 2")
    assert "skipped 1 malformed of 3 records" in capsys.readouterr().err


def test_a_first_line_cut_off_does_not_take_the_rest_with_it(tmp_path):
    found = read(tmp_path, '{"strokes": [[[0, 0\n' + f"{samples.JSON}\n" * 2)
    assert [isinstance(r, Record) for r in found] == [False, True, True]
    assert found[0].source.endswith("line 1")


def test_missing_path_and_folder_without_ink(tmp_path):
    with pytest.raises(UserError, match="there is no such file or folder"):
        readers.collect(tmp_path / "nothing")
    with pytest.raises(UserError, match="holds no ink"):
        readers.collect(tmp_path)
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(UserError, match=r"not a readable \.zip"):
        readers.collect(tmp_path / "a.zip")


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_damaged_archive_members_are_bad_records(tmp_path, method):
    path = tmp_path / "ink.zip"
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("1/0_a.txt", "a\n" + "".join(f"{i} 2 0\n" for i in range(500)))
        file.writestr("1/1_b.txt", samples.GW)
        first = file.infolist()[0]
    data = bytearray(path.read_bytes())
    begin = first.header_offset + 30 + len(first.filename)
    data[begin + 10 : begin + 30] = b"\xff" * 20
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"0_a\.txt: damaged archive member: .+--skip"):
        readers.collect(path)
    good, bad = readers.collect(path, skip_bad=True)
    assert (len(good), len(bad)) == (1, 1)


def test_a_name_too_long_for_a_file():
    with pytest.raises(UserError, match="there is no such file"):
        readers.collect("x" * 300)


def test_archive_members_are_bounded(tmp_path, monkeypatch):
    from apps.handwriting.readers import tree

    monkeypatch.setattr(tree, "MAX_BYTES", 1000)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("1/0_a.txt", "a\n" + "1 2 0\n" * 10_000)
        file.writestr("1/1_b.txt", samples.GW)
    big, good = readers.records(path)
    assert isinstance(big, BadRecord)
    assert "larger than 1000 bytes" in big.problem
    assert isinstance(good, Record)


@st.composite
def damaged(draw):
    """A valid file with a few bytes changed, cut out or repeated."""
    data = bytearray(draw(st.sampled_from(sorted(samples.FORMATS.values()))).encode())
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from("xdri"))
        if kind == "x" and data:
            data[at] = draw(st.integers(0, 255))
        elif kind == "d":
            del data[at : at + draw(st.integers(1, 40))]
        elif kind == "r":
            data[at:at] = data[at : at + draw(st.integers(1, 60))]
        else:
            token = st.sampled_from(
                [b"NaN", b"1e999", b"-", b"]", b"<", b"\x00", b"\n."]
            )
            data[at:at] = draw(token)
    return bytes(data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(damaged())
@example(b"")
@example(b"\xff\xfe{\x00")
@example(b".SEGMENT")
@example(b"<ink>")
def test_no_bytes_make_a_reader_crash_or_let_bad_ink_through(tmp_path, data):
    for found in read(tmp_path, data):
        if isinstance(found, BadRecord):
            assert found.problem
            assert found.source
            continue
        points = found.ink.points()
        assert len(points) >= 2
        assert np.isfinite(points).all()
