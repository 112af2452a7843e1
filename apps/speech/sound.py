"""Sound that arrives in pieces: a file of any length, standard input, a microphone."""

import os
import queue
import sys
from collections.abc import Generator
from typing import Any

import numpy as np

from apps.core.errors import UserError
from apps.speech.audio import SAMPLE_RATE, check_length_known, missing_bytes

_BLOCK_SECONDS = 0.5


def file_pieces(
    path: str, seconds: float = _BLOCK_SECONDS
) -> Generator[np.ndarray, None, None]:
    """The samples of a recording of any length, in pieces, at 16 kHz.

    Yields:
        float32 [samples]; what is heard does not depend on the size of the pieces.

    Raises:
        UserError: missing, empty, damaged, a sample that is no number, or (after
            all that could be read) an end in the middle of a frame.
    """
    import soundfile

    # Path's own test raises at a name that is too long for one.
    if not os.path.isfile(path):
        raise UserError(f"{path}: there is no such recording")
    if os.path.getsize(path) == 0:
        raise UserError(f"{path}: the file is empty (0 bytes)")
    try:
        with soundfile.SoundFile(path) as sound:
            rate, frames, done = sound.samplerate, sound.frames, 0
            check_length_known(path, frames)
            resampler = Resampler(rate)
            size = max(1, round(seconds * rate))
            while len(block := sound.read(size, dtype="float32", always_2d=True)):
                done += len(block)
                if not np.isfinite(block).all():
                    raise UserError(
                        f"{path}: a sample before {done / rate:.2f} s is no finite "
                        "number"
                    )
                yield resampler.feed(block.mean(axis=1))
            yield resampler.finish()
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(
            f"{path}: cannot be read as WAV, FLAC or OGG: it is damaged or of "
            "another kind"
        ) from error
    if not done:
        raise UserError(f"{path}: holds no samples")
    missing = missing_bytes(path)
    if done < frames or missing:
        raise UserError(
            f"{path}: is cut short, in the middle of a frame or before its announced "
            f"end: the {done / rate:.2f} s that are whole were read"
        )


class Resampler:
    """Brings pieces of mono sound to 16 kHz without a seam between them."""

    def __init__(self, rate: int):
        self._stream: Any = None
        if rate != SAMPLE_RATE:
            import soxr

            self._stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, "float32", "HQ")

    def feed(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """float32 [samples at 16 kHz]; a part may come with the next piece."""
        samples = np.ascontiguousarray(samples, "float32")
        if self._stream is None:
            return samples
        return self._stream.resample_chunk(samples, last)

    def finish(self) -> np.ndarray:
        return self.feed(np.zeros(0, "float32"), last=True)


def standard_input_pieces() -> Generator[np.ndarray, None, None]:
    """Raw 16-bit little-endian mono samples at 16 kHz, as they come.

    Raises:
        UserError: it is closed, nothing comes, or the sound ends in the middle of a
            sample.
    """
    if sys.stdin is None:
        raise UserError(
            "standard input: is closed: pipe sound into it, or name a recording with "
            "--source FILE"
        )
    rest = None
    while data := os.read(sys.stdin.fileno(), 1 << 14):
        data = (rest or b"") + data
        whole = len(data) // 2 * 2
        rest = data[whole:]
        yield np.frombuffer(data[:whole], "<i2").astype("float32") / 32768
    if rest is None:
        raise UserError(
            "standard input: is empty: expected raw 16-bit mono samples at 16 kHz"
        )
    if rest:
        raise UserError("standard input: ends in the middle of a 16-bit sample")


def microphone_pieces() -> Generator[np.ndarray, None, None]:
    """What the default microphone hears, until the program is interrupted.

    A device that cannot record at 16 kHz records at its own rate.

    Raises:
        UserError: no sounddevice package, no PortAudio library, or no microphone.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise UserError(
            "--source microphone needs the package sounddevice: pip install "
            "sounddevice, or name a recording with --source FILE"
        ) from error
    except OSError as error:
        raise UserError(
            "--source microphone needs the PortAudio library of the system "
            "(libportaudio2), or name a recording with --source FILE"
        ) from error
    try:
        device = sounddevice.query_devices(kind="input")
    except (ValueError, sounddevice.PortAudioError) as error:
        raise UserError(
            "there is no microphone: connect one, or name a recording with "
            "--source FILE"
        ) from error
    heard: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()
    for rate in dict.fromkeys((SAMPLE_RATE, int(device["default_samplerate"]))):
        try:
            stream = sounddevice.InputStream(
                rate,
                channels=1,
                dtype="float32",
                callback=lambda data, *_: heard.put(data[:, 0].copy()),
            )
            break
        except sounddevice.PortAudioError as error:
            problem = str(error)
    else:
        raise UserError(
            f"the microphone {device['name']!r} records neither at {SAMPLE_RATE} Hz "
            f"nor at its own rate: {problem}"
        )
    resampler = Resampler(rate)
    with stream:
        print(f"listening at {rate} Hz (Ctrl-C ends)", file=sys.stderr)
        while True:
            yield resampler.feed(heard.get())


def pieces_of(source: str) -> Generator[np.ndarray, None, None]:
    """The sound that `listen --source` names."""
    if source == "microphone":
        return microphone_pieces()
    if source == "-":
        return standard_input_pieces()
    return file_pieces(source)
