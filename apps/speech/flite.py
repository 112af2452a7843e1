"""A binding of the flite program: English voices made from recordings of people."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from apps.core.errors import UserError
from apps.speech.audio import resample, without_silence

VOICES = ("awb", "kal16", "rms", "slt")
"""A Scotsman, two Americans and an American woman (Black & Lenzo 2001)."""
_PROGRAM = "flite"


def check_installed(language: str) -> None:
    """Raises:
    UserError: no flite program, or a language that it does not speak.
    """
    if not language.startswith("en"):
        raise UserError(f"voices: flite speaks English only, not {language}")
    if shutil.which(_PROGRAM) is None:
        raise UserError(
            "voices: there is no program flite: install it (Debian: apt install "
            "flite), or leave it out of the voices"
        )


def say(
    text: str, voice: str, *, stretch: float, pitch: float, size: float
) -> np.ndarray:
    """Speaks in one of `VOICES`.

    Args:
        text: English words.
        voice: Its name.
        stretch: Of time: 2 is half as fast.
        pitch: Factor of the voice's own.
        size: Of the speaker: at 1.2 pitch and formants are a sixth lower. The
            speed is kept.

    Returns:
        float32 [samples] at 16 kHz, without the silence around.
    """
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoken.wav"
        settings = (f"duration_stretch={stretch / size}", f"f0_shift={pitch}")
        options = [x for setting in settings for x in ("--setf", setting)]
        subprocess.run(
            [_PROGRAM, "-voice", voice, *options, "-t", text, "-o", str(path)],
            check=True,
            capture_output=True,
        )
        samples, rate = soundfile.read(path, dtype="float32")
    return resample(without_silence(samples), rate / size)
