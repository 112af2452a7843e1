"""Damaged ink in a folder or an archive is not lost in silence."""

import zipfile

import pytest

from apps.core.errors import UserError
from apps.handwriting import readers
from apps.handwriting.readers import BadRecord, Record
from tests.handwriting import samples

UTF16 = samples.INKML.replace("<ink", '<?xml version="1.0" encoding="UTF-16"?><ink', 1)
MEMBERS = {
    "a.json": samples.JSON.encode(),
    "b.json": b"",
    "c.inkml": UTF16.encode("utf-16"),
    "d.jsonl": b"garbage",
    "e.JSON": "\ufeff".encode(),
    # Other things that live beside ink.
    "lists.txt": b"garbage",
    "notes.xml": b"",
    "readme.md": b"[a link](b)",
    "run.py": b"[1]",
}
PROBLEMS = {"b.json": "empty", "d.jsonl": "no ink that is known", "e.JSON": "no ink"}


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_what_is_ink_by_its_name_is_read_or_refused(tmp_path, kind, capsys):
    path = tmp_path / ("ink" if kind == "folder" else "ink.zip")
    if kind == "folder":
        path.mkdir()
        for name, data in MEMBERS.items():
            (path / name).write_bytes(data)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in MEMBERS.items():
                archive.writestr(name, data)
    found = {}
    for one in readers.records(path):
        found[one.source.partition(", line")[0].rpartition("/")[2]] = one
    assert {n for n, f in found.items() if isinstance(f, Record)} == {
        "a.json",
        "c.inkml",
    }
    bad = {n: f.problem for n, f in found.items() if isinstance(f, BadRecord)}
    assert bad.keys() == PROBLEMS.keys()
    assert all(PROBLEMS[name] in problem for name, problem in bad.items())
    with pytest.raises(UserError, match=r"b\.json: the file is empty.*--skip-bad"):
        readers.collect(path)
    good, _ = readers.collect(path, skip_bad=True)
    assert len(good) == 2
    assert "skipped 3 malformed of 5 records" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["json", "unipen", "omniglot", "gw", "inkml"])
@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_read_by_its_byte_order_mark(tmp_path, name, coding):
    text = samples.FORMATS[name]
    if name == "json":
        text = f"{text}\n{text}\n"
    for at, data in (
        ("plain", text.encode()),
        ("wide", f"\ufeff{text}".encode(coding)),
    ):
        (tmp_path / at).write_bytes(data)
    plain, wide = (list(readers.records(tmp_path / at)) for at in ("plain", "wide"))
    assert len(plain) == len(wide) == (2 if name in ("json", "unipen") else 1)
    for one, other in zip(plain, wide, strict=True):
        assert one.ink.points().tolist() == other.ink.points().tolist()
        assert one.source.rpartition("plain")[2] == other.source.rpartition("wide")[2]
    assert name in ("omniglot", "gw") or plain[0].text == wide[0].text
