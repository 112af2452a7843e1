"""What the shared training loop needs to know about speech."""

import dataclasses
import sys
import weakref
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from apps.core.batches import Batches
from apps.core.errors import UserError
from apps.core.task import Data, Split, Task
from apps.speech import models, protocol, sources
from apps.speech.adapt import adopt
from apps.speech.audio import SAMPLE_RATE, loudest_stretch, read_audio
from apps.speech.augment import JoinedBatches, SpeechBatches
from apps.speech.clips import CLIP_SAMPLES, SILENCE, UNKNOWN, Audio, Clip, Recordings
from apps.speech.config import STREAM_CHUNK, SpeechConfig
from apps.speech.detector import METADATA_KEY, Rule
from apps.speech.noise import SHORTEST_SECONDS, Background
from apps.speech.protocol import Classes
from apps.speech.teacher import teacher

_SPECIAL = (UNKNOWN, SILENCE)


@dataclasses.dataclass(frozen=True)
class SpeechSplit(Split):
    """A split, with what augmentation needs beside the clips."""

    words: Sequence[str] = ()
    """The word of each clip; `SILENCE` for background alone."""
    classes: Classes = dataclasses.field(default_factory=lambda: Classes(()))
    background: Background | None = None
    synthetic: int = 0
    """How many clips synthetic voices say beside recordings: the last but silence."""
    teacher: Callable[[np.ndarray], np.ndarray] | None = None
    """As in `SpeechBatches`."""


