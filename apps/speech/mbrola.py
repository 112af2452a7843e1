"""A binding of MBROLA: sounds cut from recordings of people, of many languages.

Each of its voices is the diphones of one person (Dutoit et al. 1996). The program
espeak-ng turns words into sounds for them; the copy of its library in
espeakng-loader cannot.
"""

import functools
import shutil
import subprocess

import numpy as np

from apps.core.errors import UserError
from apps.speech.audio import resample, without_silence

_PROGRAMS = ("espeak-ng", "mbrola")
_HEADER = 44
"""Bytes of a WAV file before the samples."""
_NOT_THERE = b"unknown, replaced"


def check_installed(language: str) -> None:
    """Raises:
    UserError: a program is missing, or there is no voice of the language.
    """
    for program in _PROGRAMS:
        if shutil.which(program) is None:
            raise UserError(
                f"voices: mbrola needs the program {program}: install espeak-ng, "
                "mbrola and its voices (Debian's packages mbrola-us1, mbrola-fr1 and "
                "so on, in non-free), or leave it out of the voices"
            )
    if not any(same_language(language, spoken) for _, spoken in voices()):
        raise UserError(
            f"voices: mbrola has no voice for {language}: install one (such as "
            "Debian's mbrola-us1), or leave it out of the voices"
        )


def same_language(language: str, spoken: str) -> bool:
    """Whether a voice of the language `spoken` speaks `language`, in any accent."""
    return language.split("-")[0] == spoken.split("-")[0]


@functools.cache
def voices() -> tuple[tuple[str, str], ...]:
    """The name and the language of each voice that is installed, sorted.

    Some people's sounds are there twice, for their language and for English.
    """
    listed = subprocess.run(
        [_PROGRAMS[0], "--voices=mbrola"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    rows = [line.split() for line in listed[1:]]
    return tuple(sorted((row[4].rpartition("/")[2], row[1]) for row in rows))


def say(
    text: str, voice: str, *, words_a_minute: int, pitch: int, size: float
) -> np.ndarray:
    """Speaks in one of `voices()`.

    Args:
        text: What to say; [[mnemonics]] of espeak-ng are spoken as they are.
        voice: Its name.
        words_a_minute: 80 to 450.
        pitch: 0 to 99; 50 is the voice's own.
        size: Of the speaker: at 1.2 pitch and formants are a sixth lower. The
            speed is kept.

    Returns:
        float32 [samples] at 16 kHz, without the silence around; none where the
        voice lacks a sound.
    """
    rate = str(round(words_a_minute * size))
    done = subprocess.run(
        [_PROGRAMS[0], "-v", voice, "-s", rate, "-p", str(pitch), "--stdout", text],
        capture_output=True,
        check=False,
    )
    if done.returncode or _NOT_THERE in done.stderr:
        return np.zeros(0, "float32")
    # The lengths in the header are not those of what came.
    sampled = int.from_bytes(done.stdout[24:28], "little")
    samples = np.frombuffer(done.stdout[_HEADER:], "<i2").astype("float32") / 32768
    if not samples.any():
        return np.zeros(0, "float32")
    return resample(without_silence(samples), sampled / size)


@functools.lru_cache(maxsize=4096)
def spelling(voice: str, candidates: tuple[str, ...], least: float) -> str:
    """The first of the candidates for which the voice has all sounds; empty: none.

    What has fewer than `least` samples at 160 words a minute has lost a sound:
    espeak-ng says nothing for one that the voice's language does not know.
    """
    for text in candidates:
        if len(say(text, voice, words_a_minute=160, pitch=50, size=1.0)) >= least:
            return text
    return ""
