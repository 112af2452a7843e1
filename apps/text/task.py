"""The text application as the shared training loop sees it."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from apps.core.batches import Batches
from apps.core.errors import UserError
from apps.core.markdown import cell
from apps.core.task import Data, Split, Task
from apps.text import model as models
from apps.text import outputs
from apps.text.batches import WordBatches, class_weights
from apps.text.config import TextConfig
from apps.text.encodings import decode_lines, refuse
from apps.text.explain import word_effects
from apps.text.sources import find
from apps.text.splits import duplicates, stratified_split
from apps.text.table import LONGEST_TEXT, BadRows, Format, Row

_PROBES = (
    "Where is my card? It's 3 days late, and I PAID for it.",
    "Où est l'été? Größe 42, Привет, мир!",
    "今日は雨です 👍 ขอบคุณ",
)
"""Random zeros and ones would be padding: all of them one text, the empty one."""


def encode(text: str) -> np.ndarray:
    """A text as the model takes it: UTF-8, int32 [n] with n at least 1."""
    data = text.encode("utf-8", "replace") or b" "
    return np.frombuffer(data, "uint8").astype("int32")


def decode(value: np.ndarray) -> str:
    """Inverse of `encode`."""
    return bytes(value.astype("uint8")).decode("utf-8", "replace")


class TextTask(Task[TextConfig]):
    """Gives a text one class."""

    app = "text"
    # int8 activations lose points and save nothing: almost all bytes are the
    # table's, which "dynamic" holds in int8 too.
    quantizations = ("none", "float16", "dynamic")
    input_description = (
        "UTF-8 bytes of one text, int32 [1, n], 0 to 255; zeros are padding. "
        "Lower-casing and the splitting into words are part of the model"
    )

    _experts: keras.Model
    """What `build_model` leaves to be trained."""
    _hashed: list[np.ndarray]
    """The numbers of the training texts' words, from `build_model`."""

    def load(
        self,
        source: str | None,
        splits: Sequence[str],
        labels: Sequence[str] | None = None,
    ) -> Data:
        config = self.config
        corpus = find(
            source,
            Format(
                config.encoding,
                config.text_column,
                config.label_column,
                config.skip_bad,
            ),
        )
        name = source or "the default data"
        rows = corpus.splits
        if config.whole:
            every = [row for part in rows.values() for row in part]
            rows = dict.fromkeys(splits, every)
        elif "val" not in rows and "train" in rows:
            rows |= _set_aside(rows["train"], config)
        for split in splits:
            if split not in rows:
                raise UserError(
                    f"{name}: has no {split} split (it has {', '.join(rows)})"
                )
        if labels is None:
            labels = sorted({row.label for row in rows["train"]})
            if len(labels) < 2:
                raise UserError(
                    f"{name}: every text has the label {labels[0]!r}: training "
                    "needs at least two classes"
                )
        # Where no labels were given they are those of the training rows, and only
        # the other splits can hold more.
        rows = {split: _known(rows[split], labels, corpus.bad) for split in splits}
        for split in splits:
            if not rows[split]:
                raise UserError(f"{name}: the {split} split has no known label")
        description = corpus.description | {
            f"{split} examples": len(rows[split]) for split in splits
        }
        if corpus.bad.count:
            description["rows left out"] = corpus.bad.count
            _say(f"{corpus.bad.count} bad rows left out, the first: {corpus.bad.first}")
        for split in ("val", "test"):
            if split in splits and "train" in splits:
                description |= _count_duplicates(rows, split)
        return Data(
            tuple(labels),
            {split: _split(split, rows[split], labels) for split in splits},
            description,
        )

    def build_model(self, data: Data) -> keras.Model:
        model = models.build(self.config, len(data.labels))
        train = data.splits["train"]
        words = model.get_layer("words")
        # A vector tells more of a word than the one text that it occurs in.
        words.adapt(train.inputs, 1 if self.config.vectors else self.config.least)
        self._hashed = words.many(train.inputs)
        if self.config.vectors:
            from apps.text.vectors import set_vectors

            found = set_vectors(
                model, self.config.vectors, [decode(value) for value in train.inputs]
            )
            _say(f"{self.config.vectors}: {found} words of the training data found")
        classifier = model.get_layer("classifier")
        if self.config.linear:
            classifier.get_layer("linear").fit(
                self._hashed, train.targets, self._weights(train)
            )
        self._experts = models.build_experts(classifier, self.config.networks)
        return model

    def fixed_shape(self, model: keras.Model) -> tuple[int, ...] | None:
        return (1, self.config.length) if self.config.length else None

    def probe_inputs(self) -> list[np.ndarray]:
        found = [encode(text) for text in _PROBES]
        if length := self.config.length:
            found = [np.pad(x[:length], (0, max(length - len(x), 0))) for x in found]
        return found

    def trained_part(self, model: keras.Model) -> keras.Model:
        """The networks: hashing and the linear classifier are ready when built."""
        return self._experts

    def compile(self, model: keras.Model, optimizer: keras.Optimizer) -> None:
        loss = models.EachCrossentropy(self.config.label_smoothing)
        # XLA saves a quarter of a step here and takes many seconds to compile
        # each bucket length: more than a training on short texts ever saves.
        model.compile(optimizer=optimizer, loss=loss, jit_compile=False)

    def training_batches(self, split: Split) -> Batches:
        classes = max(split.targets) + 1
        times = models.passes(self.config, classes)
        return WordBatches(
            self._hashed * times,
            [*split.targets] * times,
            self._weights(split),
            classes,
            self.config,
        )

    def _weights(self, split: Split) -> np.ndarray | None:
        if not self.config.balance:
            return None
        return class_weights(split.targets, max(split.targets) + 1)

    def outputs(self, model: Any, split: Split) -> list[np.ndarray]:
        if self.config.length:
            inputs = outputs.filled(split, self.config.length)
            split = dataclasses.replace(split, inputs=inputs)
        if isinstance(model, keras.Model):
            return outputs.of_keras(model, split.inputs)
        if getattr(model, "batch_size", None) == 1:
            return super().outputs(model, split)
        return outputs.of_file(model, split.inputs, self.config.batch_size)

    def read(self, path: str) -> list[tuple[str, np.ndarray]]:
        if path == "-" and sys.stdin is None:
            raise UserError("standard input: is closed: pipe a text a line into it")
        try:
            data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from error
        found = []
        lines = decode_lines(data, path, self.config.input_encoding, refuse)
        for number, line in enumerate(lines, 1):
            where = f"{path} line {number}"
            text = line.strip()
            if not text:
                continue
            value = encode(text)
            if len(value) > LONGEST_TEXT:
                raise UserError(
                    f"{where}: is {len(value):,} bytes long: more than "
                    f"{LONGEST_TEXT:,} is no text to classify; split it"
                )
            found.append((f"{where}: {_shortened(text)}", value))
        if not found:
            raise UserError(f"{path}: holds no text: expected a text a line")
        return found

    def details(
        self,
        model: Any,
        value: np.ndarray,
        output: np.ndarray,
        labels: Sequence[str],
    ) -> dict[str, Any]:
        if not self.config.explain:
            return {}
        effects = word_effects(
            lambda texts: self.outputs(
                model,
                Split("words", [encode(t) for t in texts], [0] * len(texts), texts),
            ),
            decode(value),
            output,
        )
        return {"explanation": effects}

    def report(self, split, outputs, labels, metrics, folder):
        lines = super().report(split, outputs, labels, metrics, folder)
        wrong = [
            (float(output.max()), index)
            for index, output in enumerate(outputs)
            if output.argmax() != split.targets[index]
        ]
        lines += ["", "## Most confidently wrong", ""]
        if not wrong:
            return [*lines, "None: every text was classified right."]
        lines += ["| text | label | answer | score | where |", "|---|---|---|---:|---|"]
        for score, index in sorted(wrong, reverse=True)[:20]:
            text = cell(_shortened(decode(split.inputs[index]), 200))
            label = cell(labels[split.targets[index]])
            answer = cell(labels[int(outputs[index].argmax())])
            where = cell(split.sources[index])
            lines.append(f"| {text} | {label} | {answer} | {score:.2f} | {where} |")
        return lines


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _shortened(text: str, length: int = 60) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _set_aside(rows: list[Row], config: TextConfig) -> dict[str, list[Row]]:
    train, validation = stratified_split(
        [row.text for row in rows],
        [row.label for row in rows],
        config.validation,
        config.split_seed,
    )
    if not len(validation):
        raise UserError(
            f"{rows[0].source}: {len(rows)} texts are too few to set some aside for "
            "validation: every class needs two different ones"
        )
    return {
        "train": [rows[i] for i in train],
        "val": [rows[i] for i in validation],
    }


def _count_duplicates(rows: dict[str, list[Row]], split: str) -> dict[str, int]:
    count = duplicates(
        [row.text for row in rows[split]], [row.text for row in rows["train"]]
    )
    if count:
        _say(f"{count} of the {len(rows[split])} {split} texts are also in train")
    return {f"{split} texts also in train": count}


def _known(rows: list[Row], labels: Sequence[str], bad: BadRows) -> list[Row]:
    """The rows with a label that the model has; another is an error, or bad."""
    kept, index = [], set(labels)
    for row in rows:
        if row.label in index:
            kept.append(row)
            continue
        known = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
        bad.report(
            f"{row.source}: the label {row.label!r} is not one of those trained "
            f"on ({known}): rename it"
        )
    return kept


def _split(name: str, rows: list[Row], labels: Sequence[str]) -> Split:
    index = {label: number for number, label in enumerate(labels)}
    return Split(
        name,
        [encode(row.text) for row in rows],
        [index[row.label] for row in rows],
        [row.source for row in rows],
    )
