"""The task of naming a symbol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from apps.core.batches import one_hot
from apps.core.errors import UserError
from apps.core.task import Data, Split
from apps.handwriting import models
from apps.handwriting.batches import InkBatches
from apps.handwriting.ink_task import DRAWN, InkTask
from apps.handwriting.pretrained import adopt
from apps.handwriting.readers import Record


class Classify(InkTask):
    """One symbol an ink; its label is the ink's whole text."""

    def labels_of(self, records: Mapping[str, Sequence[Record]]) -> Sequence[str]:
        # Of the training split alone: nothing else can be learned.
        chosen = records.get("train") or next(iter(records.values()))
        labels = sorted({str(r.text) for r in chosen})
        if len(labels) < 2:
            raise UserError(
                f"all inks have the label {labels[0]!r}: two kinds are needed to "
                "tell one from another"
            )
        return labels

    def target(self, record: Record, known: dict[str, int]) -> int:
        if record.text not in known:
            raise UserError(
                f"{record.source}: the model does not know the label {record.text!r} "
                "(--skip-bad leaves such records out)"
            )
        return known[record.text]

    def build_model(self, data: Data) -> keras.Model:
        model = models.classifier(self.config, len(data.labels))
        if self.config.begin_with:
            adopt(model, data.labels, self.config)
        return model

    def training_batches(self, split: Split) -> InkBatches:
        count = max(split.targets) + 1
        features = models.features(self.config)
        return InkBatches(split, lambda t: one_hot(t, count), self.config, features)

    def report(self, split, outputs, labels, metrics, folder):
        lines = super().report(split, outputs, labels, metrics, folder)
        scores = np.stack(outputs)
        guesses = scores.argmax(1)
        wrong = np.flatnonzero(guesses != np.asarray(split.targets))
        wrong = wrong[np.argsort(-scores[wrong, guesses[wrong]])][:DRAWN]
        titles = [f"{labels[split.targets[i]]} read as {labels[guesses[i]]}"
                  for i in wrong]  # fmt: skip
        return lines + self.draw_worst(split, wrong.tolist(), titles, folder)
