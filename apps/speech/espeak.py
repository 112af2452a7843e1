"""A thin binding of the espeak-ng speech synthesiser (the copy in espeakng-loader)."""

import ctypes
import functools
import re
from pathlib import Path

import numpy as np

from apps.core.errors import UserError
from apps.speech.audio import resample

_SYNCHRONOUS = 2
_UTF8 = 1
_PHONEMES = 0x100
_IPA = 0x02
_RATE, _PITCH, _RANGE = 1, 3, 4
_LOGOGRAPHIC = ("cmn", "yue", "hak", "ja")
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Synthesiser:
    """The library holds one voice at a time and is not safe for threads.

    Use `synthesiser()`; the library must be initialised once a process.
    """

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise UserError(
                "speaking words needs the package espeakng-loader: "
                "pip install espeakng-loader, or give recordings with --data"
            ) from error
        self.data = Path(espeakng_loader.get_data_path())
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        # The data path is that of the folder which holds espeak-ng-data.
        self.rate = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, str(self.data).encode(), 0
        )
        if self.rate <= 0:
            raise UserError(f"espeak-ng cannot start: no voice data in {self.data}")
        # It seeds itself with the time otherwise; breath and flutter are random.
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        self._pieces: list[np.ndarray] = []
        # Kept in an attribute: the library holds no reference of its own.
        self._callback = _Callback(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples, count: int, _events) -> int:
        if samples and count > 0:
            self._pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def variants(self) -> list[str]:
        """Names of the voice variants, sorted."""
        return sorted(path.name for path in (self.data / "voices" / "!v").iterdir())

    def set_voice(self, language: str, variant: str = "") -> None:
        """Chooses the voice of what follows.

        Raises:
            UserError: espeak-ng has no such language or variant.
        """
        name = f"{language}+{variant}" if variant else language
        if self._library.espeak_SetVoiceByName(name.encode()):
            raise UserError(f"language {language}: espeak-ng has no voice {name!r}")

    def phonemes(self, text: str, form: int = _IPA) -> str:
        """The phonemes of `text` in the chosen voice.

        In IPA, or with a `form` of 0 in espeak-ng's own mnemonics, which `say`
        takes in double square brackets.
        """
        pointer = ctypes.c_char_p(text.encode())
        found = []
        while pointer.value:
            part = self._library.espeak_TextToPhonemes(
                ctypes.byref(pointer), _UTF8, form
            )
            found.append((part or b"").decode("utf-8", "replace"))
        return " ".join(found).strip()

    def check_speakable(
        self, word: str, language: str, option: str = "--set language=CODE"
    ) -> None:
        """`option` is what chooses the language, for messages.

        Raises:
            UserError: espeak-ng would say nothing, or spell the word letter by
                letter, as it does with another language's script.
        """
        self.set_voice(language)
        spoken = self.phonemes(word)
        if not spoken or not any(character.isalnum() for character in word):
            raise UserError(
                f"{word!r}: espeak-ng cannot say it ({language}): write a word in "
                f"letters, or choose its language with {option}"
            )
        # A script the language does not know comes out as a group of phonemes
        # for every character. Numbers and Chinese characters rightly do.
        spelled = len(spoken.split()) > len(re.findall(r"[^\W_]+", word))
        if (
            spelled
            and not any(character.isdigit() for character in word)
            and not language.startswith(_LOGOGRAPHIC)
        ):
            raise UserError(
                f"{word!r}: espeak-ng would spell it letter by letter in the language "
                f"{language}: write it as it sounds, or choose its language with "
                f"{option}"
            )

    def say(
        self, text: str, *, words_a_minute: int, pitch: int, pitch_range: int
    ) -> np.ndarray:
        """Speaks in the chosen voice.

        Args:
            text: What to say; [[mnemonics]] are spoken as they are.
            words_a_minute: 80 to 450.
            pitch: 0 to 99; 50 is the voice's own.
            pitch_range: 0 (monotone) to 99.

        Returns:
            float32 [samples] at 16 kHz, without the silence around.
        """
        parameters = ((_RATE, words_a_minute), (_PITCH, pitch), (_RANGE, pitch_range))
        for parameter, value in parameters:
            self._library.espeak_SetParameter(parameter, int(value), 0)
        self._pieces.clear()
        data = text.encode()
        status = self._library.espeak_Synth(
            data, len(data) + 1, 0, 1, 0, _UTF8 | _PHONEMES, None, None
        )
        if status:
            raise RuntimeError(f"espeak_Synth returned {status} for {text!r}")
        self._library.espeak_Synchronize()
        samples = np.concatenate(self._pieces or [np.zeros(1, "int16")])
        loud = np.flatnonzero(np.abs(samples) > 200)
        if not len(loud):
            return np.zeros(0, "float32")
        samples = samples[loud[0] : loud[-1] + 1].astype("float32") / 32768
        return resample(samples, self.rate)


@functools.cache
def synthesiser() -> Synthesiser:
    """The process's one synthesiser."""
    return Synthesiser()
