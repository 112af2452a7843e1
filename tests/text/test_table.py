"""Reading labelled text: every format, and one clear line for what is wrong."""

import json

import pytest

from apps.core.errors import UserError
from apps.text.sources import find
from apps.text.splits import duplicates, stratified_split
from apps.text.table import Format

PLAIN = Format()


def write(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def pairs(source, form=PLAIN, split="train"):
    return [(row.text, row.label) for row in find(str(source), form).splits[split]]


GOOD = [("hello, you", "greet"), ("grüezi", "greet"), ("bye", "part")]


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("a.csv", 'text,label\n"hello, you",greet\ngrüezi,greet\nbye,part\n', {}),
        ("a.csv", 'id,Label,Text\r\n1,greet,"hello, you"\r\n2,greet,grüezi\r\n'
         "3,part,bye\r\n", {}),
        ("a.csv", 'x,y\n"hello, you",greet\ngrüezi,greet\nbye,part\n',
         {"text_column": "x", "label_column": "y"}),
        ("a.csv", 'greet,"hello, you"\ngreet,grüezi\npart,bye\n',
         {"text_column": "1", "label_column": "0"}),
        ("a.tsv", "label\ttext\ngreet\thello, you\ngreet\tgrüezi\npart\tbye\n", {}),
        ("a.jsonl", '{"text": "hello, you", "intent": "greet"}\n\n'
         '{"text": "grüezi", "intent": "greet"}\n{"text":"bye","intent":"part"}\n',
         {}),
        ("a.txt", "__label__greet hello, you\n__label__greet grüezi\n"
         "__label__part bye\n", {}),
        ("a.txt", "__label__greet\thello, you\n__label__greet \t grüezi\n"
         "__label__part\tbye\n", {}),
        ("a.csv", "\ufefftext,label\n\"hello, you\",greet\ngrüezi,greet\nbye,part",
         {}),
        ("a.csv", 'text,label\n"hello, you",greet\ngrüezi,greet\nbye,part\n'.encode(
            "utf-16"), {"encoding": "utf-16"}),
        ("a.csv", 'text,label\n"hello, you",greet\ngrüezi,greet\nbye,part\n'.encode(
            "cp1254"), {"encoding": "cp1254"}),
    ],
)  # fmt: skip
def test_formats(tmp_path, name, content, form):
    assert pairs(write(tmp_path, name, content), Format(**form)) == GOOD


def test_white_space_of_fasttext_is_that_of_ascii(tmp_path):
    path = write(tmp_path, "a.txt", "__label__New\u00a0York\u2003city it is late\n")
    assert pairs(path) == [("it is late", "New\u00a0York\u2003city")]


def test_quotation_marks_in_tsv_are_text(tmp_path):
    path = write(tmp_path, "a.tsv", 'text\tlabel\n"so" he said\tx\n"\ty\n')
    assert pairs(path) == [('"so" he said', "x"), ('"', "y")]


def test_a_quoted_line_feed_keeps_the_line_numbers(tmp_path):
    path = write(tmp_path, "a.csv", 'text,label\n"two\nlines",x\nshort\n')
    with pytest.raises(UserError, match=r"a\.csv line 4: has 1 fields where 2"):
        find(str(path), Format())


def test_folders(tmp_path):
    write(tmp_path, "split/train.csv", "text,label\na b,x\nc,y\n")
    write(tmp_path, "split/dev.jsonl", '{"text": "d", "label": "x"}')
    corpus = find(str(tmp_path / "split"), Format())
    assert {k: len(v) for k, v in corpus.splits.items()} == {"train": 2, "val": 1}
    write(tmp_path, "classes/good/1.txt", "lovely\nfilm")
    write(tmp_path, "classes/bad/1.txt", "dull")
    assert pairs(tmp_path / "classes") == [("dull", "bad"), ("lovely\nfilm", "good")]
    write(tmp_path, "both/train/good/1.txt", "lovely")
    write(tmp_path, "both/test/good/1.txt", "nice")
    assert pairs(tmp_path / "both", split="test") == [("nice", "good")]


