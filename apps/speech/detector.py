"""From the scores of a streaming model to detections: the rule.

Every chunk of `chunk` samples gives one score (probability) a label. The rule:

1. The smoothed score of a label is the sum of its last n scores over n, with
   n = max(1, round(smoothing_ms / chunk_ms)). Before n chunks have come, the
   missing ones count as 0.
2. Among the labels that are not in `ignore`, the one with the highest smoothed
   score (the first of equals) is detected if that score is at least `threshold`
   and no detection lies in the last r = round(refractory_ms / chunk_ms) chunks:
   after one at chunk i, the next is at chunk i + r at the earliest.
3. A label that was detected is detected again only after its smoothed score has
   been below half the threshold: a word that lingers is reported once.

The time of a detection is that of the end of its chunk. Exported files carry
the rule's numbers in their metadata: a file that streams under the key
`detector`, one that verifies (see stream.py) under `verifier`.
"""

import dataclasses
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from apps.core.errors import UserError
from apps.speech.audio import SAMPLE_RATE
from apps.speech.clips import SILENCE, UNKNOWN
from apps.speech.config import STREAM_CHUNK

METADATA_KEY = "detector"
VERIFIER_KEY = "verifier"
_REARM = 0.5
"""Share of the threshold below which a label must fall to be detected again."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """The numbers of the rule above, as a file's metadata carries them."""

    chunk: int = STREAM_CHUNK
    """Samples at 16 kHz."""
    smoothing_ms: float = 300.0
    threshold: float = 0.6
    refractory_ms: float = 1000.0
    ignore: tuple[str, ...] = (UNKNOWN, SILENCE)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"ignore": list(self.ignore)}

    @classmethod
    def from_metadata(
        cls, metadata: Mapping[str, Any], path: str, key: str = METADATA_KEY
    ) -> "Rule":
        """Raises:
        UserError: the file carries no rule, or a value out of range.
        """
        found = metadata.get(key)
        if not isinstance(found, dict):
            raise UserError(
                f"{path}: does not stream: train a model that does with "
                "--config stream_crnn"
            )
        known = {field.name for field in dataclasses.fields(cls)}
        if set(found) != known:
            raise UserError(
                f"{path}: its metadata's {key!r} holds "
                f"{', '.join(sorted(found))}; expected {', '.join(sorted(known))}"
            )
        return cls(**found | {"ignore": tuple(found["ignore"])}).validated(path)

    def validated(self, where: str) -> "Rule":
        """Raises:
        UserError: a value out of range; `where` begins the message.
        """
        if not 0 < self.threshold <= 1:
            raise UserError(f"{where}: threshold {self.threshold}: must be in (0, 1]")
        for name in ("smoothing_ms", "refractory_ms"):
            value = getattr(self, name)
            if not 0 <= value <= 60_000:
                raise UserError(f"{where}: {name} {value}: must be in [0, 60000]")
        return self

    def chunks(self, milliseconds: float) -> int:
        return round(milliseconds * SAMPLE_RATE / 1000 / self.chunk)


@dataclasses.dataclass(frozen=True)
class Detection:
    """One word heard."""

    seconds: float
    """From the beginning of the sound to the end of the chunk."""
    label: str
    score: float
    """The smoothed score."""


class Detector:
    """Applies a rule to scores as they come.

    Args:
        rule: The numbers.
        labels: Names of the scores, in their order.
    """

    def __init__(self, rule: Rule, labels: Sequence[str]):
        self.rule = rule
        self.labels = tuple(labels)
        self._wanted = np.array([label not in rule.ignore for label in labels])
        self._count = max(1, rule.chunks(rule.smoothing_ms))
        self._refractory = rule.chunks(rule.refractory_ms)
        self._last: deque[np.ndarray] = deque(maxlen=self._count)
        self._chunk = 0
        self._next = 0
        self._armed = self._wanted.copy()

    def step(self, scores: np.ndarray) -> Detection | None:
        """Takes the scores of the next chunk, [labels]."""
        self._last.append(np.where(self._wanted, scores, 0.0))
        self._chunk += 1
        smoothed = np.sum(self._last, axis=0, dtype="float64") / self._count
        self._armed |= smoothed < _REARM * self.rule.threshold
        best = int(np.argmax(smoothed))
        if (
            self._chunk <= self._next
            or not self._armed[best]
            or smoothed[best] < self.rule.threshold
        ):
            return None
        self._next = self._chunk - 1 + self._refractory
        self._armed[best] = False
        seconds = self._chunk * self.rule.chunk / SAMPLE_RATE
        return Detection(seconds, self.labels[best], float(smoothed[best]))


def detect(rule: Rule, labels: Sequence[str], scores: np.ndarray) -> list[Detection]:
    """What a `Detector` finds in all scores of a sound, [chunks, labels], at once."""
    return detect_smoothed(rule, labels, smooth(rule, labels, scores))


def smooth(rule: Rule, labels: Sequence[str], scores: np.ndarray) -> np.ndarray:
    """The smoothed scores, [chunks, labels], 0 of ignored labels; for any threshold."""
    wanted = np.array([label not in rule.ignore for label in labels])
    kept = np.where(wanted, scores, 0.0).astype("float64")
    count = max(1, rule.chunks(rule.smoothing_ms))
    smoothed = np.zeros_like(kept)
    for late in reversed(range(min(count, len(kept)))):  # the oldest first
        smoothed[late:] += kept[: len(kept) - late]
    return smoothed / count


def detect_smoothed(
    rule: Rule, labels: Sequence[str], smoothed: np.ndarray
) -> list[Detection]:
    """The detections in what `smooth` returns."""
    best = np.argmax(smoothed, axis=1)
    highest = smoothed[np.arange(len(best)), best]
    # How often each label has been low: more often than at its last detection
    # means that it was low in between.
    lows = np.cumsum(smoothed < _REARM * rule.threshold, axis=0, dtype="int32")
    lows_at_last: dict[int, int] = {}
    found: list[Detection] = []
    free = 0
    for chunk in np.flatnonzero(highest >= rule.threshold):
        label = int(best[chunk])
        low = int(lows[chunk, label])
        if chunk >= free and low > lows_at_last.get(label, -1):
            seconds = (int(chunk) + 1) * rule.chunk / SAMPLE_RATE
            found.append(Detection(seconds, labels[label], float(highest[chunk])))
            lows_at_last[label] = low
            free = int(chunk) + rule.chunks(rule.refractory_ms)
    return found
