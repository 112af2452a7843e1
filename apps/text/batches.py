"""Training batches: numbers of words, some dropped, padded by length."""

from collections.abc import Sequence

import numpy as np

from apps.core.batches import BucketedBatches, one_hot
from apps.text.config import TextConfig
from apps.text.hashing import SLOTS


def padded(texts: Sequence[np.ndarray], length: int) -> np.ndarray:
    """int32 [len(texts), length, SLOTS]: hashed texts, zeros behind."""
    found = np.zeros((len(texts), length, SLOTS), "int32")
    for row, words in enumerate(texts):
        found[row, : len(words)] = words
    return found


class WordBatches(BucketedBatches):
    """Batches of hashed texts and their classes, with word and slot dropout.

    Args:
        texts: int32 [words, SLOTS], one array a text, from `WordHash`.
        targets: Class index of each text.
        weights: Weight of each class in the loss, or None.
        classes: Number of classes.
        config: Batch size, seed, dropout rates, number of length buckets.
    """

    def __init__(
        self,
        texts: Sequence[np.ndarray],
        targets: Sequence[int],
        weights: np.ndarray | None,
        classes: int,
        config: TextConfig,
    ):
        lengths = [len(text) for text in texts]
        super().__init__(lengths, config.batch_size, config.seed, config.buckets)
        self.texts = texts
        self.targets = np.asarray(targets)
        self.weights = weights
        self.classes = classes
        self.config = config

    def make_batch(self, indices: np.ndarray, rng: np.random.Generator):
        config = self.config
        chosen = [self._dropped(self.texts[i], rng) for i in indices]
        ids = padded(chosen, self.padded_length(indices))
        if config.slot_dropout:
            parts = ids[:, :, 1:]
            parts[rng.random(parts.shape, "float32") < config.slot_dropout] = 0
        targets = self.targets[indices]
        batch = ids, one_hot(targets, self.classes)
        return batch if self.weights is None else (*batch, self.weights[targets])

    def _dropped(self, text: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The text without some of its words (the end mark stays)."""
        if not self.config.word_dropout:
            return text
        keep = rng.random(len(text)) >= self.config.word_dropout
        keep[-1] = True
        return text[keep]


def class_weights(targets: Sequence[int], classes: int) -> np.ndarray:
    """float32 [classes]: inverse to the square root of how often a class occurs.

    Scaled so that the mean weight of an example is 1. The square root is the
    usual middle way: full balancing lets the rarest classes overfit.
    """
    counts = np.maximum(np.bincount(targets, minlength=classes), 1)
    weights = counts**-0.5
    return (weights * counts.sum() / (weights * counts).sum()).astype("float32")
