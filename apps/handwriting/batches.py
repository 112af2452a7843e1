"""Training batches of ink."""

from __future__ import annotations

from typing import Any

import numpy as np

from apps.core.batches import BucketedBatches
from apps.core.task import Split
from apps.handwriting.config import HandwritingConfig
from apps.handwriting.distort import Ranges, distort
from apps.handwriting.features import PenFeatures, count_steps, pad_points


class InkBatches(BucketedBatches):
    """Augmented points of inks of similar numbers of steps, with their targets.

    Args:
        split: Inputs [N, 4] and the rows of `targets`.
        targets: An array with a row an example.
        features: The model's first layer: what it makes of an ink decides how many
            steps the network takes.
        key: Name of the model's output that the targets belong to, or None.
    """

    def __init__(
        self,
        split: Split,
        targets: np.ndarray,
        config: HandwritingConfig,
        features: PenFeatures,
        key: str | None = None,
    ):
        steps = count_steps(split.inputs, features)
        super().__init__(steps.tolist(), config.batch_size, config.seed, config.buckets)
        self.inputs = split.inputs
        self.targets = targets
        # Of a composed line it is the symbols that are drawn in another order.
        chance = 0.0 if config.compose else config.reorder
        self.ranges = Ranges(reorder=chance).scaled(config.augment)
        self.key = key
        # Points are padded as well: to the most in their bucket or a shorter one,
        # and to another number in each bucket, by which Keras tells them apart.
        bucket = np.searchsorted(self.boundaries, steps)
        most = np.zeros(len(self.boundaries), int)
        np.maximum.at(most, bucket, [len(points) for points in split.inputs])
        most = np.maximum.accumulate(most) + np.arange(len(most))
        self._room = dict(zip(self.boundaries.tolist(), most.tolist(), strict=True))

    def make_batch(self, indices: np.ndarray, rng: np.random.Generator) -> Any:
        points = [distort(self.inputs[i], self.ranges, rng) for i in indices]
        batch = pad_points(points, self._room[self.padded_length(indices)])
        targets = self.targets[indices]
        return batch, ({self.key: targets} if self.key else targets)
