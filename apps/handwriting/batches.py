"""Training batches of ink."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from apps.core.batches import BucketedBatches
from apps.core.task import Split
from apps.handwriting.config import HandwritingConfig
from apps.handwriting.distort import Ranges, distort
from apps.handwriting.features import PenFeatures, count_steps, pad_points


@dataclasses.dataclass(frozen=True)
class InkSplit(Split):
    """Inks and their targets."""

    draw: Callable[[int], Split] | None = None
    """Where they are others in each epoch of a training: makes those of an epoch."""


class InkBatches(BucketedBatches):
    """Augmented points of inks of similar numbers of steps, with their targets.

    Args:
        split: Inputs [N, 4] and targets.
        encode: Makes of the targets an array with a row an example.
        features: The model's first layer: what it makes of an ink decides how many
            steps the network takes.
        key: Name of the model's output that the targets belong to, or None.
    """

    def __init__(
        self,
        split: Split,
        encode: Callable[[Sequence[Any]], np.ndarray],
        config: HandwritingConfig,
        features: PenFeatures,
        key: str | None = None,
    ):
        steps = count_steps(split.inputs, features).tolist()
        super().__init__(steps, config.batch_size, config.seed, config.buckets)
        self._encode, self._features = encode, features
        self._draw = split.draw if isinstance(split, InkSplit) else None
        self._drawn = 0
        self._drawing = threading.Lock()
        self._take(split)
        # Of a composed line it is the symbols that are drawn in another order.
        chance = 0.0 if config.compose else config.reorder
        self.ranges = Ranges(reorder=chance).scaled(config.augment)
        self.key = key

    def _take(self, split: Split) -> None:
        self.inputs = split.inputs
        self.targets = self._encode(split.targets)
        # Points are padded as well: to the most in their bucket or a shorter one,
        # and to another number in each bucket, by which Keras tells them apart.
        most = np.zeros(len(self.boundaries), int)
        np.maximum.at(most, self._bucket, [len(points) for points in split.inputs])
        most = np.maximum.accumulate(most) + np.arange(len(most))
        self._room = dict(zip(self.boundaries.tolist(), most.tolist(), strict=True))

    def permutation(self, rng: np.random.Generator) -> np.ndarray:
        with self._drawing:  # the first two batches are made at the same time
            if self._draw and self._drawn != self.epoch:
                split = self._draw(self.epoch)
                self.set_lengths(count_steps(split.inputs, self._features).tolist())
                self._take(split)
                self._drawn = self.epoch
        return super().permutation(rng)

    def make_batch(self, indices: np.ndarray, rng: np.random.Generator) -> Any:
        points = [distort(self.inputs[i], self.ranges, rng) for i in indices]
        batch = pad_points(points, self._room[self.padded_length(indices)])
        targets = self.targets[indices]
        return batch, ({self.key: targets} if self.key else targets)
