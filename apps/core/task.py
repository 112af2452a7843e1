"""The part of an application that the shared loop calls: data, model, metrics.

A `Task` that labels each example with one class implements four methods and
inherits the rest; a task with other targets (a transcript) overrides
`compile`, `outputs`, `metrics` and `describe` as well.
"""

import abc
import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import keras
import numpy as np

from apps.core.batches import Batches, padded_batches
from apps.core.config import QUANTIZATIONS, TrainingConfig
from apps.core.markdown import cell

C = TypeVar("C", bound=TrainingConfig)


@dataclasses.dataclass(frozen=True)
class Split:
    """One split of a data set, in the form the exported file will see it."""

    name: str
    inputs: Sequence[np.ndarray]
    """An array an example, without the batch axis: what the model takes."""
    targets: Sequence[Any]
    """A class index an example (or a transcript, in tasks that transcribe)."""
    sources: Sequence[str]
    """Where each example came from, for reports: a file, a line."""

    def __len__(self) -> int:
        return len(self.inputs)


@dataclasses.dataclass(frozen=True)
class Data:
    """What `Task.load` returns."""

    labels: tuple[str, ...]
    splits: dict[str, Split]
    description: dict[str, Any]
    """Name, licence, citation, sizes: goes into report, card and exported file."""

    def fingerprint(self) -> str:
        """Tells data from other data of the same place: labels, targets, and the
        sizes of the inputs (not their values, which a synthesiser need not repeat to
        the last bit)."""
        digest = hashlib.sha256(repr(self.labels).encode("utf-8", "surrogatepass"))
        for name, split in sorted(self.splits.items()):
            digest.update(f"{name} {len(split)}".encode())
            for value, target in zip(split.inputs, split.targets, strict=True):
                digest.update(f"{np.shape(value)} {target}".encode())
        return digest.hexdigest()


