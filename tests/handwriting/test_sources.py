"""Splits by writer, composed lines, and batches of similar lengths."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from apps.core.errors import UserError
from apps.core.task import Split
from apps.handwriting import sources
from apps.handwriting.batches import InkBatches, InkSplit
from apps.handwriting.config import CONFIGS
from apps.handwriting.features import PenFeatures, count_steps
from apps.handwriting.ink import Ink
from apps.handwriting.readers import Record
from apps.handwriting.readers.json_ink import to_json
from apps.handwriting.splits import divide
from apps.handwriting.words import WORDS, split_words

CONFIG = dataclasses.replace(CONFIGS["words"], synthetic_size=24)


def record(text, writer, seed=0):
    xy = np.random.default_rng(seed).uniform(0, 10, (6, 2)).cumsum(0)
    return Record(Ink((xy,)), text, f"{writer}-{seed}", writer)


def by_writers(count):
    return [record("ab"[i % 2], str(i % count + 1), i) for i in range(4 * count)]


def writers(records):
    return sorted({int(r.writer) for r in records})


@pytest.mark.parametrize(
    ("count", "held"), [(30, [26, 27, 28, 29, 30]), (15, [13, 14, 15]), (2, [2])]
)
def test_last_writers_validate(count, held):
    found = divide(by_writers(count), "x")
    assert writers(found["val"]) == held
    assert writers(found["train"]) == [w for w in range(1, count + 1) if w not in held]


def test_named_writers_validate():
    found = divide(by_writers(5), "x", "2, 4")
    assert writers(found["val"]) == [2, 4]
    assert len(divide(by_writers(5), "x", "all")["val"]) == 20
    with pytest.raises(UserError, match="'9' wrote nothing"):
        divide(by_writers(5), "x", "9")


def test_without_writers_every_seventh_validates():
    anonymous = [dataclasses.replace(r, writer=None) for r in by_writers(7)]
    found = divide(anonymous, "x")
    assert [len(found["train"]), len(found["val"])] == [24, 4]


def test_records_without_a_writer_are_divided_one_by_one():
    named = by_writers(11)
    loose = [dataclasses.replace(record("a", "", i), writer=None) for i in range(9)]
    found = divide([*named[:20], *loose, *named[20:]], "x")
    assert writers(r for r in found["val"] if r.writer) == [10, 11]
    assert writers(r for r in found["train"] if r.writer) == list(range(1, 10))
    assert [r for r in found["val"] if not r.writer] == [loose[0], loose[7]]
    assert len(found["train"] + found["val"]) == len(named + loose)
    # Who validates is said by name: nobody else does.
    found = divide([*named, *loose], "x", "2")
    assert {r.writer for r in found["val"]} == {"2"}


def write_split(folder, name, text="a"):
    lines = [to_json(record(text, "1", i)) for i in range(3)]
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(lines))


def test_transcripts_beside_the_ink_are_no_split(tmp_path):
    write_split(tmp_path / "both", "train.jsonl")
    write_split(tmp_path / "both", "val.jsonl", "b")
    write_split(tmp_path / "one", "ink.jsonl")
    for folder in ("both", "one"):
        for name in ("train.txt", "val.txt"):
            (tmp_path / folder / name).write_text("a\na\n")
        (tmp_path / folder / "test.md").write_text("[a](b)")
    found = sources.load(str(tmp_path / "both"), ("train", "val"), CONFIG)
    assert [r.text for r in found["val"]] == ["b"] * 3
    found = sources.load(str(tmp_path / "one"), ("train", "val"), CONFIG)
    assert {name: len(records) for name, records in found.items()} == {
        "train": 2,
        "val": 1,
    }


def test_a_damaged_split_is_not_passed_over(tmp_path):
    write_split(tmp_path, "train.jsonl")
    (tmp_path / "val.jsonl").write_text("garbage")
    with pytest.raises(UserError, match=r"val\.jsonl: is no ink"):
        sources.load(str(tmp_path), ("train", "val"), CONFIG)


def test_two_files_of_one_split_are_refused(tmp_path):
    for name in ("train.jsonl", "val.json", "val.jsonl"):
        write_split(tmp_path, name)
    with pytest.raises(UserError, match=r"val\.json and val\.jsonl are both its val"):
        sources.load(str(tmp_path), ("train",), CONFIG)


def test_named_writers_and_split_files_exclude_each_other(tmp_path):
    for name in ("train.jsonl", "val.jsonl"):
        write_split(tmp_path, name)
    config = dataclasses.replace(CONFIG, val_writers="1")
    with pytest.raises(UserError, match=r"val_writers=1: .*train\.jsonl, val\.jsonl"):
        sources.load(str(tmp_path), ("train", "val"), config)


def test_split_files_are_followed(tmp_path):
    for name, text in (("train", "a"), ("val", "b"), ("test", "c")):
        write_split(tmp_path, f"{name}.jsonl", text)
    found = sources.load(str(tmp_path), ("train", "test"), CONFIG)
    assert {r.text for r in found["train"]} == {"a"}
    assert {r.text for r in found["test"]} == {"c"}


def test_unlabelled_record_is_an_error_or_left_out(tmp_path):
    path = tmp_path / "ink.jsonl"
    records = [record("a", str(i), i) for i in range(8)]
    records[3] = dataclasses.replace(records[3], text=None)
    path.write_text("\n".join(map(to_json, records)))
    with pytest.raises(UserError, match="line 4: has no transcript"):
        sources.load(str(path), ("train",), CONFIG)
    lenient = dataclasses.replace(CONFIG, skip_bad=True)
    assert len(sources.load(str(path), ("train", "val"), lenient)["train"]) == 6


def test_composed_lines_are_one_writers_symbols_in_order():
    symbols = by_writers(3)
    lines = sources.compose(symbols, (2, 4), 30, [0])
    assert {len(r.text) for r in lines} == {2, 3, 4}
    for line in lines:
        own = [r for r in symbols if r.writer == line.writer]
        assert len(line.ink.strokes) == len(line.text)
        for stroke, character in zip(line.ink.strokes, line.text, strict=True):
            same = [r for r in own if r.text == character]
            shape = stroke - stroke[0]
            assert any(
                np.allclose(shape, r.ink.strokes[0] - r.ink.strokes[0][0]) for r in same
            )
    again = sources.compose(symbols, (2, 4), 30, [0])
    assert [r.text for r in again] == [r.text for r in lines]
    with pytest.raises(UserError, match="'ab' is not one character"):
        sources.compose([record("ab", "1")], (2, 4), 3, [0])


def test_synthetic_splits_share_neither_words_nor_hands():
    train, val = split_words(list(WORDS))
    assert not set(train) & set(val)
    assert len(val) == len(train + val) // 10
    found = sources.load(None, ("train", "val"), CONFIG)
    assert len(found["train"]) == 24
    learned = {r.text for r in found["train"]} & set(WORDS)
    assert len(learned) >= 8
    assert not learned & {r.text for r in found["val"]}
    with pytest.raises(UserError, match="no test split"):
        sources.synthetic("test", CONFIG)


def test_too_few_words_to_hold_any_back():
    assert split_words(["yes", "no"]) == (["no", "yes"], ["no", "yes"])


def inks_of_many_lengths():
    rng = np.random.default_rng(0)
    points = []
    for count in rng.integers(3, 120, 96):
        xy = rng.normal(0, 1, (count, 2)).cumsum(0)
        points.append(np.c_[xy, np.zeros(count), np.arange(count) == count - 1])
    return [p.astype("float32") for p in points]


@pytest.mark.parametrize("resample", [0.0, 0.5])
def test_batches_hold_inks_of_similar_length(resample):
    inputs = inks_of_many_lengths()
    config = dataclasses.replace(CONFIG, batch_size=8, augment=0.5)
    split = Split("train", inputs, range(96), [""] * 96)
    features = PenFeatures("spread", resample)

    def work(buckets):
        chosen = dataclasses.replace(config, buckets=buckets)
        batches = InkBatches(split, np.array, chosen, features, "scores")
        done, seen, shapes = 0, [], []
        for index in range(len(batches)):
            points, answer = batches[index]
            seen += answer["scores"].tolist()
            shapes.append(points.shape)
            lengths = count_steps([inputs[i] for i in answer["scores"]], features)
            done += len(lengths) * lengths.max()
        assert sorted(seen) == list(range(96))
        return done, shapes

    bucketed, shapes = work(4)
    together, _ = work(1)
    assert bucketed < 0.8 * together
    assert shapes[0] != shapes[1]


def test_batches_are_a_function_of_seed_epoch_and_index():
    inputs = inks_of_many_lengths()
    config = dataclasses.replace(CONFIG, batch_size=8)
    split = Split("train", inputs, range(96), [""] * 96)

    def batch(epoch, index):
        found = InkBatches(split, np.array, config, PenFeatures("box", 0.1))
        found.epoch = epoch
        return found[index]

    for one, other in zip(batch(3, 2), batch(3, 2), strict=True):
        np.testing.assert_array_equal(one, other)
    assert batch(3, 2)[1].tolist() != batch(4, 2)[1].tolist()


def test_inks_that_are_drawn_anew_are_a_function_of_the_epoch():
    inputs = inks_of_many_lengths()
    config = dataclasses.replace(CONFIG, batch_size=8, augment=0.0)

    def draw(epoch):  # others, of other lengths
        shown = [*inputs[epoch:], *inputs[:epoch]]
        return InkSplit("train", shown, [epoch] * 96, [""] * 96, draw)

    def batches(*epochs):
        found = InkBatches(draw(0), np.array, config, PenFeatures("box", 0.1))
        for epoch in epochs:
            found.epoch = epoch
            rows = [found[index] for index in range(len(found))]
        return rows

    for (one, own), (other, same) in zip(batches(2), batches(0, 5, 2), strict=True):
        np.testing.assert_array_equal(one, other)
        assert own.tolist() == same.tolist() == [2] * 8


def test_lines_for_training_are_composed_anew_with_the_symbols_of_other_hands(tmp_path):
    path = tmp_path / "ink.jsonl"
    path.write_text("\n".join(map(to_json, by_writers(11))))
    config = dataclasses.replace(
        CONFIGS["strings"], hands=2, composed_size=26, fonts="school"
    )
    found = sources.load(str(path), ("train", "val"), config)
    train = found["train"]
    people = {str(w) for w in range(1, 10)}
    assert {r.writer for r in train} == people | {"hand 0", "hand 1"}
    assert {r.writer for r in found["val"]} == {"10", "11"}
    assert set("".join(r.text for r in train)) == {"a", "b"}

    def drawn(epoch, writer):
        lines = [r for r in train.draw(epoch) if r.writer == writer]
        return [r.ink.points().tolist() for r in lines]

    for writer in ("1", "hand 0"):
        assert drawn(0, writer) == [r.ink.points().tolist() for r in train
                                    if r.writer == writer]  # fmt: skip
        assert drawn(1, writer) == drawn(1, writer) != drawn(0, writer)
    path.write_text("\n".join(to_json(record("A", str(w), w)) for w in range(11)))
    with pytest.raises(UserError, match=r"no .A.*hands=0"):
        sources.load(str(path), ("train",), config)


def test_iam_ondb_in_the_official_layout_follows_its_own_lists():
    folder = Path(__file__).parents[2] / "datasets" / "iam_ondb" / "dummy_data"
    found = sources.load(str(folder), ("train", "val"), CONFIG)
    assert [r.text for r in found["train"]] == ["A MOVE to", "stop Mr."]
    assert [(r.text, r.writer) for r in found["val"]] == [("by Trevor", "10103")]
    with pytest.raises(UserError, match="has no test split"):
        sources.load(str(folder), ("test",), CONFIG)
