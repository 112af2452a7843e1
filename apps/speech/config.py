"""Settings of the speech application. Importing this must stay cheap."""

import dataclasses
from collections.abc import Mapping

from apps.core.config import TrainingConfig
from apps.core.errors import UserError

MODELS: Mapping[str, str] = {
    "crnn": "convolutions, then an LSTM: the most accurate",
    "lstm": "stacked LSTMs on the log-mel frames",
    "rnn": "stacked plain recurrent layers on the log-mel frames",
    "dense": "feed-forward baseline on the whole spectrogram",
}


_RANGES = {
    "shift_ms": 500,
    "gain_db": 60,
    "time_masks": 10,
    "time_mask_frames": 49,
    "band_masks": 10,
    "band_mask_bands": 40,
}


@dataclasses.dataclass(frozen=True)
class SpeechConfig(TrainingConfig):
    """Settings of a run of the speech application."""

    model: str = "crnn"
    epochs: int = 25
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.05

    words: str = ""
    """Keywords, comma separated; empty: every word of the data."""
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
    other_words: bool = True
    """Whether training tells the other words apart as well (see models.py)."""

    language: str = "en-us"
    """espeak-ng voice language of the synthetic data."""
    takes: int = 90
    """Synthetic training clips a word."""

    bands: int = 40
    """Mel bands."""
    filters: int = 16
    """Width of the first convolution (crnn)."""
    units: int = 128
    """Width of the recurrent or dense layers."""
    dropout: float = 0.1

    shift_ms: float = 100.0
    """Largest shift in time, either way."""
    speed: float = 0.1
    """Largest relative change of speed (and pitch), either way."""
    gain_db: float = 10.0
    """Largest change of level, either way."""
    noise_probability: float = 0.5
    """Share of the clips that get background noise."""
    snr_low_db: float = 5.0
    snr_high_db: float = 30.0
    band_warp: float = 0.08
    """Largest relative stretch of the mel axis, either way."""
    time_masks: int = 2
    time_mask_frames: int = 6
    band_masks: int = 2
    band_mask_bands: int = 5

    def validated(self) -> "SpeechConfig":
        super().validated()
        if self.model not in MODELS:
            raise UserError(f"model={self.model}: must be one of {', '.join(MODELS)}")
        for name in ("unknown_share", "silence_share", "noise_probability", "dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name}={getattr(self, name)}: must be in [0, 1]")
        for name in ("speed", "band_warp", "validation_share"):
            if not 0 <= getattr(self, name) <= 0.5:
                raise UserError(f"{name}={getattr(self, name)}: must be in [0, 0.5]")
        for name in ("bands", "filters", "units", "takes"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}={getattr(self, name)}: must be at least 1")
        for name, most in _RANGES.items():
            if not 0 <= getattr(self, name) <= most:
                raise UserError(f"{name}={getattr(self, name)}: must be in [0, {most}]")
        if self.snr_low_db > self.snr_high_db:
            raise UserError(
                f"snr_low_db={self.snr_low_db}: must not exceed "
                f"snr_high_db={self.snr_high_db}"
            )
        return self

    def keywords(self) -> tuple[str, ...]:
        """`words` taken apart; empty where every word is wanted.

        Raises:
            UserError: an empty or repeated word.
        """
        if not self.words.strip():
            return ()
        found = tuple(" ".join(word.split()) for word in self.words.split(","))
        for word in found:
            if not word:
                raise UserError(f"--words {self.words!r}: holds an empty word")
            if found.count(word) > 1:
                raise UserError(f"--words {self.words!r}: {word!r} is there twice")
        return found

    @property
    def summary(self) -> str:
        """One line for the help text."""
        return MODELS[self.model]


CONFIGS: Mapping[str, SpeechConfig] = {
    "crnn": SpeechConfig(),
    "lstm": SpeechConfig(model="lstm", units=128),
    "rnn": SpeechConfig(model="rnn", units=128),
    "dense": SpeechConfig(model="dense", units=256),
}
