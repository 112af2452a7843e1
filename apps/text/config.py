"""Settings of the text application."""

import dataclasses

from apps.core.config import TrainingConfig
from apps.core.errors import UserError

MODELS = ("lstm", "clstm", "rnn", "dense")


@dataclasses.dataclass(frozen=True)
class TextConfig(TrainingConfig):
    model: str = "lstm"
    word_buckets: int = 8191
    ngram_buckets: int = 8191
    max_words: int = 400
    embedding: int = 64
    units: int = 96
    layers: int = 1
    dropout: float = 0.5
    embedding_dropout: float = 0.2
    word_dropout: float = 0.1
    slot_dropout: float = 0.0
    buckets: int = 4
