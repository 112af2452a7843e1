"""Naive Bayes in closed form, and the linear classifier that starts from it."""

import keras
import numpy as np
import pytest

from apps.core.task import Data, Split
from apps.text import bayes
from apps.text.config import TextConfig
from apps.text.hashing import SLOTS
from apps.text.linear import LinearVotes
from apps.text.task import TextTask, encode

RNG = np.random.default_rng(0)
BUCKETS, CLASSES = 40, 3


def some_texts(count):
    targets = RNG.integers(0, CLASSES, count)
    texts = []
    for target in targets:
        ids = RNG.integers(0, BUCKETS + 1, (RNG.integers(1, 6), SLOTS))
        ids[:, 0] = np.where(RNG.random(len(ids)) < 0.7, 1 + target, ids[:, 0])
        texts.append(ids.astype("int32"))
    return texts, targets


def test_counts_leave_unused_slots_out():
    text = np.zeros((2, SLOTS), "int32")
    text[0, :3] = [5, 5, 7]
    counts = bayes.count([text, text[:1]], np.array([0, 2]), 8, 3)
    assert counts[5].tolist() == [2, 0, 2]
    assert counts[7].tolist() == [1, 0, 1]
    assert counts.sum() == 6


def test_leaving_one_out_is_counting_without_it():
    """The correction of one column against counting all other texts anew."""
    texts, targets = some_texts(12)
    counts = bayes.count(texts, targets, BUCKETS, CLASSES)
    found = bayes.leave_one_out(texts, targets, counts, 0.3)
    for index, text in enumerate(texts):
        others = [t for i, t in enumerate(texts) if i != index]
        rows = bayes.log_ratios(
            bayes.count(others, np.delete(targets, index), BUCKETS, CLASSES), 0.3
        )
        by_slot = rows[text].sum(0)
        expected = [by_slot[0], by_slot[1], by_slot[2:12].sum(0), by_slot[12:].sum(0)]
        # Evidence is only ever compared between classes.
        difference = found[index] - expected
        np.testing.assert_allclose(difference, difference[:, :1] @ np.ones((1, 3)))


def test_weights_minimise_the_cross_entropy():
    evidence = RNG.normal(size=(400, 2, CLASSES))
    logits = 1.5 * evidence[:, 0] - 0.5 * evidence[:, 1]
    targets = (logits + RNG.gumbel(size=logits.shape)).argmax(1)
    weights, loss = bayes.fit_weights(evidence, targets)
    assert weights == pytest.approx([1.5, -0.5], abs=0.25)

    def cross_entropy(w):
        scores = np.einsum("g,tgc->tc", w, evidence)
        own = scores[np.arange(400), targets]
        return np.mean(np.log(np.exp(scores).sum(1)) - own)

    assert loss == pytest.approx(cross_entropy(weights), abs=0.01)
    for step in ([0.1, 0], [-0.1, 0], [0, 0.1], [0, -0.1]):
        assert cross_entropy(weights + step) > cross_entropy(weights)


def grouped(texts):
    """Numbers of which every one belongs to one group of slots, as hashing has it."""
    starts = np.repeat([0, 10, 20, 30], bayes.SLOT_GROUPS)
    return [
        np.where(t > 0, 1 + (t - 1) % 10 + starts, 0).astype("int32") for t in texts
    ]


def test_linear_classifier_starts_as_naive_bayes():
    texts, targets = some_texts(300)
    texts = grouped(texts)
    layer = LinearVotes(BUCKETS, CLASSES)
    layer.build((None, None, SLOTS))
    layer.start(texts, targets)
    padded = np.zeros((300, 9, SLOTS), "int32")
    for row, text in enumerate(texts):
        padded[row, : len(text)] = text
    logits = keras.ops.convert_to_numpy(layer(padded))
    assert (logits.argmax(1) == targets).mean() > 0.6  # chance is a third
    rows, bias = bayes.naive_bayes(texts, targets, BUCKETS, CLASSES)
    one = rows[texts[0]].sum((0, 1)) / np.sqrt((texts[0] > 0).sum()) + bias
    np.testing.assert_allclose(logits[0], one, rtol=1e-3, atol=1e-4)
    alone = layer(texts[0][None])  # padding adds nothing
    np.testing.assert_allclose(alone, logits[:1], atol=1e-5)


def test_model_knows_the_counts_before_training():
    """Untrained, the networks say next to nothing; the counts tell words apart."""
    texts = [encode(f"{w} thing {i}") for i in range(20) for w in ("good", "bad")]
    split = Split("train", texts, [0, 1] * 20, [""] * 40)
    task = TextTask(TextConfig(model="dense", features=997))
    model = task.build_model(Data(("good", "bad"), {"train": split}, {}))
    answers = [model(encode(text)[None]) for text in ("so good", "bad, really")]
    assert [int(np.argmax(answer)) for answer in answers] == [0, 1]
