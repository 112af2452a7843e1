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
        # One worker thread prepares the next batch while the model computes.
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=4)
        self.count = count
        self.batch_size = min(batch_size, count)
        self.seed = seed
        self.epoch = 0
        self._order: tuple[int, np.ndarray] | None = None

    def order(self) -> np.ndarray:
        """The permutation of this epoch, [count]."""
        if self._order is None or self._order[0] != self.epoch:
            rng = np.random.default_rng([self.seed, self.epoch])
            self._order = (self.epoch, rng.permutation(self.count))
        return self._order[1]

    def __len__(self) -> int:
        return self.count // self.batch_size

    def __getitem__(self, index: int) -> Any:
        chosen = self.order()[index * self.batch_size : (index + 1) * self.batch_size]
        rng = np.random.default_rng([self.seed, self.epoch, index])
        return self.make_batch(chosen, rng)

    def make_batch(self, indices: np.ndarray, rng: np.random.Generator) -> Any:
        """Returns (inputs, targets) or (inputs, targets, sample_weights).

        Called on a worker thread; must take all its randomness from `rng`.
        """
        raise NotImplementedError


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