class SpeechTask(Task[SpeechConfig]):
    """One-second clips to keywords, other words and silence."""

    app = "speech"
    input_description: ClassVar[str] = (
        "one second of mono PCM at 16 kHz, float32 [1, 16000] in [-1, 1]"
    )

    def __init__(self, config: SpeechConfig):
        super().__init__(config)
        self._joined: weakref.WeakKeyDictionary[keras.Model, keras.Model] = (
            weakref.WeakKeyDictionary()
        )

    def load(
        self,
        source: str | None,
        splits: Sequence[str],
        labels: Sequence[str] | None = None,
    ) -> Data:
        wanted = sources.SPLITS if self.config.whole else splits
        recordings = self._recordings(source, wanted, labels)
        words = recordings.words
        special = {clip.word for clip in recordings.clips} & {UNKNOWN, SILENCE}
        teaches = bool(self.config.teacher) and labels is None and "train" in splits
        if labels is None:
            labels = protocol.choose_labels(
                words,
                recordings.keywords,
                self.config,
                special,
                recordings.where,
            )
        else:
            protocol.check_known(words, labels, recordings.where)
        synthetic: Recordings | None = None
        if source is not None and self.config.synthetic_takes and "train" in splits:
            synthetic = self._synthetic(labels)
        more = synthetic.clips if synthetic else []
        others: tuple[str, ...] = ()
        if self.config.other_words and UNKNOWN in labels:
            found = {*words, *special, *(clip.word for clip in more)}
            others = tuple(sorted(found - {*labels, *_SPECIAL}))
            others += (UNKNOWN,) if UNKNOWN in found else ()
        classes = Classes(tuple(labels), others)
        noise = recordings.backgrounds()
        made: dict[str, SpeechSplit] = {
            name: self._split(
                recordings, name, classes, noise, more if name == "train" else []
            )
            for name in splits
        }
        if teaches:
            opinion = teacher(self.config.teacher, classes.names)
            made["train"] = dataclasses.replace(made["train"], teacher=opinion)
        description = recordings.description | {
            "clips": {name: len(split) for name, split in made.items()},
            "words": len(words),
        }
        if synthetic:
            description |= {
                "synthetic clips": len(more),
                "synthetic voices": synthetic.description["name"],
                "their licence": synthetic.description["licence"],
            }
        return Data(classes.labels, dict(made), description)

    def _recordings(
        self,
        source: str | None,
        splits: Sequence[str],
        labels: Sequence[str] | None,
    ) -> Recordings:
        if source is not None:
            return sources.find(source, splits)
        from apps.speech.synthesis import speak

        keywords = self.config.keywords()
        if labels is not None:
            keywords = tuple(x for x in labels if x not in _SPECIAL)
        return speak(keywords, takes=self.config.takes, **self._spoken(splits))

    def _spoken(self, splits: Sequence[str]) -> dict[str, Any]:
        """Settings of synthetic speech."""
        config = self.config
        return {
            "language": config.language,
            "seed": config.seed,
            "splits": tuple(splits),
            "engines": config.engines(),
            "others": config.unknown_share > 0,
        }

    def _synthetic(self, labels: Sequence[str]) -> Recordings:
        """The keywords, and other words, by synthetic voices; for training."""
        from apps.speech.synthesis import speak

        keywords = tuple(label for label in labels if label not in _SPECIAL)
        takes = self.config.synthetic_takes
        return speak(keywords, takes=takes, **self._spoken(("train",)))

    def _split(
        self,
        recordings: Recordings,
        name: str,
        classes: Classes,
        noise: Sequence[np.ndarray],
        more: Sequence[Clip],
    ) -> SpeechSplit:
        if name == "train":
            folders = self.config.noise_folders()
            more_noise = sources.read_noise(folders, "--noise", SHORTEST_SECONDS)
            noise = [*noise, *more_noise.values()]
        if self.config.whole:
            clips = recordings.clips
        else:
            clips = recordings.split(
                name, self.config.validation_share, self.config.speakers()
            )
        silence = Audio.read([clip for clip in clips if clip.word == SILENCE])
        background = Background(noise, name, own=[silence[:].reshape(-1)])
        more = [clip for clip in more if self._is_wanted(clip, classes)]
        if name == "train":
            protocol.check_complete(clips, classes.labels, recordings.where)
            clips = [clip for clip in clips if self._is_wanted(clip, classes)] + more
            known = set(classes.labels) - set(_SPECIAL)
            keywords = sum(clip.word in known for clip in clips)
            there = sum(clip.word == SILENCE for clip in clips)
            wanted = protocol.share_of(keywords, self.config.silence_share)
            silences = max(0, wanted - there) if SILENCE in classes.labels else 0
        else:
            clips, silences = protocol.draw_for_evaluation(
                clips, classes.labels, self.config, name
            )
        if not clips and not silences:
            raise UserError(
                f"{recordings.where}: the {name} split has no clip of a keyword "
                f"({', '.join(x for x in classes.labels if x not in _SPECIAL)})"
            )
        audio = Audio.read(clips)
        made = protocol.silence_clips(silences, background, name)
        words = [clip.word for clip in clips] + [SILENCE] * silences
        return SpeechSplit(
            name,
            audio.joined(made),
            [classes.label_index(word) for word in words],
            [clip.source for clip in clips]
            + [f"background {i}" for i in range(silences)],
            words,
            classes,
            background,
            len(more),
        )

    @staticmethod
    def _is_wanted(clip: Clip, classes: Classes) -> bool:
        return clip.word in classes.labels or (
            UNKNOWN in classes.labels and clip.word != SILENCE
        )

    def build_model(self, data: Data) -> keras.Model:
        split = data.splits["train"]
        assert isinstance(split, SpeechSplit)
        classes = split.classes
        merge = (classes.groups, self._class_weights(split)) if classes.others else ()
        model = models.build(self.config, len(classes.names), *merge)
        if self.config.adapt:
            known = adopt(model, classes.names, self.config.adapt)
            text = f"{self.config.adapt}: knows {known} of {len(classes.names)} classes"
            print(text, file=sys.stderr)
        return model

    def _class_weights(self, split: SpeechSplit) -> list[float]:
        """Brings the frequency of other words in training down to their share.

        As the last epoch has them.
        """
        last = self._draw(split)(np.random.default_rng(0), self.config.epochs - 1)
        labels = np.asarray(split.targets)[last]
        unknown = split.classes.labels.index(UNKNOWN)
        others = int((labels == unknown).sum())
        known = set(split.classes.labels) - set(_SPECIAL)
        keywords = sum(split.words[i] in known for i in last)
        weight = self.config.unknown_share * keywords / max(others, 1)
        return [weight if group == unknown else 1.0 for group in split.classes.groups]

    @property
    def streaming(self) -> bool:
        return self.config.streams

    @property
    def stream_chunk(self) -> int | None:
        return STREAM_CHUNK if self.config.streams else None

    def more_metadata(self) -> dict[str, Any]:
        """The rule of detection of a streaming model."""
        return {METADATA_KEY: Rule().to_json()} if self.config.streams else {}

    def trained_part(self, model: keras.Model) -> keras.Model:
        """Of a streaming model, its layers on clips that follow each other."""
        if not self.config.streams:
            return model
        if model not in self._joined:
            self._joined[model] = models.joined(model, self.config.joined_clips)
        return self._joined[model]

    def compile(self, model: keras.Model, optimizer: keras.Optimizer) -> None:
        super().compile(model, optimizer)
        # The recurrent layers bring a compiled kernel of their own; XLA over the
        # whole step makes the convolutions and transforms slower on a CPU.
        model.jit_compile = False

    def training_batches(self, split: Split) -> Batches:
        assert isinstance(split, SpeechSplit) and split.background is not None
        assert isinstance(split.inputs, Audio)
        classes = split.classes
        index = {name: i for i, name in enumerate(classes.names)}
        if not classes.others:
            targets = np.asarray(split.targets)
        else:
            targets = np.array([index[word] for word in split.words])
        kind = JoinedBatches if self.config.streams else SpeechBatches
        return kind(
            split.inputs,
            targets,
            len(classes.names),
            index.get(SILENCE),
            split.background,
            self.config,
            self._draw(split),
            split.teacher,
        )

    def _draw(self, split: SpeechSplit) -> protocol.Draw:
        """The clips of an epoch; of other words, if training does not tell them
        apart, a share."""
        unknown = np.zeros(len(split), bool)
        labels = split.classes.labels
        if UNKNOWN in labels and not split.classes.others:
            unknown = np.asarray(split.targets) == labels.index(UNKNOWN)
        return protocol.draw_for_training(
            split.words, unknown, split.synthetic, self.config
        )

    def metrics(
        self, split: Split, outputs: Sequence[np.ndarray], labels: Sequence[str]
    ) -> dict[str, Any]:
        """Adds "word_accuracy" and "words": of the clips of keywords alone."""
        found = super().metrics(split, outputs, labels)
        targets = np.asarray(split.targets)
        words = np.array([labels[target] not in _SPECIAL for target in targets])
        if words.any() and not words.all():
            guesses = np.array([np.argmax(output) for output in outputs])
            found["word_accuracy"] = float(np.mean(guesses[words] == targets[words]))
            found["words"] = int(words.sum())
        return found

    def evaluation_text(self, metrics: dict[str, Any]) -> str:
        text = super().evaluation_text(metrics)
        if "word_accuracy" not in metrics:
            return text
        first, rest = text.split("\n", 1)
        own = f"of words  {metrics['word_accuracy']:.4f}  (n = {metrics['words']})"
        return "\n".join([first, own, rest])

    def read(self, path: str) -> list[tuple[str, np.ndarray]]:
        """The loudest second of the file; a shorter one gets silence around it."""
        samples = read_audio(path)
        start, clip = loudest_stretch(samples, CLIP_SAMPLES)
        title = path
        if len(samples) > CLIP_SAMPLES:
            title = f"{path} (from {start / SAMPLE_RATE:.2f} s)"
        return [(title, clip)]
