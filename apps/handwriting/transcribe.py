"""The task of transcribing a text."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from apps.core.errors import UserError
from apps.core.task import Data, Split
from apps.handwriting import models
from apps.handwriting.batches import InkBatches
from apps.handwriting.ctc import CTC, pad_targets
from apps.handwriting.decoding import Search, beam_search, greedy
from apps.handwriting.ink_task import DRAWN, InkTask
from apps.handwriting.language import CharacterModel, Lexicon, read_units
from apps.handwriting.pretrained import adopt
from apps.handwriting.readers import Record
from apps.handwriting.scores import transcript_metrics, worst


class Transcribe(InkTask):
    """A text an ink, by connectionist temporal classification."""

    monitor = "cer"
    monitor_mode = "min"

    def more_metadata(self) -> dict[str, Any]:
        shape = "[1, steps, 1]" if self.streaming else "[1, steps]"
        return {
            "output": "scores [1, steps, labels + 1]: natural log probabilities, the "
            f"blank behind the labels; transcript int32 {shape}: indices of labels "
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
            adopt(model, data.labels, self.config)
        return model

    def training_batches(self, split: Split) -> InkBatches:
        features = models.features(self.config)
        return InkBatches(split, _rows, self.config, features, models.SCORES)

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
        chosen = worst(references, hypotheses, DRAWN)
        titles = [f"{references[i]} read as {hypotheses[i]}" for i in chosen]
        return [
            "## Transcripts",
            "",
            f"Character error rate {metrics['cer']:.4f}, word error rate "
            f"{metrics['wer']:.4f}, {100 * metrics['accuracy']:.1f} % without an "
            f"error ({metrics['decoder']} decoding).",
            *self.draw_worst(split, chosen, titles, folder),
        ]


def _rows(targets: Sequence[Sequence[int]]) -> np.ndarray:
    return pad_targets(targets, max(len(target) for target in targets))
