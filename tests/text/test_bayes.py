"""Naive Bayes in closed form, and the linear classifier that corrects it."""

import keras
import numpy as np
import pytest

from apps.core.task import Data, Split
from apps.text import bayes, linear
from apps.text.config import TextConfig
from apps.text.hashing import SLOTS
from apps.text.linear import LinearVotes
from apps.text.task import TextTask, encode

RNG = np.random.default_rng(0)
BUCKETS, CLASSES = 40, 3


@pytest.fixture(autouse=True)
def seeded():
    """The same numbers in every test, whichever ran before it in its process."""
    global RNG
    RNG = np.random.default_rng(0)
    keras.utils.set_random_seed(0)


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


def test_left_out_logits_are_those_of_the_other_texts():
    """With the weights that all texts chose, each text by the counts without it."""
    texts, targets = some_texts(60)
    texts = grouped(texts)
    chosen = np.arange(0, 60, 7)
    _, _, logits = bayes.naive_bayes(texts, targets, chosen, BUCKETS, CLASSES)
    rows, bias, every = bayes.naive_bayes(
        texts, targets, np.arange(60), BUCKETS, CLASSES
    )
    assert logits.shape == (len(chosen), CLASSES)
    with_itself = np.stack(
        [rows[t].sum((0, 1)) / np.sqrt((t > 0).sum()) + bias for t in texts]
    )
    own = np.arange(60), targets
    gain = bayes.softmax_loss(every, targets)[0].mean()
    gain -= bayes.softmax_loss(with_itself, targets)[0].mean()
    assert gain > 0.05  # its own counts speak for a text's class
    # Not of every text: without it, its class has also fewer other words.
    difference = every - with_itself
    assert (difference[own] < difference.mean(1)).mean() > 0.9


def test_correction_is_the_regularised_optimum():
    texts, targets = some_texts(80)
    matrix = linear.slot_matrix(texts, BUCKETS)
    known = RNG.normal(size=(80, CLASSES))
    weights = np.where(targets == 0, 3.0, 1.0)
    found = linear.correction(matrix, targets, known, weights)
    excess = bayes.softmax_loss(known + matrix @ found, targets)[1]
    excess[np.arange(80), targets] -= 1
    gradient = matrix.T @ (excess * (weights / weights.sum())[:, None])
    start = bayes.softmax_loss(known, targets)[1]
    start[np.arange(80), targets] -= 1
    first = matrix.T @ (start * (weights / weights.sum())[:, None])
    assert np.abs(gradient + linear.DECAY * found).max() < 0.02 * np.abs(first).max()


def test_linear_classifier_corrects_naive_bayes():
    """It learns what single counts cannot know, and padding adds nothing."""
    texts, targets = [], []
    for one, two in RNG.integers(0, 2, (200, 2)):  # the class: are the two alike?
        text = np.zeros((2, SLOTS), "int32")
        text[:, 0] = 1 + one, 3 + two
        text[1, 1] = 5 + 2 * one + two  # the pair
        texts.append(text)
        targets.append(int(one == two))
    texts[0] = np.pad(texts[0], ((0, 3), (0, 0)))
    layer = LinearVotes(BUCKETS, 2)
    layer.build((None, None, SLOTS))
    layer.fit(texts, targets)
    padded = np.zeros((200, 9, SLOTS), "int32")
    for row, text in enumerate(texts):
        padded[row, : len(text)] = text
    logits = keras.ops.convert_to_numpy(layer(padded))
    table, bias = np.asarray(layer.table.value), np.asarray(layer.bias.value)
    by_hand = linear.slot_matrix(texts, BUCKETS) @ table + bias
    np.testing.assert_allclose(logits, by_hand, atol=1e-5)
    rows, start, _ = bayes.naive_bayes(
        texts, np.array(targets), np.arange(200), BUCKETS, 2
    )
    before = linear.slot_matrix(texts, BUCKETS) @ rows + start
    loss = [
        bayes.softmax_loss(z, np.array(targets))[0].mean() for z in (before, logits)
    ]
    assert loss[1] < 0.8 * loss[0]
    assert (logits.argmax(1) == targets).all()


def test_long_corpora_are_fitted_on_a_part(monkeypatch):
    """All texts count; the correction takes those that its share of slots holds."""
    texts, targets = some_texts(50)
    seen = []
    monkeypatch.setattr(linear, "MOST_SLOTS", sum(t.size for t in texts) // 2)
    real = linear.slot_matrix
    monkeypatch.setattr(
        linear, "slot_matrix", lambda t, n: (seen.append(len(t)), real(t, n))[1]
    )
    layer = LinearVotes(BUCKETS, CLASSES)
    layer.build((None, None, SLOTS))
    layer.fit(texts, targets)
    assert 15 < seen[0] < 35


def test_model_knows_the_counts_before_training():
    """Untrained, the networks say next to nothing; the counts tell words apart."""
    texts = [encode(f"{w} thing {i}") for i in range(20) for w in ("good", "bad")]
    split = Split("train", texts, [0, 1] * 20, [""] * 40)
    task = TextTask(TextConfig(model="dense", features=997))
    model = task.build_model(Data(("good", "bad"), {"train": split}, {}))
    answers = [model(encode(text)[None]) for text in ("so good", "bad, really")]
    assert [int(np.argmax(answer)) for answer in answers] == [0, 1]
