"""The two tasks of the application: naming a symbol, and transcribing."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from apps.core.batches import BucketedBatches, one_hot
from apps.core.errors import UserError
from apps.core.task import Data, Split, Task
from apps.handwriting import drawing, models, readers, sources
from apps.handwriting.config import HandwritingConfig
from apps.handwriting.ctc import CTC, pad_targets
from apps.handwriting.decoding import Search, beam_search, greedy
from apps.handwriting.distort import Ranges, distort
from apps.handwriting.features import PenFeatures, count_steps, pad_points
from apps.handwriting.ink import Ink
from apps.handwriting.language import CharacterModel, Lexicon, read_units
from apps.handwriting.pretrained import adopt
from apps.handwriting.readers import Record
from apps.handwriting.scores import transcript_metrics, worst

_MOST_PADDED_POINTS = 40_000
"""Points of a batch for evaluation, padding included: keeps memory bounded."""
_DRAWN = 12
"""Wrong answers that a report shows."""


def make_task(config: HandwritingConfig) -> Task[HandwritingConfig]:
    return (Classify if config.model == "classify" else Transcribe)(config)


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


class _InkTask(Task[HandwritingConfig]):
    """What the two tasks share: data in, padding for evaluation, drawings."""

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
        found = {}
        for name, chosen in records.items():
            targets, kept = [], []
            for record in chosen:
                try:
                    targets.append(self.target(record, known))
                    kept.append(record)
                except UserError:
                    if not self.config.skip_bad:
                        raise
            if not kept:
                raise UserError(f"{source}: the {name} split has no known label")
            found[name] = Split(
                name, [r.ink.points() for r in kept], targets, [r.source for r in kept]
            )
        return Data(tuple(labels), found, sources.describe(source, self.config))

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
        return (1, length, 4)

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


class Classify(_InkTask):
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
        return models.classifier(self.config, len(data.labels))

    def training_batches(self, split: Split) -> InkBatches:
        targets = one_hot(split.targets, max(split.targets) + 1)
        features = models.features(self.config)
        return InkBatches(split, targets, self.config, features)

    def report(self, split, outputs, labels, metrics, folder):
        lines = super().report(split, outputs, labels, metrics, folder)
        scores = np.stack(outputs)
        guesses = scores.argmax(1)
        wrong = np.flatnonzero(guesses != np.asarray(split.targets))
        wrong = wrong[np.argsort(-scores[wrong, guesses[wrong]])][:_DRAWN]
        titles = [f"{labels[split.targets[i]]} read as {labels[guesses[i]]}"
                  for i in wrong]  # fmt: skip
        return lines + self.draw_worst(split, wrong.tolist(), titles, folder)


class Transcribe(_InkTask):
    """A text an ink, by connectionist temporal classification."""

    monitor = "cer"
    monitor_mode = "min"

    def more_metadata(self) -> dict[str, Any]:
        return {
            "output": "scores [1, steps, labels + 1]: natural log probabilities, the "
            "blank behind the labels; transcript int32 [1, steps]: indices of labels "
            "at the steps where they begin, else -1"
        }

    @property
    def streaming(self) -> bool:
        return self.config.model == "stream"

    def labels_of(self, records: Mapping[str, Sequence[Record]]) -> Sequence[str]:
        chosen = [r for found in records.values() for r in found]
        return sorted({c for r in chosen for c in str(r.text)})

    def target(self, record: Record, known: dict[str, int]) -> list[int]:
        text = str(record.text)
        unknown = sorted(set(text) - set(known))
        if unknown:
            raise UserError(
                f"{record.source}: the model cannot write {unknown[0]!r} (in "
                f"{text[:40]!r}): it knows {''.join(known)!r} "
                "(--skip-bad leaves such records out)"
            )
        return [known[c] for c in text]

    def build_model(self, data: Data) -> keras.Model:
        streaming = self.config.model == "stream"
        build = models.streamer if streaming else models.transcriber
        model = build(self.config, len(data.labels))
        if self.config.begin_with:
            adopt(model, data.labels, self.config.begin_with)
        return model

    def training_batches(self, split: Split) -> InkBatches:
        longest = max(len(t) for t in split.targets)
        targets = pad_targets(split.targets, longest)
        features = models.features(self.config)
        return InkBatches(split, targets, self.config, features, models.SCORES)

    def compile(self, model: keras.Model, optimizer: keras.Optimizer) -> None:
        model.compile(optimizer=optimizer, loss={models.SCORES: CTC()})

    def row(self, outputs: Any, row: int) -> np.ndarray:
        return np.asarray(outputs[models.SCORES])[row]

    def metrics(
        self, split: Split, outputs: Sequence[np.ndarray], labels: Sequence[str]
    ) -> dict[str, Any]:
        """{"n", "cer", "wer", "accuracy", "decoder"}; see `transcript_metrics`."""
        references = self.references(split, labels)
        hypotheses = self.transcripts(outputs, labels)
        found = transcript_metrics(references, hypotheses)
        return found | {"decoder": self.decoder_name()}

    def references(self, split: Split, labels: Sequence[str]) -> list[str]:
        return ["".join(labels[i] for i in target) for target in split.targets]

    def transcripts(
        self, outputs: Sequence[np.ndarray], labels: Sequence[str]
    ) -> list[str]:
        """The best transcript of each output, by the configured decoder."""
        if self.decoder_name() == "greedy":
            return [greedy(scores, labels) for scores in outputs]
        search = self.search(tuple(labels))
        found = [beam_search(scores, labels, 1, search) for scores in outputs]
        return [best[0][0] if best else "" for best in found]

    def decoder_name(self) -> str:
        parts = ["beam"] if self._searches() else ["greedy"]
        parts += ["language model"] if self.config.lm else []
        parts += ["lexicon"] if self.config.lexicon else []
        return " + ".join(parts)

    def _searches(self) -> bool:
        config = self.config
        return config.decoder == "beam" or bool(config.lm or config.lexicon)

    @functools.cache  # noqa: B019  a task lives as long as the program
    def search(self, labels: tuple[str, ...]) -> Search:
        """The beam search of the settings, its language model trained.

        Raises:
            UserError: a text file that cannot be read.
        """
        config = self.config
        model = lexicon = None
        if config.lm:
            texts = read_units(config.lm, config.lm_unit)
            model = CharacterModel(texts, labels, config.lm_order)
        if config.lexicon:
            lexicon = Lexicon(read_units(config.lexicon, "word"))
        return Search(
            width=config.beam,
            model=model,
            model_weight=config.lm_weight,
            # It weighs against the model's preference for short texts.
            length_bonus=config.length_bonus if model else 0.0,
            lexicon=lexicon,
        )

    def describe(
        self, output: np.ndarray, labels: Sequence[str], top: int
    ) -> list[dict[str, Any]]:
        """Transcripts with their scores (log probabilities), best first.

        Raises:
            UserError: no word of the lexicon fits into the ink's steps.
        """
        search = self.search(tuple(labels))
        found = beam_search(output, labels, top, search)
        if not found:
            raise UserError(
                f"{self.config.lexicon}: no word in it can be read from "
                f"an ink of {len(output)} steps"
            )
        return [{"label": text, "score": score} for text, score in found]

    def evaluation_text(self, metrics: dict[str, Any]) -> str:
        return "\n".join(
            [
                f"character error rate  {metrics['cer']:.4f}",
                f"word error rate       {metrics['wer']:.4f}",
                f"accuracy              {metrics['accuracy']:.4f}  "
                f"(transcripts without an error, n = {metrics['n']})",
                f"decoder               {metrics['decoder']}",
            ]
        )

    def report(self, split, outputs, labels, metrics, folder):
        references = self.references(split, labels)
        hypotheses = self.transcripts(outputs, labels)
        chosen = worst(references, hypotheses, _DRAWN)
        titles = [f"{references[i]} read as {hypotheses[i]}" for i in chosen]
        return [
            "## Transcripts",
            "",
            f"Character error rate {metrics['cer']:.4f}, word error rate "
            f"{metrics['wer']:.4f}, {100 * metrics['accuracy']:.1f} % without an "
            f"error ({metrics['decoder']} decoding).",
            *self.draw_worst(split, chosen, titles, folder),
        ]
