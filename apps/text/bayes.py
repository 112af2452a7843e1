"""Naive Bayes beside the network: counts in closed form, one table in the file.

On a few thousand texts the counts of words and pairs know things that a network
has not seen often enough to learn; what they do not know, order above all, the
network learns. It is trained on what naive Bayes leaves to be said: the logits of
both are added in the loss. There the counts are those of all other texts, since a
text that counts itself gives its own label away (stacking: Wolpert 1992, Neural
Networks 5). Naive Bayes over words and pairs is the part of Wang & Manning 2012
("Baselines and bigrams", ACL) that needs no training.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from apps.text.hashing import POSITIONS, SLOTS

SMOOTHINGS = (0.1, 0.3, 1.0)
"""Added to every count (Lidstone); the texts decide which."""
SLOT_GROUPS = (1, 1, POSITIONS, POSITIONS)
"""Slots of a word that share a weight: its own, its pair's, its n-grams'."""
_LARGEST_SAMPLE = 3000
"""Texts that smoothing and weights are fitted on."""


@keras.saving.register_keras_serializable("seqcore.text")
class NaiveBayes(keras.layers.Layer):
    """Adds the log probabilities of naive Bayes to a network's logits.

    While training it passes the logits through: `ResidualCrossentropy` adds those
    of counts that leave the text out.

    Inputs: logits [batch, classes] and bucket numbers int32 [batch, words, slots],
    0 for a slot that is not in use. Output: logits [batch, classes].

    Args:
        buckets: Largest bucket number.
    """

    def __init__(self, buckets: int, **kwargs):
        super().__init__(**kwargs)
        self.buckets = buckets

    def build(self, input_shape: list[tuple]) -> None:
        classes = input_shape[0][-1]
        self.table = self.add_weight(
            name="log_ratios",
            shape=(self.buckets + 1, classes),
            initializer="zeros",
            trainable=False,
        )
        self.weights_of_slots = self.add_weight(
            name="slot_weights", shape=(SLOTS,), initializer="zeros", trainable=False
        )
        self.prior = self.add_weight(
            name="log_prior", shape=(classes,), initializer="zeros", trainable=False
        )

    def call(self, inputs, training=False):
        logits, ids = inputs
        if training:
            return logits
        # Row 0 is zero: what is padded or not in use adds nothing.
        votes = ops.sum(ops.take(self.table, ids, axis=0), axis=1)
        votes = ops.sum(votes * self.weights_of_slots[:, None], axis=1)
        return logits + votes + self.prior

    def compute_output_shape(self, input_shape: list[tuple]) -> tuple:
        return tuple(input_shape[0])

    def get_config(self) -> dict:
        return {**super().get_config(), "buckets": self.buckets}

    def adapt(self, texts: Sequence[np.ndarray], targets: Sequence[int]) -> np.ndarray:
        """Sets table, weights and prior from the training texts.

        Naive Bayes takes every slot for new evidence and is far too sure of
        itself. Five weights on its log probabilities (word, pair, the n-grams of
        either length, prior) make it an equal partner: those under which texts
        left out of the counts are likeliest.

        Args:
            texts: int32 [words, SLOTS], one array a text.
            targets: Class index of each.

        Returns:
            Logits float32 [texts, classes] of each text by the counts of the others.
        """
        classes = self.table.shape[1]
        y = np.asarray(targets)
        counts = count(texts, y, self.buckets, classes)
        prior = np.log((np.bincount(y, minlength=classes) + 1) / (len(y) + classes))
        prior -= prior.mean()
        chosen = np.random.default_rng(0).permutation(len(y))[:_LARGEST_SAMPLE]
        sample, own = [texts[i] for i in chosen], y[chosen]
        fits = []
        for smoothing in SMOOTHINGS:
            evidence = leave_one_out(sample, own, counts, smoothing)
            same = np.broadcast_to(prior, (len(own), 1, classes))
            fits.append(fit_weights(np.concatenate([evidence, same], 1), own))
        best = int(np.argmin([loss for _, loss in fits]))
        *weights, of_prior = fits[best][0]
        evidence = leave_one_out(texts, y, counts, SMOOTHINGS[best])
        logits = np.einsum("g,tgc->tc", weights, evidence) + of_prior * prior
        self.table.assign(log_ratios(counts, SMOOTHINGS[best]))
        self.weights_of_slots.assign(np.repeat(weights, SLOT_GROUPS))
        self.prior.assign(of_prior * prior)
        return logits.astype("float32")


@keras.saving.register_keras_serializable("seqcore.text")
class ResidualCrossentropy(keras.losses.Loss):
    """Cross-entropy of a network's logits plus given ones.

    Args:
        label_smoothing: Share of the target spread over all classes.

    Targets are [batch, 2 * classes]: the class, one-hot, then the given logits;
    predictions the network's probabilities [batch, classes].
    """

    def __init__(self, label_smoothing: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        classes = y_pred.shape[-1]
        target, given = y_true[:, :classes], y_true[:, classes:]
        smooth = self.label_smoothing
        target = target * (1.0 - smooth) + smooth / classes
        logits = ops.log(ops.maximum(y_pred, 1e-9)) + given
        return -ops.sum(target * ops.log_softmax(logits), axis=-1)

    def get_config(self) -> dict:
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def count(
    texts: Sequence[np.ndarray], targets: np.ndarray, buckets: int, classes: int
) -> np.ndarray:
    """float64 [buckets + 1, classes]: slots of a bucket in the texts of a class."""
    ids = np.concatenate([text.ravel() for text in texts]).astype("int64")
    y = np.repeat(targets, [text.size for text in texts])
    size = (buckets + 1) * classes
    counts = np.bincount(ids * classes + y, minlength=size).astype("float64")
    counts = counts.reshape(buckets + 1, classes)
    counts[0] = 0
    return counts


def log_ratios(counts: np.ndarray, smoothing: float) -> np.ndarray:
    """Log probability of each bucket in each class, less its mean over the classes.

    What all classes share is no evidence. Row 0, an unused slot, is zero.
    """
    smooth = counts + smoothing
    rows = np.log(smooth) - np.log(smooth[1:].sum(0))
    rows -= rows.mean(1, keepdims=True)
    rows[0] = 0
    return rows


def leave_one_out(
    texts: Sequence[np.ndarray],
    targets: np.ndarray,
    counts: np.ndarray,
    smoothing: float,
) -> np.ndarray:
    """Evidence float64 [texts, groups of slots, classes], a text's own counts left out.

    Leaving a text out changes only the column of its own class.
    """
    rows = log_ratios(counts, smoothing)
    total = (counts[1:] + smoothing).sum(0)
    starts = np.cumsum([0, *SLOT_GROUPS[:-1]])
    found = np.empty((len(texts), len(SLOT_GROUPS), counts.shape[1]))
    for index, (text, own) in enumerate(zip(texts, targets, strict=True)):
        ids, inverse, times = np.unique(text, return_inverse=True, return_counts=True)
        with_it = counts[ids, own]
        left = np.maximum(with_it - times, 0) + smoothing  # 0 for an unused slot
        length = int((text > 0).sum())
        change = np.log(left / (with_it + smoothing))
        change -= np.log((total[own] - length) / total[own])
        values = rows[ids]
        values[:, own] += np.where(ids > 0, change, 0.0)
        summed = values[inverse.reshape(text.shape)].sum(0)
        found[index] = np.add.reduceat(summed, starts, 0)
    return found


def fit_weights(
    evidence: np.ndarray, targets: np.ndarray, steps: int = 25
) -> tuple[np.ndarray, float]:
    """Weights of the groups for which softmax(weights @ evidence) fits best.

    Newton's method on the mean cross-entropy, which is convex.

    Args:
        evidence: float64 [texts, groups, classes].
        targets: Class index of each text.
        steps: Most steps.

    Returns:
        Weights [groups] and the mean cross-entropy.
    """
    texts, groups, _ = evidence.shape
    own = evidence[np.arange(texts), :, targets]
    # A little weight decay, for groups that tell the same.
    ridge = 1e-3 * np.mean(evidence**2, axis=(0, 2)) + 1e-9

    def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = np.einsum("g,tgc->tc", weights, evidence)
        logits -= logits.max(1, keepdims=True)
        likelihood = np.exp(logits)
        norm = likelihood.sum(1, keepdims=True)
        loss = np.mean(np.log(norm[:, 0]) - logits[np.arange(texts), targets])
        return float(loss + ridge @ weights**2 / 2), likelihood / norm

    weights = np.zeros(groups)
    loss, p = objective(weights)
    for _ in range(steps):
        mean = np.einsum("tc,tgc->tg", p, evidence)
        gradient = (mean - own).mean(0) + ridge * weights
        second = np.einsum("tc,tgc,thc->gh", p, evidence, evidence, optimize=True)
        hessian = (second - mean.T @ mean) / texts + np.diag(ridge)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-4:  # halved until it helps
            tried, tried_p = objective(weights - size * step)
            if tried < loss:
                break
            size /= 2
        else:
            break
        weights, gain, loss, p = weights - size * step, loss - tried, tried, tried_p
        if gain < 1e-7:
            break
    return weights, loss
