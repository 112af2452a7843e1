"""Reading recordings of any common kind as mono float32 at 16 kHz."""

import math
import os
from pathlib import Path

import numpy as np

from apps.core.errors import UserError

SAMPLE_RATE = 16_000
"""Samples a second that every model of this application takes."""
SUFFIXES = (".wav", ".flac", ".ogg")
LONGEST_CLIP_SECONDS = 30.0
"""Longest recording taken for one spoken word."""
_RATES = (1_000, 768_000)
_OPEN_LENGTH = 0x7FFF_FF00
"""Sizes from this on stand for "not known yet" in the headers of WAV files."""


def read_audio(
    path: str | os.PathLike, longest_seconds: float = LONGEST_CLIP_SECONDS
) -> np.ndarray:
    """The samples of a WAV, FLAC or OGG file, float32 [samples] in about [-1, 1].

    Takes any sample rate, sample width and channel count: channels are
    averaged, the rate is brought to 16 kHz (soxr, high quality).

    Raises:
        UserError: the file is missing, empty, damaged, of another kind, longer
            than `longest_seconds`, or holds a sample that is no number.
    """
    import soundfile

    path = Path(path)
    # Path's own test raises at a name that is too long for one.
    if not os.path.exists(path):
        raise UserError(f"{path}: there is no such file")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; expected a recording")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty (0 bytes)")
    try:
        with soundfile.SoundFile(path) as file:
            check_length_known(path, file.frames)
            _check_header(path, file.frames, file.samplerate, longest_seconds)
            rate = file.samplerate
            samples = file.read(dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(
            f"{path}: cannot be read as WAV, FLAC or OGG: it is damaged or of "
            "another kind"
        ) from error
    if not len(samples):
        raise UserError(f"{path}: holds no samples")
    if missing_bytes(path):
        raise UserError(f"{path}: is cut short: its header announces more samples")
    finite = np.isfinite(samples).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        raise UserError(
            f"{path}: sample {first} is {samples[first].sum()}: every sample must "
            "be a finite number"
        )
    return resample(samples.mean(axis=1), rate)


def missing_bytes(path: str | os.PathLike) -> int:
    """Bytes of sound that a WAV file's header announces and the file lacks.

    0 for other kinds of file, and where the header leaves the length open, as one
    does that was written before the sound had ended.
    """
    with open(path, "rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return 0
        while len(chunk := file.read(8)) == 8:
            size = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                left = os.fstat(file.fileno()).st_size - file.tell()
                return max(0, size - left) if size < _OPEN_LENGTH else 0
            file.seek(size + size % 2, os.SEEK_CUR)
    return 0


def check_length_known(path: str | os.PathLike, frames: int) -> None:
    """Raises:
    UserError: a FLAC whose header leaves the length open, which libsndfile cannot
        read to its end.
    """
    if frames > 2**62:
        raise UserError(
            f"{path}: its header leaves the length open, as of a FLAC that was written "
            "into a pipe: write it anew into a file (flac -d, or ffmpeg -i, to WAV)"
        )


def _check_header(path: Path, frames: int, rate: int, longest_seconds: float) -> None:
    if not _RATES[0] <= rate <= _RATES[1]:
        raise UserError(
            f"{path}: its sample rate is {rate} Hz; expected {_RATES[0]} to "
            f"{_RATES[1]} Hz"
        )
    if frames > longest_seconds * rate:
        raise UserError(
            f"{path}: lasts {frames / rate:.1f} s; at most "
            f"{longest_seconds:g} s can be taken: cut it into shorter pieces"
        )


def resample(samples: np.ndarray, rate: float) -> np.ndarray:
    """Brings mono samples from `rate` hertz to 16 kHz, float32."""
    if rate == SAMPLE_RATE:
        return np.ascontiguousarray(samples, "float32")
    import soxr

    return soxr.resample(np.asarray(samples, "float32"), rate, SAMPLE_RATE, "HQ")


def without_silence(samples: np.ndarray, quiet: float = 0.01) -> np.ndarray:
    """Cuts off what is below `quiet` times the loudest sample at both ends."""
    loud = np.flatnonzero(np.abs(samples) > quiet * np.abs(samples).max(initial=0))
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]


def loudest_stretch(samples: np.ndarray, length: int) -> tuple[int, np.ndarray]:
    """The `length` samples with the most energy; shorter input gets silence around.

    Returns:
        (first sample, float32 [length]); the first is negative after padding.
    """
    missing = length - len(samples)
    if missing >= 0:
        before = missing // 2
        return -before, np.pad(samples, (before, missing - before)).astype("float32")
    hop = SAMPLE_RATE // 100
    energy = np.square(samples.astype("float64"))
    blocks = np.add.reduceat(energy, np.arange(0, len(energy), hop))
    width = math.ceil(length / hop)
    sums = np.convolve(blocks, np.ones(width), "valid")
    start = min(int(np.argmax(sums)) * hop, len(samples) - length)
    return start, samples[start : start + length].astype("float32")


def is_audio(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def to_pcm16(samples: np.ndarray) -> np.ndarray:
    """int16; exact for what came from 16-bit files."""
    return np.clip(np.round(samples * 32768), -32768, 32767).astype("int16")


def from_pcm16(samples: np.ndarray) -> np.ndarray:
    """float32 in [-1, 1)."""
    return samples.astype("float32") / 32768