def test_a_file_named_test_is_the_test_split(tmp_path):
    path = write(tmp_path, "test.csv", "text,label\na,x\n")
    assert pairs(path, split="test") == [("a", "x")]


HEADER = "text,label\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "words,label\na,x\n", r"a\.csv: no text column among 'words', 'lab"),
        ("a.csv", "text,kind\na,x\n", r"no label column .* --label-column NAME"),
        ("a.csv", HEADER + "a,x\nb\n", r"a\.csv line 3: has 1 fields where 2 are"),
        ("a.csv", HEADER + "a,x,y\n", r"line 2: has 3 fields where 2 are expected"),
        ("a.csv", HEADER + "a,x\n ,x\n", r"line 3: the text is empty"),
        ("a.csv", HEADER + "a,\n", r"line 2: the label is empty"),
        ("a.csv", (HEADER + "a,x\nb\xff,x\n").encode("latin-1"),
         r"line 3: byte 0xff is not utf-8.*--encoding"),
        ("a.csv", (HEADER + "a,x\n").encode("utf-16"), "is in UTF-16: add --encoding"),
        ("a.csv", HEADER + '"a,x\nb,y\n', r"line 2: a quotation mark is not closed"),
        ("a.csv", HEADER + "a" * 1_000_001 + ",x\n", "line 2: the text is 1,000,001"),
        ("a.csv", "", "the train split holds no texts"),
        ("a.csv", HEADER, "the train split holds no texts"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text"\n', "line 2: is not JSON"),
        ("a.jsonl", "[" * 100_000 + "\n", "line 1: is not JSON"),
        ("a.jsonl", '{"words": "a", "label": "x"}\n',
         r"line 1: no text column among .*--text-column NAME \(or leave"),
        ("a.jsonl", "[1]\n", "line 1: is not a JSON object"),
        ("a.jsonl", '{"text": 3, "label": "x"}\n', "line 1: the text must be a str"),
        ("a.txt", "hello\n", "line 1: does not begin with __label__"),
        ("a.txt", "__label__a __label__b hi\n", "line 1: has several labels"),
        ("a.txt", "__label__a\t__label__b hi\n", "line 1: has several labels"),
        ("a.xlsx", "x", r"expected a \.csv"),
        ("empty/readme.md", "x", "holds no texts"),
        ("classes/x/readme.md", "x", r"the class 'x' has no \.txt files"),
        ("twice/train.csv", HEADER, None),
    ],
)  # fmt: skip
def test_bad_input(tmp_path, name, content, message):
    path = write(tmp_path, name, content)
    if message is None:
        write(tmp_path, "twice/train.tsv", HEADER)
        message = "train split more than once"
    source = tmp_path / name.split("/")[0] if "/" in name else path
    with pytest.raises(UserError, match=message):
        find(str(source), Format())


def test_missing_data_and_encoding(tmp_path):
    with pytest.raises(UserError, match="there is no such file or folder"):
        find(str(tmp_path / "none.csv"), Format())
    path = write(tmp_path, "a.csv", HEADER + "a,x\n")
    for name in ("klingon", "hex", "undefined"):
        with pytest.raises(UserError, match=f"encoding {name}: there is no such"):
            find(str(path), Format(encoding=name))
    write(tmp_path, "classes/x/1.txt", "a")
    with pytest.raises(UserError, match="encoding undefined: there is no such"):
        find(str(tmp_path / "classes"), Format(encoding="undefined"))
    with pytest.raises(UserError, match="there is no such file or folder"):
        find("x" * 300, Format())


def test_an_encoding_that_does_not_say_which_byte(tmp_path):
    path = write(tmp_path, "a.csv", HEADER + "xn--a!,x\n")
    with pytest.raises(UserError, match="line 2: it is not idna: if the file"):
        find(str(path), Format(encoding="idna"))


