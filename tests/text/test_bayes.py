"""Naive Bayes in closed form, and the loss that trains a network beside it."""

import keras
import numpy as np
import pytest

from apps.text import bayes
from apps.text import model as models
from apps.text.config import TextConfig
from apps.text.hashing import SLOTS
from apps.text.task import encode

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


def test_layer_speaks_at_inference_only():
    texts, targets = some_texts(300)
    layer = bayes.NaiveBayes(BUCKETS)
    ids = np.stack([np.resize(text, (5, SLOTS)) for text in texts])
    logits = np.zeros((300, CLASSES), "float32")
    layer([logits, ids])
    given = layer.adapt(texts, targets)
    assert given.shape == (300, CLASSES)
    np.testing.assert_array_equal(layer([logits, ids], training=True), logits)
    assert (given.argmax(1) == targets).mean() > 0.6  # chance is a third
    padded = np.zeros((2, 9, SLOTS), "int32")
    padded[0, : len(texts[0])] = texts[0]
    alone = layer([logits[:1], texts[0][None]])
    np.testing.assert_allclose(layer([logits[:2], padded])[:1], alone, atol=1e-5)
    assert layer.trainable_weights == []


def test_loss_adds_the_given_logits():
    network = RNG.normal(size=(6, CLASSES)).astype("float32")
    given = RNG.normal(size=(6, CLASSES)).astype("float32")
    target = np.eye(CLASSES, dtype="float32")[[0, 1, 2, 0, 1, 2]]
    loss = bayes.ResidualCrossentropy(0.1)
    found = loss(np.hstack([target, given]), keras.ops.softmax(network))
    reference = keras.losses.CategoricalCrossentropy(True, label_smoothing=0.1)
    assert float(found) == pytest.approx(
        float(reference(target, network + given)), 1e-4
    )
    again = bayes.ResidualCrossentropy.from_config(loss.get_config())
    assert again.label_smoothing == 0.1


def test_model_learns_from_counts_alone():
    """Untrained, the network says next to nothing; the counts tell the words apart."""
    texts = [f"{word} thing {i}" for i in range(20) for word in ("good", "bad")]
    config = TextConfig(model="dense", word_buckets=997, ngram_buckets=997)
    model = models.build(config, 2)
    hashed = model.get_layer("words").many([encode(text) for text in texts])
    layer = model.get_layer("classifier").get_layer("naive_bayes")
    layer.adapt(hashed, [0, 1] * 20)
    answers = [model(encode(text)[None]) for text in ("so good", "bad, really")]
    assert [int(np.argmax(answer)) for answer in answers] == [0, 1]


@pytest.mark.parametrize("classes", [2, 7, 20, 77, 150])
def test_open_sizes_fit_the_file(classes):
    words, ngrams, embedding = models.sizes(TextConfig(), classes)
    weights = (words + ngrams + 1) * (embedding + classes)
    assert 600_000 < weights <= 1.001 * models.TABLE_WEIGHTS
    assert words % 2 and ngrams % 2
    fixed = TextConfig(word_buckets=5, ngram_buckets=6, embedding=7)
    assert models.sizes(fixed, classes) == (5, 6, 7)
