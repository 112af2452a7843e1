"""Scores of sound that does not end: by a streaming model, and with a second opinion.

A small model hears everything. Where it believes that it heard a word, a larger one
of whole seconds may be asked as well: it costs next to nothing, since that is seldom,
and each is wrong where the other is not.
"""

import abc
import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from apps.core.errors import UserError
from apps.speech.clips import CLIP_SAMPLES, UNKNOWN
from apps.speech.detector import METADATA_KEY, VERIFIER_KEY, Detection, Detector, Rule

ASK_CHUNKS = 5
"""A verifier is asked at every fifth chunk (100 ms), counted from the beginning."""
_EXCITED = 0.1
"""Score of a word from which on it is asked."""
_SHARE = 0.3
"""Weight of the stream in the geometric mean of the two scores."""
_VERIFIED_SMOOTHING_MS = 400.0


class Scorer(abc.ABC):
    """Takes sound in pieces of any size; gives scores of every chunk.

    Memory does not grow with the sound.

    Attributes:
        labels: Names of the scores.
        rule: How words are detected in them.
        metadata: Of the file that carries the rule.
        path: Of that file.
        rule_key: Where the metadata has it.
    """

    labels: tuple[str, ...]
    rule: Rule
    metadata: dict[str, Any]
    path: str
    rule_key: str

    def reset(self) -> None:
        """Back to the beginning of a sound."""
        self._waiting = np.zeros(0, "float32")

    @abc.abstractmethod
    def step(self, chunk: np.ndarray) -> np.ndarray:
        """The scores, float32 [labels], after `rule.chunk` more samples."""

    @abc.abstractmethod
    def classify(self, clip: np.ndarray) -> np.ndarray:
        """The scores, float32 [labels], of one second by itself."""

    def feed(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """Yields the scores, float32 [labels], of every chunk that is complete.

        What is left of `samples` waits for the next call.
        """
        chunk = self.rule.chunk
        waiting = np.concatenate([self._waiting, samples.astype("float32")])
        whole = len(waiting) // chunk * chunk
        self._waiting = waiting[whole:].copy()
        for start in range(0, whole, chunk):
            yield self.step(waiting[start : start + chunk])


class Stream(Scorer):
    """The `stream` signature of a file.

    Raises:
        UserError: not a .tflite file of this application that streams.
    """

    rule_key = METADATA_KEY

    def __init__(self, path: str):
        from apps.core import recogniser
        from apps.speech import APP

        if Path(path).suffix != ".tflite":
            raise UserError(f"{path}: only a .tflite file streams")
        model = recogniser.load(path, APP)
        self._model = model.runner
        self.path = path
        self.metadata = model.metadata
        self.labels = model.labels
        self.rule = Rule.from_metadata(model.metadata, path)
        self._interpreter = recogniser.open_interpreter(path)
        if "stream" not in self._interpreter.get_signature_list():
            raise UserError(f"{path}: has no signature 'stream': export it again")
        self._run = self._interpreter.get_signature_runner("stream")
        self.reset()

    def reset(self) -> None:
        super().reset()
        self._state = {
            name: np.zeros(detail["shape"], detail["dtype"])
            for name, detail in self._run.get_input_details().items()
        }

    def classify(self, clip: np.ndarray) -> np.ndarray:
        return self._model.predict_on_batch(clip[None])[0]

    def step(self, chunk: np.ndarray) -> np.ndarray:
        self._state["samples"] = chunk[None]
        found = self._run(**self._state)
        self._state = {n: found[n] for n in self._state if n != "samples"}
        return found["output"][0]


class Verified(Scorer):
    """A stream, and a model of whole seconds that is asked where it hears a word.

    Every `ASK_CHUNKS` chunks, if the stream gives any word at least 0.1, the
    verifier hears the second that ends there; the score of a label is then the
    geometric mean of the two, until it is asked again. Where it is not asked, all
    scores are 0. What the verifier gives to words that the stream has no label
    for counts as `UNKNOWN`.

    Args:
        stream: What hears everything.
        path: The verifier, a .tflite file. It may carry the rule for both.

    Raises:
        UserError: no such file, or one that does not know a word of the stream.
    """

    rule_key = VERIFIER_KEY

    def __init__(self, stream: Stream, path: str):
        from apps.core import recogniser
        from apps.speech import APP

        if Path(path).suffix != ".tflite":
            raise UserError(f"--verify {path}: only a .tflite file verifies")
        model = recogniser.load(path, APP)
        self._stream, self._verifier = stream, model.runner
        self.path = path
        self.metadata = model.metadata
        self.labels = stream.labels
        if VERIFIER_KEY in model.metadata:
            self.rule = Rule.from_metadata(model.metadata, path, VERIFIER_KEY)
        else:
            self.rule = dataclasses.replace(
                stream.rule, smoothing_ms=_VERIFIED_SMOOTHING_MS
            )
        self._wanted = np.array([x not in stream.rule.ignore for x in self.labels])
        # Row: label of the verifier; column: label of the stream.
        self._columns = np.zeros((len(model.labels), len(self.labels)), "float32")
        for row, label in enumerate(model.labels):
            label = label if label in self.labels else UNKNOWN
            if label in self.labels:
                self._columns[row, self.labels.index(label)] = 1
        for label, wanted in zip(self.labels, self._wanted, strict=True):
            if wanted and label not in model.labels:
                raise UserError(f"--verify {path}: does not know {label!r}")
        self.reset()

    def reset(self) -> None:
        super().reset()
        self._stream.reset()
        self._heard = np.zeros(CLIP_SAMPLES, "float32")
        self._opinion = np.zeros(len(self.labels), "float32")
        self._chunk = 0

    def opinion(self, clip: np.ndarray) -> np.ndarray:
        """The verifier's scores, float32 [labels], of one second."""
        return self._verifier.predict_on_batch(clip[None])[0] @ self._columns

    def classify(self, clip: np.ndarray) -> np.ndarray:
        return _mean(self._stream.classify(clip), self.opinion(clip))

    def step(self, chunk: np.ndarray) -> np.ndarray:
        self._heard = np.concatenate([self._heard[len(chunk) :], chunk])
        scores = self._stream.step(chunk)
        self._chunk += 1
        if self._chunk % ASK_CHUNKS == 0:
            if scores[self._wanted].max() >= _EXCITED:
                self._opinion = self.opinion(self._heard)
            else:
                self._opinion = np.zeros_like(self._opinion)
        return _mean(scores, self._opinion)


def _mean(stream: np.ndarray, verifier: np.ndarray) -> np.ndarray:
    return stream**_SHARE * verifier ** (1 - _SHARE)


def open_scorer(model: str, verifier: str | None) -> Scorer:
    """What `listen` and `field-test` hear with.

    Raises:
        UserError: as `Stream` and `Verified`.
    """
    stream = Stream(model)
    return Verified(stream, verifier) if verifier else stream


def detections(scorer: Scorer, pieces: Iterable[np.ndarray]) -> Iterator[Detection]:
    """The words in a sound that comes in pieces, as soon as each is heard."""
    detector = Detector(scorer.rule, scorer.labels)
    for piece in pieces:
        for scores in scorer.feed(piece):
            if found := detector.step(scores):
                yield found