def test_a_number_of_a_column_is_written_in_decimal_digits(tmp_path):
    path = write(tmp_path, "a.csv", HEADER + "a,x\n")
    with pytest.raises(UserError, match="no column '²' among 'text', 'label'"):
        find(str(path), Format(text_column="²", label_column="³"))


def test_bad_rows_are_counted_when_asked(tmp_path):
    content = (HEADER + "a,x\nb\n,y\nc\xff,x\nd,y\n").encode("latin-1")
    corpus = find(str(write(tmp_path, "a.csv", content)), Format(skip_bad=True))
    assert [row.text for row in corpus.splits["train"]] == ["a", "d"]
    assert corpus.splits["train"][1].source.endswith("a.csv line 6")
    assert corpus.bad.count == 3
    assert "byte 0xff" in corpus.bad.first


def test_json_objects_without_a_text_are_bad_rows(tmp_path):
    lines = ({"text": "a", "label": "x"}, {"label": "x"}, {"text": "b"})
    content = "\n".join(map(json.dumps, lines)) + "\n" + "[" * 100_000
    corpus = find(str(write(tmp_path, "a.jsonl", content)), Format(skip_bad=True))
    assert [row.text for row in corpus.splits["train"]] == ["a"]
    assert corpus.bad.count == 3
    assert "line 2: no text column among 'label'" in corpus.bad.first


def test_split_is_stratified_seeded_and_keeps_duplicates_together():
    texts = [f"text {i}" for i in range(200)] + ["Twin  text", "twin TEXT"] * 5
    targets = [i % 4 for i in range(200)] + [3] * 10
    train, val = stratified_split(texts, targets, 0.1, 7)
    assert sorted([*train, *val]) == list(range(210))
    counts = [sum(targets[i] == c for i in val) for c in range(3)]
    assert counts == [5, 5, 5]
    assert duplicates([texts[i] for i in val], [texts[i] for i in train]) == 0
    again = stratified_split(texts, targets, 0.1, 7)
    assert (again[1] == val).all()
    assert (stratified_split(texts, targets, 0.1, 8)[1].tolist()) != val.tolist()


def test_a_class_with_one_text_stays_in_training():
    train, val = stratified_split(["a", "b", "c"], [0, 1, 1], 0.5, 0)
    assert 0 in train
    assert len(val) == 1


def test_texts_with_two_labels_stay_in_training():
    """Else a rare class, all of whose texts others have as well, may be gone."""
    texts = [f"t{i}" for i in range(10)] + ["T3", "t4", "t5"]
    targets = ["a"] * 10 + ["b", "b", "a"]
    for seed in range(50):
        train, val = stratified_split(texts, targets, 0.3, seed)
        assert {"t3", "T3", "t4"} <= {texts[i] for i in train}
        assert len(val) in (4, 5)


def test_a_split_stays_what_it_was():
    """Models are measured on the part of this very split that they never saw."""
    texts = [f"t{i % 17}" for i in range(20)] + [f"u{i}" for i in range(20)]
    val = stratified_split(texts, ["a"] * 20 + ["b"] * 20, 0.2, 3)[1]
    assert val.tolist() == [3, 10, 13, 16, 22, 27, 32, 37]


def test_default_data_is_real_and_clean():
    pytest.importorskip("chatterbot_corpus")
    rows = find(None, Format()).splits["train"]
    labels = {row.label for row in rows}
    assert {"english", "persian", "japanese", "ukrainian", "turkish"} <= labels
    assert len(labels) >= 20
    assert len(rows) > 10_000
    assert len({" ".join(r.text.casefold().split()) for r in rows}) == len(rows)


def test_json_keys_may_differ_in_case(tmp_path):
    path = write(tmp_path, "a.jsonl", json.dumps({"Text": "a", "Category": "x"}))
    assert pairs(path) == [("a", "x")]
