"""Settings of the handwriting application. No Keras here."""

import dataclasses
from typing import ClassVar

from apps.core.config import TrainingConfig
from apps.core.errors import UserError

MODELS = ("classify", "transcribe", "stream")


@dataclasses.dataclass(frozen=True)
class HandwritingConfig(TrainingConfig):
    """Settings of the handwriting application."""

    summary: str = ""
    """Shown in the list of configurations."""
    text: str = ""
    """A text file whose words the synthetic writer writes; empty: built-in words."""
    fonts: str = "futural,scripts,cursive"
    """Faces of the synthetic writer, by commas: Hershey's, and school. One named
    twice is written twice as often."""
    synthetic_size: int = 6000
    """Words the synthetic writer writes for training."""
    letters: str = ""
    """Single letters of real people (files or archives by commas): a share of the
    synthetic words is spelled with them, in validation with other people's."""
    spelled: float = 0.5
    """That share."""
    compose: str = ""
    """Lengths, as in 3-8: lines of so many symbols of one writer side by side are
    made of single symbols, which become the characters to transcribe."""
    composed_size: int = 8000
    """Composed lines for training, drawn anew for each epoch."""
    hands: int = 0
    """Synthetic writers, others in each epoch, whose symbols (in the faces of fonts)
    lines are composed of as well."""
    val_writers: str = ""
    """Writers of the validation split by commas (pages, for GW-online); empty:
    as docs/handwriting.md says for each data set."""
    skip_bad: bool = False
    """Leave malformed records out, and count them."""
    resample: float = 0.4
    """Step between resampled points in units of the ink's size; 0: none."""
    filters: int = 64
    """Channels of the first convolution; the second has half as many more."""
    stride: int = 3
    """Of the second convolution: points a step of the network takes together."""
    units: int = 96
    """Units of each recurrent layer, in each direction."""
    layers: int = 2
    """Recurrent layers."""
    picture: bool = False
    """transcribe: a picture of the line beside the pen's path, which neither the
    order of strokes nor their direction changes."""
    dropout: float = 0.2
    augment: float = 1.0
    """Size of the distortions while training (of a composed line: of each symbol and
    then of the line), as a factor; 0: none."""
    reorder: float = 0.02
    """Chance that an ink of training (of a composed line, a symbol) has strokes
    exchanged or drawn backwards: people differ in how they draw a symbol, less in
    how they write a word."""
    buckets: int = 6
    """Lengths that training batches are padded to; 1 pads all to the longest."""
    length: int = 0
    """Points that an exported .tflite takes, no fewer and no more; 0: any number.
    An ink of fewer is filled up with points whose pen is -1."""
    begin_with: str = ""
    """A model.keras of the same architecture, resample and stride whose weights
    training begins with."""
    decoder: str = "greedy"
    """greedy or beam; a language model or a lexicon makes it beam."""
    beam: int = 16
    """Width of the beam."""
    lm: str = ""
    """Text file that a character language model learns from."""
    lm_unit: str = "line"
    """What one transcript is in that file: a line or a word."""
    lm_order: int = 6
    lm_weight: float = 0.5
    length_bonus: float = 0.0
    """Added to a transcript's score for each character, where there is a model."""
    lexicon: str = ""
    """Text file of the only words allowed."""

    of_the_files: ClassVar[tuple[str, ...]] = ("skip_bad",)
    of_other_verbs: ClassVar[tuple[str, ...]] = ("length",)

    def validated(self) -> "HandwritingConfig":
        super().validated()
        self._one_of("model", MODELS)
        self._one_of("quantize", ("none", "float16", "dynamic"))
        self._one_of("decoder", ("greedy", "beam"))
        self._one_of("lm_unit", ("line", "word"))
        self._at_least_1(
            "synthetic_size", "composed_size", "filters", "stride", "units", "layers",
            "buckets", "beam", "lm_order",
        )  # fmt: skip
        self._up_to(1, "reorder", "spelled")
        self._at_least_0("length", "resample", "augment", "hands")
        for name, without in (("lm", ""), ("lexicon", ""), ("decoder", "greedy")):
            value = getattr(self, name)
            if value != without and self.model == "classify":
                raise UserError(
                    f"{name}={value}: is for transcripts, and this model names single "
                    "symbols"
                )
        if self.length and self.model == "stream":
            raise UserError(f"length={self.length}: is not for streams")
        self._below_1("dropout")
        self.composed_lengths()
        return self

    def composed_lengths(self) -> tuple[int, int] | None:
        """(fewest, most) symbols of a composed line; None where none are made.

        Raises:
            UserError: not of the form 3-8.
        """
        if not self.compose:
            return None
        low, dash, high = self.compose.partition("-")
        if not (low.isdecimal() and (high.isdecimal() if dash else not high)):
            raise UserError(f"compose={self.compose}: expected lengths such as 3-8")
        lengths = int(low), int(high or low)
        if not 1 <= lengths[0] <= lengths[1] <= 100:
            raise UserError(f"compose={self.compose}: expected 1 <= fewest <= most")
        return lengths


CONFIGS = {
    "words": HandwritingConfig(
        summary="transcribe words of the synthetic writer (the default)",
        model="transcribe",
        epochs=20,
        batch_size=32,
        learning_rate=3e-3,
    ),
    "digits": HandwritingConfig(
        summary="classify single symbols, such as pendigits",
        model="classify",
        epochs=22,
        batch_size=128,
        learning_rate=6e-3,
        keep="last",
        resample=0.08,
        stride=2,
        filters=48,
        units=64,
        layers=1,
        dropout=0.3,
        label_smoothing=0.05,
        weight_averaging=0.98,
        augment=1.6,
        reorder=0.1,
    ),
    "people": HandwritingConfig(
        summary="transcribe people's words: hands of the face school, and letters= of "
        "real ones",
        model="transcribe",
        fonts="school," * 8 + "futural,scripts,cursive",
        spelled=0.3,
        synthetic_size=36000,
        epochs=14,
        batch_size=64,
        learning_rate=4e-3,
        weight_averaging=0.998,
        buckets=4,
        augment=0.7,
        length_bonus=2.0,
    ),
    "lines": HandwritingConfig(
        summary="transcribe real ink: GW-online, IAM-OnDB, JSON Lines",
        model="transcribe",
        epochs=60,
        batch_size=32,
        learning_rate=3e-3,
        weight_averaging=0.995,
        lm_weight=0.2,
    ),
    "strings": HandwritingConfig(
        summary="transcribe strings composed of single symbols, such as pendigits",
        model="transcribe",
        compose="3-8",
        hands=10,
        fonts="school," * 3 + "futural",
        epochs=30,
        batch_size=32,
        learning_rate=3e-3,
        keep="last",
        units=64,
        picture=True,
        weight_averaging=0.99,
        reorder=0.3,
    ),
    "stream": HandwritingConfig(
        summary="transcribe while the pen moves: no step sees later ink",
        model="stream",
        epochs=20,
        batch_size=32,
        learning_rate=3e-3,
        resample=0.0,
        stride=2,
        units=128,
    ),
}
