"""Holds the features to librosa."""

import keras
import librosa
import numpy as np
import pytest

from apps.speech.features import (
    SAMPLE_RATE,
    BelowLoudest,
    LogMelSpectrogram,
)


def librosa_log_mel(samples: np.ndarray, layer: LogMelSpectrogram) -> np.ndarray:
    """The logarithm of librosa's own output, [frames, bands].

    librosa centres the window in the transform; padding in front by that
    offset makes its first frame begin at sample 0.
    """
    offset = (layer.fft_length - layer.window_length) // 2
    power = librosa.feature.melspectrogram(
        y=np.pad(samples, offset),
        sr=SAMPLE_RATE,
        n_fft=layer.fft_length,
        win_length=layer.window_length,
        hop_length=layer.hop_length,
        center=False,
        n_mels=layer.bands,
        fmin=layer.lowest_hertz,
        fmax=layer.highest_hertz,
    )
    return np.log(np.maximum(power, layer.floor)).T


def sounds() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    return {
        "noise": rng.normal(0, 0.1, SAMPLE_RATE),
        "quiet noise": rng.normal(0, 1e-3, SAMPLE_RATE),
        "sweep": librosa.chirp(fmin=50, fmax=7900, sr=SAMPLE_RATE, duration=1.0),
        "harmonics": sum(np.sin(2 * np.pi * 180 * k * time) / k for k in range(1, 30)),
        "click": np.eye(1, SAMPLE_RATE, 5000)[0],
        "silence": np.zeros(SAMPLE_RATE),
    }


@pytest.mark.parametrize("name", sounds())
@pytest.mark.parametrize("gain", [1.0, 0.03])
def test_log_mel_is_librosas(name, gain):
    samples = (gain * sounds()[name]).astype("float32")
    layer = LogMelSpectrogram()
    found = keras.ops.convert_to_numpy(layer(samples[None]))[0]
    expected = librosa_log_mel(samples, layer)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_log_mel_with_other_settings():
    samples = sounds()["sweep"].astype("float32")
    layer = LogMelSpectrogram(
        64, window_length=400, hop_length=160, lowest_hertz=0, highest_hertz=8000
    )
    found = keras.ops.convert_to_numpy(layer(samples[None]))[0]
    np.testing.assert_allclose(found, librosa_log_mel(samples, layer), atol=1e-3)
    assert found.shape == (98, 64)
    assert layer.compute_output_shape((None, 16000)) == (None, 98, 64)


def test_filter_groups_stay_below_the_quantiser_and_lose_nothing():
    layer = LogMelSpectrogram()
    whole = np.zeros((257, 40))
    first = 0
    for start, stop, block in layer._groups:
        assert block.size < 1024
        whole[start:stop, first : first + block.shape[1]] = block
        first += block.shape[1]
    expected = librosa.filters.mel(
        sr=SAMPLE_RATE, n_fft=512, n_mels=40, fmin=20, fmax=7600
    )
    np.testing.assert_allclose(whole, expected.T, atol=1e-8)


def test_gain_shifts_the_log_mel():
    """Ten times the amplitude is a hundred times the power, above the floor."""
    samples = sounds()["noise"].astype("float32")
    layer = LogMelSpectrogram()
    loud = keras.ops.convert_to_numpy(layer(samples[None]))
    quiet = keras.ops.convert_to_numpy(layer(samples[None] / 10))
    np.testing.assert_allclose(loud - quiet, np.log(100), atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"fft_length": 256}, "fft_length must be at least window_length"),
        ({"highest_hertz": 9000.0}, "expected 0 <= lowest_hertz"),
        ({"bands": 200}, "200 bands are too many"),
    ],
)
def test_impossible_settings(arguments, part):
    with pytest.raises(ValueError, match=part):
        LogMelSpectrogram(**arguments)


def test_too_short_a_clip():
    with pytest.raises(ValueError, match="got 100"):
        LogMelSpectrogram()(np.zeros((1, 100), "float32"))


def test_below_loudest_knows_no_level():
    rng = np.random.default_rng(0)
    features = rng.uniform(-13, 4, (3, 49, 40)).astype("float32")
    layer = BelowLoudest(30.0)
    found = keras.ops.convert_to_numpy(layer(features))
    louder = keras.ops.convert_to_numpy(layer(features + np.float32(2.5)))
    np.testing.assert_allclose(found, louder, atol=1e-5)
    assert found.max() == 0
    assert found.min() == pytest.approx(-3 * np.log(10), abs=1e-5)
    kept = found > found.min() + 1e-3
    expected = features - features.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(found[kept], expected[kept], atol=1e-5)


@pytest.mark.parametrize(
    "layer", [LogMelSpectrogram(32, hop_length=200), BelowLoudest(40.0)]
)
def test_layers_survive_their_config(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
