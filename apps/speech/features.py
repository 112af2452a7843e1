"""Acoustic features as layers, so that an exported model takes raw samples.

Everything here lowers to LiteRT builtins (RFFT2D, FULLY_CONNECTED, LOG, ...).
"""

import keras
import numpy as np
from keras import ops

from apps.speech.audio import SAMPLE_RATE

QUIETEST = float(np.log(1e-6))
"""The least that a band of the default `LogMelSpectrogram` can be."""


@keras.saving.register_keras_serializable("seqcore")
class LogMelSpectrogram(keras.layers.Layer):
    """Natural logarithm of the power in mel bands of samples in [-1, 1].

    Equal, up to rounding, to `log(maximum(melspectrogram(...), floor))` of
    librosa with a Hann window of `window_length` samples, frames starting at
    sample 0, and no padding.

    The mel filters are applied in groups of neighbouring bands, each over the
    few FFT bins it covers. That skips the nine tenths of the filterbank that
    are zero; and each group has fewer than 1,024 weights, which keeps
    dynamic-range quantisation (and its 8-bit activations) away from powers
    that span eight decades.

    Args:
        bands: Number of mel bands.
        window_length: Samples a frame; a multiple of the common divisor with
            `hop_length`.
        hop_length: Samples from frame to frame.
        fft_length: Length of the transform, at least `window_length`.
        lowest_hertz, highest_hertz: Range of the filterbank.
        floor: Smallest power; quieter bands count as this. The default lies 80 dB
            below a band of full-scale speech, which is about what a transform
            in single precision can tell apart within one frame.
        padding: "valid", or "causal": zeros before the first sample, so that
            every `hop_length` samples complete a frame, as a stream has it.

    Call arguments:
        samples: [batch, samples], float32 PCM at 16 kHz.

    Returns:
        [batch, 1 + (samples - window_length) // hop_length, bands], or
        [batch, samples // hop_length, bands] with causal padding.
    """

    keeps_float = True
    """Asks `seqcore.export_tflite` to leave these operators out of int8."""

    def __init__(
        self,
        bands: int = 40,
        *,
        window_length: int = 480,
        hop_length: int = 320,
        fft_length: int = 512,
        lowest_hertz: float = 20.0,
        highest_hertz: float = 7600.0,
        floor: float = 1e-6,
        padding: str = "valid",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if fft_length < window_length:
            raise ValueError(
                f"fft_length must be at least window_length ({window_length}), "
                f"got {fft_length}"
            )
        if not 0 <= lowest_hertz < highest_hertz <= SAMPLE_RATE / 2:
            raise ValueError(
                "expected 0 <= lowest_hertz < highest_hertz <= 8000, "
                f"got {lowest_hertz} and {highest_hertz}"
            )
        if padding not in ("valid", "causal"):
            raise ValueError(f"padding must be 'valid' or 'causal', got {padding!r}")
        self.bands = bands
        self.padding = padding
        self.streaming_window = (window_length, hop_length)
        self.streaming_padding = self._zeros_before(window_length, hop_length)
        self.window_length = window_length
        self.hop_length = hop_length
        self.fft_length = fft_length
        self.lowest_hertz = lowest_hertz
        self.highest_hertz = highest_hertz
        self.floor = floor
        filters = _mel_filters(bands, fft_length, lowest_hertz, highest_hertz)
        if not filters.any(axis=0).all():
            raise ValueError(
                f"{bands} bands are too many for an fft_length of {fft_length}: "
                "a band would cover no frequency bin"
            )
        # Periodic Hann, as every spectrogram takes it.
        turns = np.arange(window_length) / window_length
        self._window = (0.5 - 0.5 * np.cos(2 * np.pi * turns)).astype("float32")
        self._groups = list(_group_bands(filters.astype("float32")))

    def _zeros_before(self, window_length: int, hop_length: int) -> int:
        return window_length - hop_length if self.padding == "causal" else 0

    def frames(self, samples):
        """[batch, samples] to [batch, frames, window_length], by slices alone."""
        block = int(np.gcd(self.window_length, self.hop_length))
        length = samples.shape[1]
        count = 1 + (length - self.window_length) // self.hop_length
        if count < 1:
            raise ValueError(
                f"expected at least {self.window_length} samples, got {length}"
            )
        step = self.hop_length // block
        width = self.window_length // block
        blocks = ops.reshape(
            samples[:, : length // block * block], (-1, length // block, block)
        )
        last = (count - 1) * step + 1
        return ops.concatenate(
            [blocks[:, i : i + last : step] for i in range(width)], axis=-1
        )

    def call(self, samples):
        zeros = self._zeros_before(self.window_length, self.hop_length)
        if zeros:
            samples = ops.pad(samples, [[0, 0], [zeros, 0]])
        frames = self.frames(samples) * self._window
        real, imaginary = ops.rfft(frames, fft_length=self.fft_length)
        power = ops.square(real) + ops.square(imaginary)
        mel = ops.concatenate(
            [
                ops.matmul(power[:, :, start:stop], filters)
                for start, stop, filters in self._groups
            ],
            axis=-1,
        )
        return ops.log(ops.maximum(mel, self.floor))

    def compute_output_shape(self, input_shape):
        length = input_shape[1] + self._zeros_before(
            self.window_length, self.hop_length
        )
        count = 1 + (length - self.window_length) // self.hop_length
        return (input_shape[0], count, self.bands)

    def first_band_beyond(self, hertz: float) -> int:
        """The first band that has a part above `hertz`; `bands` where none has."""
        from librosa import mel_frequencies

        edges = mel_frequencies(
            self.bands + 2, fmin=self.lowest_hertz, fmax=self.highest_hertz
        )
        return max(0, int(np.searchsorted(edges, hertz, side="right")) - 2)

    def get_config(self):
        return {
            **super().get_config(),
            "bands": self.bands,
            "window_length": self.window_length,
            "hop_length": self.hop_length,
            "fft_length": self.fft_length,
            "lowest_hertz": self.lowest_hertz,
            "highest_hertz": self.highest_hertz,
            "floor": self.floor,
            "padding": self.padding,
        }


def _mel_filters(
    bands: int, fft_length: int, lowest_hertz: float, highest_hertz: float
) -> np.ndarray:
    """Triangles of unit area in hertz (Slaney, Auditory Toolbox, 1998), float64
    [fft_length // 2 + 1, bands]."""
    import warnings

    from librosa.filters import mel  # slow to import, and an exported file needs none

    with warnings.catch_warnings():
        # Of an empty band, for which there is an error with the way out.
        warnings.simplefilter("ignore", UserWarning)
        return mel(
            sr=SAMPLE_RATE,
            n_fft=fft_length,
            n_mels=bands,
            fmin=lowest_hertz,
            fmax=highest_hertz,
            dtype=np.float64,
        ).T


def _group_bands(filters: np.ndarray, limit: int = 1024):
    """Cuts [bins, bands] into (first bin, end bin, block), each below `limit`."""
    first = 0
    while first < filters.shape[1]:
        for last in range(filters.shape[1], first, -1):
            covered = np.flatnonzero(filters[:, first:last].any(axis=1))
            start, stop = int(covered[0]), int(covered[-1]) + 1
            if (stop - start) * (last - first) < limit:
                break
        yield start, stop, filters[start:stop, first:last]
        first = last


@keras.saving.register_keras_serializable("seqcore")
class BelowLoudest(keras.layers.Layer):
    """Each clip relative to its loudest cell, cut off at a range below it.

    What is left depends neither on the level of a recording nor on how quiet the
    place was: both tell more about the microphone than about the word. Needs the
    whole clip, so that a streaming model cannot have it.

    Args:
        decibels: The range kept; what is quieter counts as that quiet.

    Call arguments:
        features: [batch, frames, bands], natural logarithms of power.

    Returns:
        The same shape; the loudest cell of a clip is 0.
    """

    keeps_float = True
    """Asks `seqcore.export_tflite` to leave these operators out of int8."""

    def __init__(self, decibels: float = 60.0, **kwargs):
        super().__init__(**kwargs)
        self.decibels = decibels

    def call(self, features):
        loudest = ops.max(features, axis=(1, 2), keepdims=True)
        return ops.maximum(features - loudest, float(-self.decibels * np.log(10) / 10))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "decibels": self.decibels}
