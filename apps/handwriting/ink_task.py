"""What the two tasks share: data in, padding for evaluation, drawings."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from apps.core.errors import UserError
from apps.core.task import Data, Split, Task
from apps.handwriting import drawing, readers, sources
from apps.handwriting.batches import InkSplit
from apps.handwriting.compose import Redrawn
from apps.handwriting.config import HandwritingConfig
from apps.handwriting.features import PenFeatures, pad_points
from apps.handwriting.ink import Ink
from apps.handwriting.pictures import LinePicture
from apps.handwriting.readers import Record

_MOST_PADDED_POINTS = 40_000
"""Points of a batch for evaluation, padding included: keeps memory bounded."""
DRAWN = 12
"""Wrong answers that a report shows."""


class InkTask(Task[HandwritingConfig]):
    """A task whose inputs are pen points [N, 4]."""

    app = "handwriting"
    input_description = (
        "float32 [1, N, 4]: N pen points of x (to the right), y (down), t (seconds, "
        "not used) and pen (1 at a stroke's last point, else 0; -1 in points that only "
        "fill up and stand behind the ink), any unit of length"
    )
    # The features' sums and quotients need the range of floats. "dynamic" stores
    # the network's weights as int8 all the same.
    quantizations = ("none", "float16", "dynamic")

    def load(
        self,
        source: str | None,
        splits: Sequence[str],
        labels: Sequence[str] | None = None,
    ) -> Data:
        records = sources.load(source, splits, self.config)
        if labels is None:
            labels = self.labels_of(records)
        known = {label: index for index, label in enumerate(labels)}
        found: dict[str, Split] = {}
        description: dict[str, Any] = {**sources.describe(source, self.config)}
        for name, chosen in records.items():
            found[name] = split = self._split(name, chosen, known)
            if not len(split):
                raise UserError(f"{source}: the {name} split has no known label")
            if left_out := len(chosen) - len(split):
                description[f"{name} records of unknown labels, left out"] = left_out
                print(
                    f"{name}: left out {left_out} of {len(chosen)} records, whose "
                    "labels the model does not know",
                    file=sys.stderr,
                )
        return Data(tuple(labels), found, description)

    def _split(
        self, name: str, records: Sequence[Record], known: dict[str, int]
    ) -> InkSplit:
        targets, kept = [], []
        for record in records:
            try:
                targets.append(self.target(record, known))
                kept.append(record)
            except UserError:
                if not self.config.skip_bad:
                    raise
        draw = None
        if isinstance(records, Redrawn):
            make = records.draw

            def draw(epoch: int) -> InkSplit:
                return self._split(name, make(epoch), known)

        inputs = [r.ink.points() for r in kept]
        return InkSplit(name, inputs, targets, [r.source for r in kept], draw)

    def labels_of(self, records: Mapping[str, Sequence[Record]]) -> Sequence[str]:
        """The labels, in order, that the records of each split define."""
        raise NotImplementedError

    def target(self, record: Record, known: dict[str, int]) -> Any:
        """The target of a record.

        Raises:
            UserError: a label that is not known.
        """
        raise NotImplementedError

    def read(self, path: str) -> list[tuple[str, np.ndarray]]:
        records, _ = readers.collect(path, self.config.skip_bad)
        return [(r.source, r.ink.points()) for r in records]

    def fixed_shape(self, model: keras.Model) -> tuple[int, ...] | None:
        length = self.config.length
        if not length:
            return None
        for layer in model.layers:
            if isinstance(layer, PenFeatures) and layer.resample:
                layer.steps = length
            if isinstance(layer, LinePicture):
                layer.columns = length
        return (1, length, 4)

    def probe_inputs(self) -> list[np.ndarray]:
        # Random points are no ink: their steps are far more than any writing has.
        turns = np.linspace(0, 6, 80)
        wave = np.stack([60 * turns, 30 * np.sin(4 * turns)], 1)
        inks = [Ink((wave, turns[:9, None] * [9, 40])), Ink((wave,))]
        points = [ink.points() for ink in inks]
        if length := self.config.length:
            return list(pad_points([x[:length] for x in points], length))
        return points

    def _room(self, inputs: Sequence[np.ndarray]) -> int | None:
        """Points that a batch is filled up to: None for those of its longest ink.

        Raises:
            UserError: more points than the model takes.
        """
        longest = max(len(points) for points in inputs)
        if self.config.length and longest > self.config.length:
            raise UserError(
                f"an ink has {longest} points: this file takes {self.config.length} "
                "at most (see export --length)"
            )
        return self.config.length or None

    def outputs(self, model: Any, split: Split) -> list[np.ndarray]:
        order = np.argsort([len(points) for points in split.inputs], kind="stable")
        largest = min(getattr(model, "batch_size", self.config.batch_size), len(order))
        found: dict[int, np.ndarray] = {}
        start = 0
        while start < len(order):
            size = largest
            # From short to long: the last of a batch is the longest.
            while size > 1 and size * self._longest(split, order, start, size) > (
                _MOST_PADDED_POINTS
            ):
                size //= 2
            chosen = order[start : start + size]
            # A short batch is filled up: every new shape compiles anew.
            filled = [split.inputs[i] for i in np.resize(chosen, size)]
            rows = model.predict_on_batch(pad_points(filled, self._room(filled)))
            for row, index in enumerate(chosen):
                found[int(index)] = self.row(rows, row)
            start += len(chosen)
        return [found[index] for index in range(len(order))]

    def _longest(self, split: Split, order, start: int, size: int) -> int:
        return len(split.inputs[order[start : start + size][-1]])

    def row(self, outputs: Any, row: int) -> np.ndarray:
        """One example's part of a batch of outputs."""
        return np.asarray(outputs)[row]

    def draw_worst(
        self, split: Split, chosen: Sequence[int], titles: Sequence[str], folder: Path
    ) -> list[str]:
        """Report lines with a picture of the chosen examples."""
        if not chosen:
            return ["", "No example is wrong."]
        inks = [Ink.from_points(split.inputs[i]) for i in chosen]
        drawing.png(inks, titles, folder / "worst.png", columns=3)
        return ["", "### Worst answers", "", "![worst answers](figures/worst.png)"]
