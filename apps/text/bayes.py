"""Naive Bayes: what the linear classifier corrects.

On few texts, counts know the worth of a word that gradients reach too rarely
(Wang & Manning 2012, "Baselines and bigrams", ACL).
"""

from collections.abc import Sequence

import numpy as np

from apps.text.hashing import POSITIONS, SLOTS

SMOOTHINGS = (0.1, 0.3, 1.0)
"""Added to every count (Lidstone); the texts decide which."""
SLOT_GROUPS = (1, 1, POSITIONS, POSITIONS)
"""Slots of a word that share a weight: its own, its pair's, its n-grams'."""
_LARGEST_SAMPLE = 3000
"""Texts that smoothing and weights are fitted on."""


def naive_bayes(
    texts: Sequence[np.ndarray],
    targets: np.ndarray,
    chosen: np.ndarray,
    features: int,
    classes: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A linear classifier in closed form, for `linear.LinearVotes`.

    Naive Bayes takes every slot for new evidence and is far too sure of itself.
    Five weights on its log probabilities (word, pair, the n-grams of either
    length, prior) put it right: those under which texts left out of the counts
    are likeliest, their evidence divided by the root of their length.

    Args:
        texts: int32 [words, SLOTS], one array a text.
        targets: Class index of each.
        chosen: Indices of the texts that are also classified.
        features: Largest number of a slot.
        classes: Number of classes.

    Returns:
        Weights float64 [features + 1, classes], bias float64 [classes], and logits
        float64 [chosen texts, classes] of each chosen text by the counts of all
        others.
    """
    counts = count(texts, targets, features, classes)
    own = np.bincount(targets, minlength=classes)
    prior = np.log((own + 1) / (len(targets) + classes))
    prior -= prior.mean()

    def evidence(indices: np.ndarray, smoothing: float) -> np.ndarray:
        sample = [texts[i] for i in indices]
        found = leave_one_out(sample, targets[indices], counts, smoothing)
        found /= np.sqrt([(text > 0).sum() for text in sample])[:, None, None]
        same = np.broadcast_to(prior, (len(sample), 1, classes))
        return np.concatenate([found, same], 1)

    sample = chosen[:_LARGEST_SAMPLE]
    fits = [fit_weights(evidence(sample, s), targets[sample]) for s in SMOOTHINGS]
    best = int(np.argmin([loss for _, loss in fits]))
    weights, smoothing = fits[best][0], SMOOTHINGS[best]
    by_slot = np.repeat(weights[:-1], SLOT_GROUPS)
    of_number = np.zeros(features + 1)
    for slot in range(SLOTS):  # a number is always of the same group
        of_number[np.concatenate([text[:, slot] for text in texts])] = by_slot[slot]
    rows = log_ratios(counts, smoothing) * of_number[:, None]
    logits = np.einsum("g,tgc->tc", weights, evidence(chosen, smoothing))
    return rows, weights[-1] * prior, logits


def count(
    texts: Sequence[np.ndarray], targets: np.ndarray, features: int, classes: int
) -> np.ndarray:
    """float64 [features + 1, classes]: slots of a number in the texts of a class."""
    ids = np.concatenate([text.ravel() for text in texts]).astype("int64")
    y = np.repeat(targets, [text.size for text in texts])
    size = (features + 1) * classes
    counts = np.bincount(ids * classes + y, minlength=size).astype("float64")
    counts = counts.reshape(features + 1, classes)
    counts[0] = 0
    return counts


def log_ratios(counts: np.ndarray, smoothing: float) -> np.ndarray:
    """Log probability of each number in each class, less its mean over the classes.

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
        losses, p = softmax_loss(logits, targets)
        return float(losses.mean() + ridge @ weights**2 / 2), p

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


def softmax_loss(
    logits: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cross-entropies [texts] and probabilities [texts, classes] of logits."""
    logits = logits - logits.max(1, keepdims=True)
    p = np.exp(logits)
    norm = p.sum(1, keepdims=True)
    return np.log(norm[:, 0]) - logits[np.arange(len(targets)), targets], p / norm
