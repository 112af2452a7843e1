"""Batches that depend on (seed, epoch, index) alone, so that a run can resume."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np


class Batches(keras.utils.PyDataset):
    """Shuffled full batches of one split; subclasses make a batch of examples.

    Batch `i` of epoch `e` is a function of the seed, `e` and `i` alone: a run
    that was killed and resumed sees the batches an unbroken run sees. Only
    full batches are made (the rest of the permutation waits for another
    epoch), because under XLA every new shape compiles again.

    Args:
        count: Number of examples in the split.
        batch_size: Examples a batch; cut to `count` where that is smaller.
        seed: Any integer.
    """

    def __init__(self, count: int, batch_size: int, seed: int):
        # Threads prepare the next batches while the model computes. With one
        # worker Keras leaves that to tf.data, whose iterator takes up to five
        # seconds to be destroyed at the end of every epoch.
        super().__init__(workers=2, use_multiprocessing=False, max_queue_size=4)
        self.count = count
        self.batch_size = min(batch_size, count)
        self.seed = seed
        self.epoch = 0
        self._order: tuple[int, np.ndarray] | None = None

    def order(self) -> np.ndarray:
        """The permutation of this epoch, [count]."""
        if self._order is None or self._order[0] != self.epoch:
            rng = np.random.default_rng([self.seed, self.epoch])
            self._order = (self.epoch, self.permutation(rng))
        return self._order[1]

    def permutation(self, rng: np.random.Generator) -> np.ndarray:
        """The examples of one epoch in their order, [count].

        A subclass that draws some of its examples anew each epoch overrides it.
        """
        return rng.permutation(self.count)

    def __len__(self) -> int:
        return self.count // self.batch_size

    def __getitem__(self, index: int) -> Any:
        chosen = self.order()[index * self.batch_size : (index + 1) * self.batch_size]
        rng = np.random.default_rng([self.seed, self.epoch, index])
        return self.make_batch(chosen, rng)

    def make_batch(self, indices: np.ndarray, rng: np.random.Generator) -> Any:
        """Returns (inputs, targets) or (inputs, targets, sample_weights).

        Called on worker threads; must take all its randomness from `rng`.
        """
        raise NotImplementedError


class BucketedBatches(Batches):
    """Batches of examples of similar lengths, each padded to one of a few lengths.

    The promise of `Batches` holds: batch `i` of epoch `e` is a function of the
    seed, `e` and `i` alone, and there are as many batches. What is left of a
    bucket after its last full batch moves up to the next longer bucket.

    Args:
        lengths: Length of each example, in whatever unit it is padded in.
        batch_size: Examples a batch; cut to the number of examples.
        seed: Any integer.
        buckets: Most bucket lengths to use; 1 pads everything to the longest.
    """

    def __init__(
        self, lengths: Sequence[int], batch_size: int, seed: int, buckets: int = 4
    ):
        super().__init__(len(lengths), batch_size, seed)
        self.buckets = buckets
        self.set_lengths(lengths)
        self._planned: tuple[int, np.ndarray] | None = None

    def set_lengths(self, lengths: Sequence[int]) -> None:
        """For a subclass whose examples are others in each epoch; their number stays.

        To be called from `permutation`.
        """
        self.lengths = np.asarray(lengths, int)
        self.boundaries = bucket_boundaries(lengths, self.buckets)
        self._bucket = np.searchsorted(self.boundaries, self.lengths)

    def order(self) -> np.ndarray:
        """The permutation of this epoch, [len(self) * batch_size], by batches."""
        if self._planned is None or self._planned[0] != self.epoch:
            # What no full batch is made of is left out before sorting into
            # buckets, or it would always be the longest examples.
            kept = super().order()[: len(self) * self.batch_size]
            by_bucket = kept[np.argsort(self._bucket[kept], kind="stable")]
            batches = by_bucket.reshape(len(self), self.batch_size)
            rng = np.random.default_rng([self.seed, self.epoch, 1])
            batches = rng.permutation(batches)
            self._two_lengths_first(batches)
            self._planned = (self.epoch, batches.reshape(-1))
        return self._planned[1]

    def _two_lengths_first(self, batches: np.ndarray) -> None:
        """Brings a batch of another length to the second place.

        Keras takes the shapes of the first two batches for those of all: it
        must see that they differ.
        """
        padded = self._bucket[batches].max(1)
        other = np.flatnonzero(padded != padded[0])
        if len(other):
            batches[[1, other[0]]] = batches[[other[0], 1]]

    def padded_length(self, indices: np.ndarray) -> int:
        """The length that a batch of these examples is padded to."""
        return int(self.boundaries[self._bucket[indices].max()])


def bucket_boundaries(lengths: Sequence[int], count: int) -> np.ndarray:
    """The (at most) `count` lengths to pad to that leave the least padding.

    Every example is padded to the first boundary that is not below its length;
    the sum of the padded lengths is the smallest possible (found by dynamic
    programming over the lengths that occur). The last is the longest length.
    """
    values, counts = np.unique(np.asarray(lengths, int), return_counts=True)
    if len(values) > _MOST_LENGTHS:  # neighbours share a boundary
        step = -(-len(values) // _MOST_LENGTHS)
        groups = np.arange(len(values)) // step
        counts = np.bincount(groups, counts).astype(int)
        values = np.maximum.reduceat(values, np.arange(0, len(values), step))
    total = np.concatenate([[0], np.cumsum(counts)])
    # cost[j]: padded length of the values below j, in the buckets so far.
    cost = np.concatenate([[0.0], np.full(len(values), np.inf)])
    choices = []
    for _ in range(min(count, len(values))):
        # A last bucket holding values i..j-1 pads them to values[j - 1].
        last = (total[None, 1:] - total[:-1, None]) * values[None, :]
        sums = np.where(last > 0, cost[:-1, None] + last, np.inf)
        choices.append(sums.argmin(0))
        cost = np.concatenate([[np.inf], sums.min(0)])
    boundaries, j = [], len(values)
    for choice in reversed(choices):
        boundaries.append(values[j - 1])
        j = int(choice[j - 1])
        if j == 0:
            break
    return np.array(boundaries[::-1])


_MOST_LENGTHS = 256


def one_hot(indices: Sequence[int] | np.ndarray, count: int) -> np.ndarray:
    """float32 [len(indices), count]."""
    return np.eye(count, dtype="float32")[np.asarray(indices)]


def padded_batches(
    inputs: Sequence[np.ndarray], batch_size: int
) -> Iterator[tuple[list[int], np.ndarray]]:
    """Batches for evaluation: (indices of the examples, stacked inputs).

    Examples of one shape go together, and a short batch is filled up by
    repeating its last example, so that each shape compiles once. Rows past
    `len(indices)` are that filling.
    """
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for index, value in enumerate(inputs):
        by_shape.setdefault(np.shape(value), []).append(index)
    for indices in by_shape.values():
        size = min(batch_size, len(indices))
        for start in range(0, len(indices), size):
            chosen = indices[start : start + size]
            filled = chosen + [chosen[-1]] * (size - len(chosen))
            yield chosen, np.stack([inputs[i] for i in filled])
