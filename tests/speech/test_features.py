"""Holds the features to librosa and the training-only layers to their promise."""

import keras
import librosa
import numpy as np
import pytest

from apps.speech.features import (
    SAMPLE_RATE,
    BandWarp,
    LogMelSpectrogram,
    SpecAugment,
    mel_filterbank,
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


def test_filterbank_is_librosas():
    expected = librosa.filters.mel(
        sr=SAMPLE_RATE, n_fft=512, n_mels=40, fmin=20, fmax=7600
    )
    np.testing.assert_allclose(mel_filterbank(40, 512, 20, 7600).T, expected, atol=1e-8)


def test_filter_groups_stay_below_the_quantiser_and_lose_nothing():
    layer = LogMelSpectrogram()
    whole = np.zeros((257, 40))
    first = 0
    for start, stop, block in layer._groups:
        assert block.size < 1024
        whole[start:stop, first : first + block.shape[1]] = block
        first += block.shape[1]
    np.testing.assert_allclose(whole, mel_filterbank(40, 512, 20, 7600), atol=1e-7)


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


@pytest.mark.parametrize("layer", [SpecAugment(seed=1), BandWarp(0.1, seed=1)])
def test_augmentation_is_for_training_only(layer):
    features = np.random.default_rng(0).normal(size=(8, 49, 40)).astype("float32")
    same = keras.ops.convert_to_numpy(layer(features, training=False))
    np.testing.assert_array_equal(same, features)
    changed = keras.ops.convert_to_numpy(layer(features, training=True))
    assert changed.shape == features.shape
    assert (changed != features).any(axis=(1, 2)).sum() >= 7


def test_spec_augment_blanks_no_more_than_asked():
    features = np.ones((64, 49, 40), "float32")
    layer = SpecAugment(time_masks=1, time_width=10, band_masks=1, band_width=5, seed=3)
    kept = keras.ops.convert_to_numpy(layer(features, training=True)) > 0
    blank_frames = (~kept.any(axis=2)).sum(axis=1)
    blank_bands = (~kept.any(axis=1)).sum(axis=1)
    assert blank_frames.max() <= 10 and blank_bands.max() <= 5
    assert len(set(blank_frames)) > 5  # the widths vary from clip to clip
    for frames in ~kept.any(axis=2):  # one stretch each
        assert np.abs(np.diff(frames.astype(int))).sum() <= 2


def test_band_warp_moves_a_peak_in_proportion():
    features = np.zeros((200, 1, 40), "float32")
    features[:, :, 20] = 1
    warped = keras.ops.convert_to_numpy(BandWarp(0.1, seed=0)(features, training=True))
    centres = (warped[:, 0] * np.arange(40)).sum(1) / warped[:, 0].sum(1)
    assert 17.5 < centres.min() < 19 and 21 < centres.max() < 23


@pytest.mark.parametrize(
    "layer", [LogMelSpectrogram(32, hop_length=200), SpecAugment(), BandWarp(0.2)]
)
def test_layers_survive_their_config(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
