"""Settings of the text application."""

import dataclasses
from typing import ClassVar

from apps.core.config import TrainingConfig
from apps.core.errors import UserError
from apps.text.characters import KINDS

MODELS = {
    "lstm": "an LSTM over the words, in both directions",
    "clstm": "convolutions over the words, then an LSTM in both directions",
    "rnn": "a plain recurrent network over the words, in both directions",
    "dense": "no order: the words' vectors averaged (the feed-forward baseline)",
}
"""The architectures, with a line of help on each."""


@dataclasses.dataclass(frozen=True)
class TextConfig(TrainingConfig):
    """Settings of the text application; the fields of TrainingConfig come first."""

    model: str = "lstm"
    # Large steps, but small ones for words hardly seen: see `epsilon`.
    epochs: int = 8
    learning_rate: float = 1.5e-2
    epsilon: float = 1e-3
    passes: int = 0
    """Times that an epoch goes through the training texts; 0: once, and twice where
    many classes share them."""
    label_smoothing: float = 0.1
    # Text and table
    features: int = 0
    """Words, pairs of words and character n-grams that the model knows, the most
    frequent ones; 0: as many as the number of classes leaves room for."""
    least: int = 2
    """Training texts that a word, pair or n-gram must occur in to be known."""
    max_words: int = 400
    """Words read of a text; the rest of a longer one is left out."""
    vectors: str = ""
    """Pre-trained vectors in the text format of word2vec, GloVe or fastText."""
    # Layers
    embedding: int = 0
    """Length of a vector; 0: as the number of classes has it."""
    networks: int = 2
    """Networks of different seeds, whose answers the file averages."""
    linear: bool = True
    """Averages a linear classifier of the same features with them, which counts as
    much as all networks."""
    length: int = 0
    """Bytes that an exported .tflite takes, no fewer and no more, behind the text
    zeros; 0: any number."""
    units: int = 48
    layers: int = 1
    # Regularisation
    dropout: float = 0.5
    """Of the features that the last layer reads."""
    embedding_dropout: float = 0.4
    """Of whole dimensions of the word vectors of a text."""
    word_dropout: float = 0.2
    """Share of the words left out of a training text, drawn anew every epoch."""
    slot_dropout: float = 0.3
    """Share of the n-grams left out, likewise."""
    balance: bool = False
    """Weights rare classes more, by the inverse root of their frequency."""
    # Data
    buckets: int = 4
    """Lengths that batches are padded to; 1 pads everything to the longest."""
    validation: float = 0.1
    """Share of every class set aside where the data has no validation split."""
    split_seed: int = 0
    """Decides which texts are set aside."""
    encoding: str = "utf-8"
    """Of the data."""
    input_encoding: str = "utf-8"
    """Of the files given to predict and inspect: that of the exported file's input,
    whatever the data was in."""
    text_column: str = ""
    """Name of the column with the texts, or its number where there is no header."""
    label_column: str = ""
    skip_bad: bool = False
    """Counts bad rows and leaves them out, in place of stopping at the first."""
    whole: bool = False
    """Evaluates on every row of the data, whatever its split."""
    explain: bool = False
    """Adds the effect of every word to what predict answers."""

    of_the_files: ClassVar[tuple[str, ...]] = ("encoding", "skip_bad")
    of_other_verbs: ClassVar[tuple[str, ...]] = ("whole", "explain", "length")

    @property
    def summary(self) -> str:
        """One line for the help text."""
        return MODELS[self.model]

    def validated(self) -> "TextConfig":
        super().validated()
        self._one_of("model", MODELS)
        self._at_least_1(
            "max_words", "units", "layers", "buckets", "least", "networks"
        )  # fmt: skip
        self._at_least_0("embedding", "length", "passes", "split_seed")
        self._below_1("dropout", "embedding_dropout", "word_dropout", "slot_dropout")
        if self.features and self.features <= KINDS:
            raise UserError(f"features={self.features}: must be above {KINDS}, or 0")
        if not 0 < self.validation < 1:
            raise UserError(f"validation={self.validation}: must be between 0 and 1")
        if self.text_column.isdecimal() != self.label_column.isdecimal():
            raise UserError(
                f"text_column={self.text_column} label_column={self.label_column}: "
                "give both as names or both as numbers"
            )
        return self