class Task(abc.ABC, Generic[C]):
    """One kind of recognition. Stateless but for its configuration."""

    app: ClassVar[str]
    """Name of the application; an exported file carries it."""
    monitor: ClassVar[str] = "accuracy"
    """The metric that chooses the best epoch."""
    monitor_mode: ClassVar[str] = "max"
    input_description: ClassVar[str]
    """Meaning, unit and shape of the model's input, for the exported file."""
    quantizations: ClassVar[tuple[str, ...]] = QUANTIZATIONS
    """Forms of the .tflite file that make sense for this task's models."""

    def __init__(self, config: C):
        self.config = config

    @property
    def streaming(self) -> bool:
        """Whether the .tflite file also has the signature `stream`: a chunk of
        input and the state in, outputs and the new state out."""
        return False

    @property
    def stream_chunk(self) -> int | None:
        """Time steps that a call of `stream` takes; None: any number."""
        return None

    def fixed_shape(self, model: keras.Model) -> tuple[int, ...] | None:
        """The input's shape, batch axis included, that the settings of an export
        fix in model.tflite; None leaves lengths free."""
        return None

    def more_metadata(self) -> dict[str, Any]:
        """What exported files carry beside labels and settings."""
        return {}

    @abc.abstractmethod
    def load(
        self,
        source: str | None,
        splits: Sequence[str],
        labels: Sequence[str] | None = None,
    ) -> Data:
        """Reads the named splits ("train", "val", "test").

        Args:
            source: What the user gave as --data; None for the default data.
            splits: The splits wanted. One that the data does not have is an
                error, but for "val", which is split off from "train".
            labels: The labels of a trained model, in its order: targets index
                into them. None while training: the data (and the settings)
                define them.

        Raises:
            UserError: the data is missing, empty, malformed, or has a label
                that `labels` does not know.
        """

    @abc.abstractmethod
    def build_model(self, data: Data) -> keras.Model:
        """The uncompiled model: raw input, batched, to class probabilities."""

    def trained_part(self, model: keras.Model) -> keras.Model:
        """What is compiled and fitted: by default the whole model.

        A task whose first layers have no weights may return the model behind
        them, and make its batches with those layers' work done.
        """
        return model

    @abc.abstractmethod
    def training_batches(self, split: Split) -> Batches:
        """Augmented batches for one epoch at a time."""

    @abc.abstractmethod
    def read(self, path: str) -> list[tuple[str, np.ndarray]]:
        """Reads a file for `predict`: (title, input) pairs, one an example.

        Raises:
            UserError: missing, empty, corrupt or not of the kind expected.
        """

    def compile(self, model: keras.Model, optimizer: keras.Optimizer) -> None:
        """Default: cross entropy over class indices, with label smoothing."""
        model.compile(
            optimizer=optimizer,
            loss=keras.losses.CategoricalCrossentropy(
                label_smoothing=self.config.label_smoothing
            ),
            metrics=["accuracy"],
        )

    def outputs(self, model: Any, split: Split) -> list[np.ndarray]:
        """The model's output for each example, batch axis removed.

        `model` is anything with `predict_on_batch`: a Keras model or one of
        `apps.core.recogniser`.
        """
        found: list[np.ndarray | None] = [None] * len(split)
        size = getattr(model, "batch_size", self.config.batch_size)
        for indices, batch in padded_batches(split.inputs, size):
            rows = np.asarray(model.predict_on_batch(batch))
            for row, index in enumerate(indices):
                found[index] = rows[row]
        return [value for value in found if value is not None]

    def output(self, model: Any, value: np.ndarray) -> np.ndarray:
        """The model's output for one example."""
        split = Split("one", [value], [None], [""])
        return self.outputs(model, split)[0]

    def metrics(
        self, split: Split, outputs: Sequence[np.ndarray], labels: Sequence[str]
    ) -> dict[str, Any]:
        """Numbers of one evaluation: at least "accuracy" and "n"."""
        from apps.core.metrics import classification_metrics

        return classification_metrics(split.targets, outputs, labels)

    def describe(
        self, output: np.ndarray, labels: Sequence[str], top: int
    ) -> list[dict[str, Any]]:
        """Candidates for one output, best first: {"label", "score"}."""
        order = np.argsort(-output, kind="stable")[:top]
        return [{"label": labels[i], "score": float(output[i])} for i in order]

    def details(
        self,
        model: Any,
        value: np.ndarray,
        output: np.ndarray,
        labels: Sequence[str],
    ) -> dict[str, Any]:
        """More entries for the answer of `predict` to one example.

        One named "explanation", a list of {"word", "effect"}, is also printed.
        """
        return {}

    def evaluation_text(self, metrics: dict[str, Any]) -> str:
        """What `evaluate` prints for people."""
        lines = [
            f"accuracy  {metrics['accuracy']:.4f}  (n = {metrics['n']})",
            f"macro F1  {metrics['macro_f1']:.4f}",
            "",
            f"{'label':16s} {'n':>6s} {'recall':>7s} {'precision':>10s}",
        ]
        for label, row in metrics["per_class"].items():
            lines.append(
                f"{label:16s} {row['n']:6d} {row['recall']:7.3f} "
                f"{row['precision']:10.3f}"
            )
        return "\n".join(lines)

    def report(
        self,
        split: Split,
        outputs: Sequence[np.ndarray],
        labels: Sequence[str],
        metrics: dict[str, Any],
        folder: Path,
    ) -> list[str]:
        """Markdown lines for the run's report; figures go into `folder`."""
        from apps.core import figures

        figures.confusion(metrics["confusion"], labels, folder / "confusion.png")
        lines = [
            "## Classes",
            "",
            f"Macro F1 {metrics['macro_f1']:.4f}.",
            "",
            "| label | n | recall | precision | F1 |",
            "|---|---:|---:|---:|---:|",
        ]
        for label, row in metrics["per_class"].items():
            lines.append(
                f"| {cell(label)} | {row['n']} | {row['recall']:.3f} "
                f"| {row['precision']:.3f} | {row['f1']:.3f} |"
            )
        return [*lines, "", "![confusion matrix](figures/confusion.png)"]

    def representative_inputs(self, split: Split, count: int) -> Iterable[np.ndarray]:
        """Examples that set the ranges of a full int8 export."""
        order = np.random.default_rng(self.config.seed).permutation(len(split))
        return [split.inputs[i] for i in order[:count]]

    def probe_inputs(self) -> Iterable[np.ndarray]:
        """Examples that an export without data is checked with, of the length that
        the settings fix; none where random numbers show all of a model."""
        return []
